"""Whether abnormal patients can be told from healthy ones by how their files were made, without a look at a picture.

Healthy scans of one public set and abnormal ones of another differ in voxel size, skull-stripping or file format, and a
detector that learned from the former calls all of the latter abnormal, lesion or not.
"""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from anomae.statistics.scored import ScoredSlices

Values = npt.NDArray[np.float64]

FEWEST = 5  # patients of either kind below which nothing is said
LEAST_AUROC = 0.9
LEAST_SURPRISE = 0.01  # p beyond which it may be chance


@dataclass(frozen=True, slots=True)
class AcquisitionFacts:
    """What is known of n scans beside their pictures.

    numbers: by what they are, (n,), NaN where unknown.  names: by what they are, the names of each of the n scans, none
    where unknown.
    """

    numbers: Mapping[str, Values] = field(default_factory=dict)
    names: Mapping[str, Sequence[AbstractSet[str]]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SetApart:
    """A fact that tells abnormal patients from healthy ones.

    healthy, abnormal: what it is of either, in words.  auroc: of the fact, whichever way it points, 0.9..1.
    """

    fact: str
    healthy: str
    abnormal: str
    healthy_patients: int
    abnormal_patients: int
    auroc: float


def set_apart(
    facts: AcquisitionFacts, abnormal: npt.NDArray[np.bool_], patient: npt.NDArray[np.str_]
) -> list[SetApart]:
    """The facts of n scans that tell patients with an abnormal scan from the others, the clearest first.

    A fact counts where its AUROC over patients, whichever way it points, is at least 0.9, where that is no chance
    (p < 0.01 by Mann and Whitney's test), and where there are five patients of either kind.  Of a patient the median
    of the numbers counts, and every name that a scan has.
    """
    people, who = np.unique(patient, return_inverse=True)
    ill = np.zeros(len(people), dtype=bool)
    np.logical_or.at(ill, who, abnormal)
    found = []
    for fact, values in facts.numbers.items():
        found += _by_number(fact, np.array([_median(each) for each in _by_person(values, who)]), ill)
    for fact, names in facts.names.items():
        found += _by_name(fact, names, who, ill)
    return sorted(found, key=lambda one: -one.auroc)


def columns_apart(slices: ScoredSlices) -> list[SetApart]:
    """The same of site, scanner and kind of file, where these are known of slices."""
    names = {kind: [{str(name)} - {""} for name in column] for kind, column in slices.groups().items()}
    return set_apart(AcquisitionFacts(names=names), slices.label == 1, slices.patient)


def acquisition_sentence(apart: Sequence[SetApart], unit: str = "patient") -> str:
    """What `set_apart` found and what it means; "" where it found nothing.  unit: what counts as a patient."""
    if not apart:
        return ""
    told = "; ".join(f"{one.fact} {one.abnormal} for {one.healthy}" for one in apart[:4])
    more = f" and {len(apart) - 4} more" if len(apart) > 4 else ""
    return (
        f"The abnormal scans ({apart[0].abnormal_patients} {unit}s) were made otherwise than the healthy ones "
        f"({apart[0].healthy_patients}): {told}{more}. A detector may tell that, not lesions, and no figure can say "
        "which: take both from one source, or make their files alike before"
    )


def _by_number(fact: str, values: Values, ill: npt.NDArray[np.bool_]) -> list[SetApart]:
    known = np.isfinite(values)
    healthy, abnormal = values[known & ~ill], values[known & ill]
    auroc = _auroc(healthy, abnormal)
    if auroc is None:
        return []
    return [SetApart(fact, _spread(healthy), _spread(abnormal), len(healthy), len(abnormal), auroc)]


def _by_name(
    fact: str, names: Sequence[AbstractSet[str]], who: npt.NDArray[np.intp], ill: npt.NDArray[np.bool_]
) -> list[SetApart]:
    """The name that parts them best, in words how many of either have it."""
    found = []
    for name in dict.fromkeys(name for each in names for name in sorted(each)):
        has = np.zeros(len(ill))
        has[who[[name in each for each in names]]] = 1.0
        auroc = _auroc(has[~ill], has[ill])
        if auroc is not None:
            healthy, abnormal = (f"in {int(each.sum())} of {len(each)}" for each in (has[~ill], has[ill]))
            counts = int((~ill).sum()), int(ill.sum())
            found.append(SetApart(f'{fact} "{name}"', healthy, abnormal, *counts, auroc))
    return sorted(found, key=lambda one: -one.auroc)[:1]


def _auroc(healthy: Values, abnormal: Values) -> float | None:
    """Of telling one from the other, whichever is higher; None where it is too low, or may be chance."""
    from scipy.stats import mannwhitneyu

    if min(len(healthy), len(abnormal)) < FEWEST or len(np.unique([*healthy, *abnormal])) < 2:
        return None
    test = mannwhitneyu(abnormal, healthy)
    share = float(test.statistic) / (len(healthy) * len(abnormal))
    higher = max(share, 1 - share)
    return higher if higher >= LEAST_AUROC and test.pvalue < LEAST_SURPRISE else None


def _by_person(values: Values, who: npt.NDArray[np.intp]) -> list[Values]:
    order = np.argsort(who, kind="stable")
    return np.split(values[order], np.cumsum(np.bincount(who))[:-1])


def _median(values: Values) -> float:
    known = values[np.isfinite(values)]
    return float(f"{np.median(known):.3g}") if len(known) else float("nan")


def _spread(values: Values) -> str:
    low, middle, high = (float(value) for value in np.quantile(values, (0, 0.5, 1)))
    return f"{middle:.3g}" if low == high else f"{middle:.3g} ({low:.3g} to {high:.3g})"

"""How many patients a figure rests on, and what few of them do to its interval.

A resample of patients knows no more than the patients that hold each class: with three abnormal ones of fifty and no
signal at all, a fifth of the "95 %" percentile intervals leave out 0.5.  So fewer than five patients of a class give
no interval, and few give one that is wider.  benchmarks/coverage.py shows how often these intervals hold the truth.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

FEWEST_PATIENTS = 5  # of each class, for an interval at all
ENOUGH_PATIENTS = 30  # effective ones of each class; those who hold both are counted for one
NORMAL_QUANTILE = 1.959963984540054


@dataclass(frozen=True, slots=True)
class Holders:
    """The patients that hold what a figure needs, such as abnormal slices.

    words: what they hold.  patients: how many.  effective: as many patients of equal weight (Kish's number: the
    square of the summed weights over the sum of their squares), since one patient with most slices is most of a class.
    needed: how many patients there must be for an interval.  enough: above so many effective ones, percentiles of the
    resamples are the interval.
    """

    words: str
    patients: int
    effective: float
    needed: int = FEWEST_PATIENTS
    enough: float = ENOUGH_PATIENTS

    @property
    def sentence(self) -> str:
        """Why there is no interval; empty where there are enough."""
        if self.patients >= self.needed:
            return ""
        least = f", not {self.needed}" if self.needed > FEWEST_PATIENTS else ""
        return f"too few patients with {self.words} ({self.patients}{least}): no interval"


def holders(words: str, weights: npt.ArrayLike) -> Holders:
    """Of weights (p,) of the patients, such as the number of abnormal slices of each; 0: holds none."""
    held = np.asarray(weights, dtype=np.float64)
    held = held[held > 0] / max(float(held.max(initial=0.0)), 1e-300)
    effective = float(held.sum() ** 2 / np.square(held).sum()) if len(held) else 0.0
    return Holders(words, len(held), effective)


def slice_holders(labels: npt.ArrayLike, patient: npt.NDArray[np.int64]) -> tuple[Holders, Holders]:
    """The patients with abnormal and with normal slices; labels (n,), patient (n,), a number for each.

    Twice as many are enough where all are holders of both classes, who are half as many people.
    """
    truth = np.asarray(labels).astype(np.bool_)
    patients = int(patient.max(initial=-1)) + 1
    slices = [np.bincount(patient[which], minlength=patients) for which in (truth, ~truth)]
    both = (slices[0] > 0) & (slices[1] > 0)
    shared = [float(own[both].sum() / max(own.sum(), 1)) for own in slices]
    abnormal, normal = (
        replace(holders(words, own), enough=ENOUGH_PATIENTS * (1 + share))
        for words, own, share in zip(("abnormal slices", "normal slices"), slices, shared, strict=True)
    )
    return abnormal, normal


def why_no_interval(groups: Iterable[Holders]) -> str:
    """The sentence of the smallest group where it is too small; empty otherwise."""
    smallest = min(groups, key=lambda group: group.patients / group.needed, default=None)
    return smallest.sentence if smallest else ""


def stretch(groups: Iterable[Holders], enough: float | None = None) -> float:
    """By how much the two arms of a percentile interval are lengthened, 1 or more.

    1 above `enough` effective patients of each class (None: as many as each says).  Else, with k patients of the
    smaller class, what Student's t with k - 1 degrees of freedom is beside the normal quantile, times
    sqrt(k / (k - 1)): a resample of k values spreads by (k - 1) / k too little.  From 1.58 with five patients to 1.06
    with thirty.
    """
    from scipy.stats import t

    freedom, wider = student(groups, enough)
    if freedom is None:
        return 1.0
    return float(t.ppf(0.975, freedom)) / NORMAL_QUANTILE * wider if freedom else float("inf")


def student(groups: Iterable[Holders], enough: float | None = None) -> tuple[int | None, float]:
    """Degrees of freedom of Student's t, and sqrt(k / (k - 1)), for k patients of the smaller class.

    None and 1 above `enough` effective patients of each class, where the normal distribution does.
    """
    known = list(groups)
    if all(group.effective > (group.enough if enough is None else enough) for group in known):
        return None, 1.0
    fewest = min(group.patients for group in known)
    return (fewest - 1, float(np.sqrt(fewest / (fewest - 1)))) if fewest > 1 else (0, float("inf"))


def fewest_of(groups: Iterable[Holders]) -> int:
    """The patients of the smallest group; 0 where there is none."""
    return min((group.patients for group in groups), default=0)

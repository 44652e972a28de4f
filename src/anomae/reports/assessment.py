"""The sections of a report that scores and labels give, from plain arrays: baselines, strata, patients, verdict."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from anomae.errors import UserError
from anomae.reports.aggregates import aggregated_figures, banded_figures
from anomae.reports.few_patients import few_patients_notes
from anomae.reports.schema import (
    Assessment,
    BesideBaselines,
    Blank,
    Matched,
    ScoreFigures,
    Stratum,
    TrivialBaselineFigures,
)
from anomae.reports.schema_values import Difference, MetricFigures, Share
from anomae.reports.verdict import Beside, BestBaseline, one_class_verdict, tone, verdict
from anomae.statistics.aggregation import mean_of_highest
from anomae.statistics.intervals import Estimate, PatientBootstrap, paired_difference
from anomae.statistics.scored import ScoredSlices
from anomae.statistics.strata import matching_bands, strata
from anomae.statistics.trivial_baselines import TRIVIAL_BASELINES

Columns = Mapping[str, npt.NDArray[np.float64]]
LABELLED_POSITION = "position_with_labels"


def assess(
    slices: ScoredSlices, scores: Columns, trivial_baselines: Columns, bootstrap: PatientBootstrap
) -> Assessment:
    """Every figure that scores and labels give.

    scores: the score columns (n,), `score` among them, higher is more anomalous.  trivial_baselines: (n,), named as in
    TRIVIAL_BASELINES.  bootstrap: over the patients of `slices`.  Where one class is missing the figures are None and
    the verdict says why.  Raises UserError where a score is not finite.
    """
    for name, column in scores.items():
        if not np.isfinite(column).all():
            raise UserError(f"{np.count_nonzero(~np.isfinite(column))} values of {name} are not finite numbers.")
    blank = _blank(slices, scores["score"])
    if not slices.both_classes:
        return _of_one_class(slices, scores, blank)
    whole_test = bootstrap.aurocs(slices.label, {**scores, **trivial_baselines})
    best = best_baseline(whole_test, trivial_baselines)
    metrics = bootstrap.metrics(slices.label, scores)
    within = _matched_aurocs(slices, scores, trivial_baselines, bootstrap)
    beside = _beside(whole_test, best, label_free(trivial_baselines), within)
    figures = {name: ScoreFigures.of(metrics[name], gain=gain_over(whole_test, name, best)) for name in scores}
    own, score = scores["score"], whole_test["score"]
    gain = paired_difference(score, whole_test[best]) if best else None
    return Assessment(
        verdict=verdict(score.interval(), _best(whole_test, best), beside),
        tone=tone(score.interval(), gain, beside),
        slice=MetricFigures.of(metrics["score"]),
        scores=dict(figures),
        trivial_baselines={
            name: TrivialBaselineFigures.of(
                whole_test[name],
                title=TRIVIAL_BASELINES[name].title,
                direction=TRIVIAL_BASELINES[name].direction,
                uses_labels=TRIVIAL_BASELINES[name].uses_labels,
            )
            for name in sorted(trivial_baselines, key=lambda name: -whole_test[name].value)
        },
        best_trivial_baseline=best,
        gain=figures["score"].gain,
        strata=_strata(slices, scores, trivial_baselines, bootstrap, whole_test),
        matched={
            name: Matched(bands=bands, **dict(_beside_baselines(aurocs, scores, trivial_baselines)))
            for name, (bands, aurocs) in within.items()
        },
        bands=banded_figures(slices, own, trivial_baselines[best] if best else None, bootstrap),
        patient=aggregated_figures(slices, "patient", own, bootstrap),
        volume=aggregated_figures(slices, "case", own, bootstrap),
        blank=blank,
        notes=_notes(slices, blank, score),
    )


def label_free(trivial_baselines: Columns) -> list[str]:
    """Those of these baselines that saw no label."""
    return [name for name in trivial_baselines if not TRIVIAL_BASELINES[name].uses_labels]


def best_baseline(aurocs: Mapping[str, Estimate], trivial_baselines: Columns) -> str | None:
    """The baseline with the highest AUROC of those that saw no label; None where there is none."""
    return max(label_free(trivial_baselines), key=lambda name: aurocs[name].value, default=None)


def gain_over(aurocs: Mapping[str, Estimate], name: str, best: str | None) -> Difference | None:
    """AUROC of column `name` minus that of the baseline `best`."""
    return Difference.of(paired_difference(aurocs[name], aurocs[best])) if best else None


def _of_one_class(slices: ScoredSlices, scores: Columns, blank: Blank) -> Assessment:
    abnormal = int(np.count_nonzero(slices.label))
    return Assessment(
        verdict=one_class_verdict(len(slices) - abnormal, abnormal),
        tone="level",
        slice=MetricFigures.of(None),
        scores=dict.fromkeys(scores),
        trivial_baselines={},
        best_trivial_baseline=None,
        gain=None,
        strata={},
        matched={},
        bands={},
        patient=None,
        volume=None,
        blank=blank,
        notes=[],
    )


Within = Mapping[str, tuple[int, Mapping[str, Estimate]]]


def _best(whole_test: Mapping[str, Estimate], best: str | None) -> BestBaseline | None:
    if best is None:
        return None
    gain = paired_difference(whole_test["score"], whole_test[best])
    return BestBaseline(TRIVIAL_BASELINES[best].title, whole_test[best].interval(), gain)


def _beside(whole_test: Mapping[str, Estimate], best: str | None, free: list[str], within: Within) -> Beside:
    mirrored, labelled = None, None
    if best is not None:
        lowest = min(free, key=lambda name: whole_test[name].value)
        if 1 - whole_test[lowest].value > whole_test[best].value:
            mirrored = (TRIVIAL_BASELINES[lowest].title, 1 - whole_test[lowest].value)
    if LABELLED_POSITION in whole_test:
        labelled = (TRIVIAL_BASELINES[LABELLED_POSITION].title, whole_test[LABELLED_POSITION].value)
    if "position" not in within:
        return Beside(mirrored, labelled=labelled)
    _, aurocs = within["position"]
    own, other = aurocs["score"], best_baseline(aurocs, {name: np.empty(0) for name in free})
    return Beside(
        mirrored,
        own.interval(),
        (TRIVIAL_BASELINES[other].title, aurocs[other].value) if other else None,
        paired_difference(own, aurocs[other]) if other else None,
        labelled,
    )


def _strata(
    slices: ScoredSlices,
    scores: Columns,
    trivial_baselines: Columns,
    bootstrap: PatientBootstrap,
    whole_test: Mapping[str, Estimate],
) -> dict[str, Stratum]:
    sections = {}
    for name, rows in strata(slices).items():
        part = slices.take(rows)
        abnormal = int(np.count_nonzero(part.label))
        beside: Mapping[str, Any] = {
            "scores": dict.fromkeys(scores),
            "trivial_baselines": dict.fromkeys(trivial_baselines),
            "best_trivial_baseline": None,
            "gain": None,
        }
        if part.both_classes:
            aurocs = whole_test
            if len(rows) < len(slices):
                aurocs = bootstrap.aurocs(slices.label, {**scores, **trivial_baselines}, rows=rows)
            beside = dict(_beside_baselines(aurocs, scores, trivial_baselines))
        sections[name] = Stratum(
            slices=len(part),
            abnormal=abnormal,
            normal=len(part) - abnormal,
            patients=len(np.unique(part.patient)),
            **beside,
        )
    return sections


def _matched_aurocs(
    slices: ScoredSlices, scores: Columns, trivial_baselines: Columns, bootstrap: PatientBootstrap
) -> Within:
    """By what is matched: bands that hold both classes, and AUROC of every column within them."""
    found = {}
    for name, bands in matching_bands(slices).items():
        shared = np.intersect1d(bands[(slices.label == 1) & (bands >= 0)], bands[slices.label == 0])
        if len(shared):
            aurocs = bootstrap.aurocs(slices.label, {**scores, **trivial_baselines}, bands=bands)
            found[name] = (len(shared), aurocs)
    return found


def _beside_baselines(aurocs: Mapping[str, Estimate], scores: Columns, trivial_baselines: Columns) -> BesideBaselines:
    """AUROC of each score and baseline, the best baseline that has seen no label, and the score's gain over it."""
    best = best_baseline(aurocs, trivial_baselines)
    return BesideBaselines(
        scores={column: Share.of(aurocs[column]) for column in scores},
        trivial_baselines={column: Share.of(aurocs[column]) for column in trivial_baselines},
        best_trivial_baseline=best,
        gain=gain_over(aurocs, "score", best),
    )


def _blank(slices: ScoredSlices, scores: npt.NDArray[np.float64]) -> Blank:
    """How many slices are empty, and where their scores stand among the normal slices with content."""
    if not slices.empty.any():
        return Blank(share=0.0, normal_below=None)
    normal = scores[(slices.label == 0) & ~slices.empty]
    own = scores[slices.empty]
    with np.errstate(over="ignore", invalid="ignore"):
        mean = own.mean()
    if not np.isfinite(mean):
        mean = mean_of_highest(np.zeros(len(own), dtype=np.int64), own, len(own))[0]
    below = float(np.mean(normal < mean)) if len(normal) else None
    return Blank(share=float(slices.empty.mean()), normal_below=below)


def _notes(slices: ScoredSlices, blank: Blank, score: Estimate) -> list[str]:
    notes = few_patients_notes(score)
    with_lesion = np.isin(slices.patient, slices.patient[slices.label == 1])
    mixed = int(np.count_nonzero(with_lesion & (slices.label == 0)))
    normal = int(np.count_nonzero(slices.label == 0))
    if mixed:
        notes.append(
            f"{mixed} of {normal} normal test slices come from patients who also have abnormal slices: here normal "
            "means without a marked lesion, not from a healthy person."
        )
    if slices.empty.any():
        notes.append(
            f"{np.count_nonzero(slices.empty)} of {len(slices)} test slices are empty; the stratum without_empty "
            "leaves them out."
        )
        if blank.normal_below is not None:
            notes.append(
                f"An empty slice scores above {100 * blank.normal_below:.0f} % of the normal slices with content."
            )
    return notes

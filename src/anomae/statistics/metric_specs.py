"""The metrics of a score, a list: what is added to it stands in report.json, on the page and in docs/report.md."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np
import numpy.typing as npt

from anomae.statistics.holders import FEWEST_PATIENTS
from anomae.statistics.metrics import (
    Counts,
    area_under_precision,
    area_under_roc,
    fpr_from_counts,
    sensitivity_from_counts,
)

OPTIMISTIC = "The threshold is chosen on the tested labels, so the value is optimistic."
PATIENTS_BEYOND = 4  # a threshold at a share of a class: so many of its patients are expected beyond it, or no interval


def _needing(patients: int, words: str) -> str:
    return f"No interval with fewer than {patients} patients with {words} slices."


@dataclass(frozen=True, slots=True)
class MetricSpec:
    """One metric, 0..1.

    name: its key in report.json.  function: true and false positives (r, u), as `Ranked.counts` gives them for r
    resamples at once, -> (r,), NaN where a class was not drawn.  title: the head of its column.  definition: what it
    means, in sentences.  direction: which end is better.  needs: patients with abnormal and with normal slices for an
    interval: a threshold that one of twenty exceeds cannot be taken from ten.  by_pairs: it is a share of pairs of
    slices, of which an interval leaves out those of one patient (`anomae.statistics.own_pairs`).  by_precision: it is
    average precision, whose interval reaches over `anomae.statistics.precision_among_others` too.
    """

    name: str
    function: Callable[[Counts, Counts], npt.NDArray[np.float64]]
    title: str
    definition: str
    direction: Literal["higher is better", "lower is better"] = "higher is better"
    needs: tuple[int, int] = (FEWEST_PATIENTS, FEWEST_PATIENTS)
    by_pairs: bool = False
    by_precision: bool = False


def _sensitivity_at(percent: int) -> MetricSpec:
    needed = PATIENTS_BEYOND * 100 // (100 - percent)
    return MetricSpec(
        f"sensitivity_at_{percent}_specificity",
        partial(sensitivity_from_counts, specificity=percent / 100),
        f"sensitivity at {percent} % specificity",
        f"Highest sensitivity (share of abnormal slices flagged) at a specificity of {percent} % or more (at most "
        f"{100 - percent} % of the normal slices flagged). {OPTIMISTIC} {_needing(needed, 'normal')}",
        needs=(FEWEST_PATIENTS, needed),
    )


METRICS: dict[str, MetricSpec] = {
    spec.name: spec
    for spec in (
        MetricSpec(
            "auroc",
            area_under_roc,
            "AUROC",
            "Area under the ROC curve: the chance that an abnormal slice scores above a normal one, a tie counting one "
            "half. 0.5 is chance.",
            by_pairs=True,
        ),
        MetricSpec(
            "average_precision",
            area_under_precision,
            "average precision",
            "Precision averaged over the steps of recall. A random score reaches the share of abnormal slices, so "
            "values compare only on the same slices.",
            by_precision=True,
        ),
        MetricSpec(
            "fpr_at_95_tpr",
            partial(fpr_from_counts, tpr=0.95),
            "false-positive rate at 95 % sensitivity",
            "Share of normal slices flagged at the highest threshold that flags 95 % or more of the abnormal ones. "
            f"{OPTIMISTIC} {_needing(PATIENTS_BEYOND * 20, 'abnormal')}",
            "lower is better",
            (PATIENTS_BEYOND * 20, FEWEST_PATIENTS),
        ),
        _sensitivity_at(90),
        _sensitivity_at(95),
        _sensitivity_at(99),
    )
}

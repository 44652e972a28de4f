"""Thresholds from held-out healthy patients alone, with a bound on false positives that holds for finite samples.

Split conformal prediction for patients with several slices each (the pooled quantile of hierarchical conformal
prediction: Lee, Barber, Willett, "Distribution-free inference with hierarchical data", 2023): slices of one patient
are not independent, patients are taken as exchangeable.
"""

import math
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from anomae.errors import UserError

Scores = npt.NDArray[np.float64]
SLICE_BOUND, PATIENT_BOUND = 0.05, 0.10


@dataclass(frozen=True, slots=True)
class Calibration:
    """Normal slices of held-out patients: scores (m,) and patient (m,); where they come from; what weakens the bound.

    doubts: sentences such as that the checkpoint was chosen on these patients.
    """

    scores: Scores
    patient: npt.NDArray[np.str_]
    source: str
    doubts: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Threshold:
    """An operating threshold: scores above `value` are flagged, healthy ones with a probability of at most `bound`.

    asked: the bound that was asked for.  bound: the one that holds: `asked`, or, where there are too few calibration
    patients for it, the smallest that they allow.  patients: how many there are.
    """

    value: float
    asked: float
    bound: float
    patients: int

    @property
    def reachable(self) -> bool:
        """Whether there were patients enough for what was asked."""
        return self.bound <= self.asked

    @property
    def needed(self) -> int:
        """The fewest calibration patients for which the bound `asked` can hold."""
        return math.ceil(1 / self.asked - 1e-9) - 1


def check_bound(bound: float) -> None:
    """Raises UserError where a bound on false positives does not lie between 0 and 1."""
    if not 0 < bound < 1:
        raise UserError(f"A false-positive bound lies between 0 and 1, not at {bound}.")


def slice_threshold(scores: Scores, patient: npt.NDArray[np.str_], bound: float) -> Threshold:
    """From normal slices (n,) and their patients (n,): flags a slice of a new healthy patient with at most `bound`.

    The bound is on the probability for a slice drawn at random from a new patient, so every patient counts alike
    however many slices it has; averaged over calibration sets.  Each of p patients weighs 1 / (p + 1), shared among
    its slices, and the rest stands at infinity; the threshold is the (1 - bound) quantile.
    Raises UserError where there is no slice, a score is not finite, or the bound is not between 0 and 1.
    """
    check_bound(bound)
    if not len(scores):
        raise UserError("There is no calibration slice to take a threshold from.")
    if not np.isfinite(scores).all():
        raise UserError("A calibration score is not a finite number.")
    _, index, sizes = np.unique(patient, return_inverse=True, return_counts=True)
    patients = len(sizes)
    order = np.argsort(scores, kind="stable")
    weight = 1 / ((patients + 1) * sizes[index[order]])
    below = np.cumsum(weight)
    if bound < 1 / (patients + 1) - 1e-12:
        return Threshold(float(scores.max()), bound, 1 / (patients + 1), patients)
    first = min(int(np.searchsorted(below, 1 - bound - 1e-9)), len(scores) - 1)
    return Threshold(float(scores[order[first]]), bound, bound, patients)


def patient_threshold(scores: Scores, patient: npt.NDArray[np.str_], bound: float) -> Threshold:
    """The same for whole patients, flagged where any slice is: from the highest slice score of each."""
    names, index = np.unique(patient, return_inverse=True)
    highest = np.full(len(names), -np.inf)
    np.maximum.at(highest, index, scores)
    return slice_threshold(highest, names, bound)


def in_full(threshold: float) -> str:
    """The shortest decimal number that is this very threshold: rounded, it would flag other scores."""
    return repr(float(threshold)).removesuffix(".0")


def threshold_sentence(threshold: Threshold, what: str, patients: str = "patients") -> str:
    """What the threshold guarantees, or why not what was asked; `what` as in "slice of a new healthy patient"."""
    guarantee = f"a {what} is flagged with a probability of at most {100 * threshold.bound:.3g} %"
    if threshold.reachable:
        return f"Above {in_full(threshold.value)}, {guarantee} ({threshold.patients} calibration {patients})."
    return (
        f"A bound of {100 * threshold.asked:.3g} % per {what.split(' ')[0]} needs at least {threshold.needed} "
        f"calibration {patients}, and there are {threshold.patients}. The smallest bound they allow is "
        f"{100 * threshold.bound:.3g} %, at the highest calibration score: above {in_full(threshold.value)}, "
        f"{guarantee}."
    )

"""How well scores separate abnormal from normal: figures on labels (n,) and scores (n,), and nothing else."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from anomae.errors import UserError

Counts = npt.NDArray[np.float64]


def checked(labels: npt.ArrayLike, scores: npt.ArrayLike) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.float64]]:
    """Labels as (n,) bool and scores as (n,) float64.

    Raises UserError where they are not as many, where a label is not 0 or 1, where a score is not finite, and where
    one of the two classes is missing.
    """
    truth, values = np.asarray(labels), np.asarray(scores, dtype=np.float64)
    if truth.ndim != 1 or values.shape != truth.shape:
        raise UserError(f"{truth.size} labels and {values.size} scores: there must be one label for each score.")
    if not np.isin(truth, (0, 1)).all():
        raise UserError("Labels must be 0 (normal) or 1 (abnormal).")
    bad = np.flatnonzero(~np.isfinite(values))
    if len(bad):
        raise UserError(f"{len(bad)} of {len(values)} scores are not finite numbers, the first in place {bad[0]}.")
    abnormal = int(np.count_nonzero(truth))
    if abnormal in (0, len(truth)):
        raise UserError(
            f"{abnormal} abnormal and {len(truth) - abnormal} normal: both classes are needed to judge a score."
        )
    return truth.astype(np.bool_), values


class Ranked:
    """Labels and scores sorted once from the highest score down, so that thousands of weightings can be judged."""

    def __init__(self, labels: npt.ArrayLike, scores: npt.ArrayLike) -> None:
        """Sort; raises UserError as `checked` does."""
        truth, values = checked(labels, scores)
        self.order = np.argsort(-values, kind="stable")
        falling = values[self.order]
        # Equal scores cannot be told apart by any threshold: they count as one step.
        self.ends = np.flatnonzero(np.append(falling[1:] != falling[:-1], True))
        self.abnormal = truth[self.order].astype(np.float64)
        self.thresholds = falling[self.ends]

    def counts(self, weights: Counts | None = None) -> tuple[Counts, Counts]:
        """True and false positives at each of u distinct thresholds, the highest first, (r, u) each.

        weights: (r, n), how often each slice counts in each of r resamples; None: once, r = 1.
        """
        taken = np.ones((1, len(self.order))) if weights is None else weights[:, self.order]  # (r, n)
        flagged = np.cumsum(taken, axis=1)
        taken *= self.abnormal
        found = np.cumsum(taken, axis=1)
        if len(self.ends) < len(self.order):
            flagged, found = flagged[:, self.ends], found[:, self.ends]
        flagged -= found
        return found, flagged


def area_under_roc(found: Counts, false: Counts) -> npt.NDArray[np.float64]:
    """AUROC (r,) from counts (r, u): the share of abnormal-normal pairs in the right order, a tie counting one half."""
    won = found.copy()
    won[:, 1:] += found[:, :-1]  # twice the mean of the true positives before and at each step
    won[:, 1:] *= np.diff(false, axis=1)
    won[:, 0] *= false[:, 0]
    return _ratio(won.sum(axis=1), 2 * found[:, -1] * false[:, -1])


def area_under_precision(found: Counts, false: Counts) -> npt.NDArray[np.float64]:
    """Average precision (r,) from counts (r, u): precision at each threshold, weighted by the gain in recall."""
    precision = _ratio(found, found + false)
    steps = np.diff(found, axis=1, prepend=0.0)
    return _ratio(np.nansum(precision * steps, axis=1), np.where(false[:, -1] > 0, found[:, -1], 0.0))


def fpr_from_counts(found: Counts, false: Counts, tpr: float) -> npt.NDArray[np.float64]:
    """The lowest false-positive rate (r,) at which at least the share `tpr` of the abnormal is found."""
    enough = found >= tpr * found[:, -1:] - 1e-9
    first = np.argmax(enough, axis=1)
    return _ratio(false[np.arange(len(false)), first], np.where(found[:, -1] > 0, false[:, -1], 0.0))


def sensitivity_from_counts(found: Counts, false: Counts, specificity: float) -> npt.NDArray[np.float64]:
    """The highest sensitivity (r,) at which at least the share `specificity` of the normal is left alone."""
    allowed = false <= (1 - specificity) * false[:, -1:] + 1e-9
    best = np.max(np.where(allowed, found, 0.0), axis=1)
    return _ratio(best, np.where(false[:, -1] > 0, found[:, -1], 0.0))


def auroc(labels: npt.ArrayLike, scores: npt.ArrayLike) -> float:
    """Area under the ROC curve, 0..1: the chance that an abnormal slice scores above a normal one, ties one half."""
    return float(area_under_roc(*Ranked(labels, scores).counts())[0])


def average_precision(labels: npt.ArrayLike, scores: npt.ArrayLike) -> float:
    """Area under the precision-recall steps, 0..1; a random score reaches the share of abnormal slices."""
    return float(area_under_precision(*Ranked(labels, scores).counts())[0])


def fpr_at_tpr(labels: npt.ArrayLike, scores: npt.ArrayLike, tpr: float = 0.95) -> float:
    """The share of normal slices flagged, 0..1, at the highest threshold that finds the share `tpr` of the abnormal."""
    return float(fpr_from_counts(*Ranked(labels, scores).counts(), tpr)[0])


def sensitivity_at_specificity(labels: npt.ArrayLike, scores: npt.ArrayLike, specificity: float = 0.95) -> float:
    """The share of abnormal slices found, 0..1, while at least `specificity` of the normal ones is left alone."""
    return float(sensitivity_from_counts(*Ranked(labels, scores).counts(), specificity)[0])


def balanced_accuracy(labels: npt.ArrayLike, scores: npt.ArrayLike, threshold: float) -> float:
    """The mean of sensitivity and specificity, 0..1, where scores >= `threshold` count as flagged."""
    truth, values = checked(labels, scores)
    flagged = values >= threshold
    return float((np.mean(flagged[truth]) + np.mean(~flagged[~truth])) / 2)


def roc_points(
    labels: npt.ArrayLike, scores: npt.ArrayLike
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """False- and true-positive rate (u + 1,) from (0, 0) to (1, 1), and the thresholds, the first infinite."""
    ranked = Ranked(labels, scores)
    found, false = (counts[0] for counts in ranked.counts())
    start = np.zeros(1)
    return (
        np.concatenate([start, false / false[-1]]),
        np.concatenate([start, found / found[-1]]),
        np.concatenate([[np.inf], ranked.thresholds]),
    )


def precision_recall_points(
    labels: npt.ArrayLike, scores: npt.ArrayLike
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Precision and recall (u,) at each threshold, the highest threshold (lowest recall) first, and the thresholds."""
    ranked = Ranked(labels, scores)
    found, false = (counts[0] for counts in ranked.counts())
    return found / (found + false), found / found[-1], ranked.thresholds


# What the report gives of every score: name -> a function of counts, so that one pass over a resample gives them all.
SLICE_METRICS: dict[str, Callable[[Counts, Counts], npt.NDArray[np.float64]]] = {
    "auroc": area_under_roc,
    "average_precision": area_under_precision,
    "fpr_at_95_tpr": lambda found, false: fpr_from_counts(found, false, 0.95),
    "sensitivity_at_90_specificity": lambda found, false: sensitivity_from_counts(found, false, 0.90),
    "sensitivity_at_95_specificity": lambda found, false: sensitivity_from_counts(found, false, 0.95),
    "sensitivity_at_99_specificity": lambda found, false: sensitivity_from_counts(found, false, 0.99),
}


def _ratio(over: npt.NDArray[np.float64], under: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The ratio of both, NaN where `under` is 0."""
    out = np.full(np.shape(over), np.nan)
    np.divide(over, under, out=out, where=under > 0)
    return out

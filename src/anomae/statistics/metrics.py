"""How well scores separate abnormal from normal: figures on labels (n,) and scores (n,), and nothing else.

tp, fp: true and false positives at each threshold, as `Ranked.counts` gives them.
"""

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
        raise UserError(f"{len(bad)} of {len(values)} scores are not finite numbers, the first at index {bad[0]}.")
    abnormal = int(np.count_nonzero(truth))
    if abnormal in (0, len(truth)):
        raise UserError(
            f"{abnormal} abnormal and {len(truth) - abnormal} normal: both classes are needed for a metric."
        )
    return truth.astype(np.bool_), values


class Ranked:
    """Labels and scores sorted once from the highest score down, so that thousands of weightings are cheap."""

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
        tp = np.cumsum(taken, axis=1)
        if len(self.ends) < len(self.order):
            flagged, tp = flagged[:, self.ends], tp[:, self.ends]
        flagged -= tp
        return tp, flagged


def area_under_roc(tp: Counts, fp: Counts) -> npt.NDArray[np.float64]:
    """AUROC (r,) from counts (r, u): the share of abnormal-normal pairs in the right order, a tie counting one half."""
    won = tp.copy()
    won[:, 1:] += tp[:, :-1]  # twice the mean of the true positives before and at each step
    won[:, 1:] *= np.diff(fp, axis=1)
    won[:, 0] *= fp[:, 0]
    return _ratio(won.sum(axis=1), 2 * tp[:, -1] * fp[:, -1])


def area_under_precision(tp: Counts, fp: Counts) -> npt.NDArray[np.float64]:
    """Average precision (r,) from counts (r, u): precision at each threshold, weighted by the gain in recall."""
    precision = _ratio(tp, tp + fp)
    steps = np.diff(tp, axis=1, prepend=0.0)
    return _ratio(np.nansum(precision * steps, axis=1), np.where(fp[:, -1] > 0, tp[:, -1], 0.0))


def fpr_from_counts(tp: Counts, fp: Counts, tpr: float) -> npt.NDArray[np.float64]:
    """The lowest false-positive rate (r,) at a sensitivity of at least `tpr`."""
    enough = tp >= tpr * tp[:, -1:] - 1e-9
    first = np.argmax(enough, axis=1)
    return _ratio(fp[np.arange(len(fp)), first], np.where(tp[:, -1] > 0, fp[:, -1], 0.0))


def sensitivity_from_counts(tp: Counts, fp: Counts, specificity: float) -> npt.NDArray[np.float64]:
    """The highest sensitivity (r,) at a specificity of at least `specificity`."""
    allowed = fp <= (1 - specificity) * fp[:, -1:] + 1e-9
    best = np.max(np.where(allowed, tp, 0.0), axis=1)
    return _ratio(best, np.where(fp[:, -1] > 0, tp[:, -1], 0.0))


def auroc(labels: npt.ArrayLike, scores: npt.ArrayLike) -> float:
    """Area under the ROC curve, 0..1: the chance that an abnormal slice scores above a normal one, ties one half."""
    return float(area_under_roc(*Ranked(labels, scores).counts())[0])


def average_precision(labels: npt.ArrayLike, scores: npt.ArrayLike) -> float:
    """Area under the precision-recall steps, 0..1; a random score reaches the share of abnormal slices."""
    return float(area_under_precision(*Ranked(labels, scores).counts())[0])


def fpr_at_tpr(labels: npt.ArrayLike, scores: npt.ArrayLike, tpr: float = 0.95) -> float:
    """The false-positive rate, 0..1, at the highest threshold whose sensitivity is at least `tpr`."""
    return float(fpr_from_counts(*Ranked(labels, scores).counts(), tpr)[0])


def sensitivity_at_specificity(labels: npt.ArrayLike, scores: npt.ArrayLike, specificity: float = 0.95) -> float:
    """The highest sensitivity, 0..1, at a specificity of at least `specificity`."""
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
    tp, fp = (counts[0] for counts in ranked.counts())
    start = np.zeros(1)
    return (
        np.concatenate([start, fp / fp[-1]]),
        np.concatenate([start, tp / tp[-1]]),
        np.concatenate([[np.inf], ranked.thresholds]),
    )


def precision_recall_points(
    labels: npt.ArrayLike, scores: npt.ArrayLike
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Precision and recall (u,) at each threshold, the highest threshold (lowest recall) first, and the thresholds."""
    ranked = Ranked(labels, scores)
    tp, fp = (counts[0] for counts in ranked.counts())
    return tp / (tp + fp), tp / tp[-1], ranked.thresholds


def _ratio(over: npt.NDArray[np.float64], under: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The ratio of both, NaN where `under` is 0."""
    out = np.full(np.shape(over), np.nan)
    np.divide(over, under, out=out, where=under > 0)
    return out

"""DeLong's test: whether two scores of the same images differ in AUROC by more than chance would have them.

Source: DeLong, DeLong, Clarke-Pearson, Biometrics 44 (1988), computed from midranks (Sun and Xu, IEEE Signal
Processing Letters 21, 2014), in the form for clusters: Obuchowski, Biometrics 53 (1997).  DeLong's own takes images as
independent, which slices of one patient are not; where every patient has one image the two are the same.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from anomae.statistics.holders import slice_holders, student, why_no_interval
from anomae.statistics.intervals import Interval
from anomae.statistics.metrics import checked

_NONE = 1e-12  # what only rounding tells from 0


@dataclass(frozen=True, slots=True)
class DeLong:
    """AUROC of one score minus that of another: 95 % interval, z and two-sided p.

    z is None where the difference has no spread at all: there is an interval, and p is 1, only where both figures are
    equal.  All but the difference is None where there are too few patients: `why`.
    """

    difference: float
    low: float | None = None
    high: float | None = None
    z: float | None = None
    p: float | None = None
    why: str = ""

    @property
    def interval(self) -> Interval:
        """To be printed."""
        return Interval(self.difference, self.low, self.high, self.why)

    def to_json(self) -> dict[str, float | None]:
        """{"value", "low", "high", "z", "p"}."""
        return {"value": self.difference, "low": self.low, "high": self.high, "z": self.z, "p": self.p}


def auroc_covariance(
    labels: npt.ArrayLike, scores: npt.NDArray[np.float64], patient: npt.NDArray[np.int64] | None = None
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """AUROC (k,) of k scores (k, n) of the same n images, and the covariance (k, k) of these figures.

    patient: (n,), 0..p-1, whose image each is; None: every image is of another patient.  Raises UserError as `checked`
    does.  A class that one patient alone holds adds nothing to the covariance, which is then too small.
    """
    from scipy.stats import rankdata

    truth = np.array([checked(labels, column)[0] for column in scores])[0]
    who = np.arange(len(truth)) if patient is None else np.asarray(patient)
    abnormal, normal = scores[:, truth], scores[:, ~truth]
    m, n = abnormal.shape[1], normal.shape[1]
    ranks = rankdata(np.concatenate([abnormal, normal], axis=1), axis=1)
    above = (ranks[:, :m] - rankdata(abnormal, axis=1)) / n  # of each abnormal image: share of normal ones below it
    below = 1 - (ranks[:, m:] - rankdata(normal, axis=1)) / m  # of each normal image: share of abnormal ones above it
    areas = above.mean(axis=1)
    patients = int(who.max()) + 1
    sums, held = [], []  # by class: of each patient, what its images add to the figure, over their number in all
    for parts, own in ((above, who[truth]), (below, who[~truth])):
        apart = (parts - areas[:, None]) / parts.shape[1]
        sums.append(np.stack([np.bincount(own, weights=row, minlength=patients) for row in apart]))
        held.append(np.bincount(own, minlength=patients) > 0)
    covariance = np.zeros((len(scores),) * 2)
    for part, holds in zip(sums, held, strict=True):
        count = int(holds.sum())
        if count > 1:
            covariance += part @ part.T * (count / (count - 1))
    cross, count = sums[0] @ sums[1].T, int((held[0] | held[1]).sum())
    return areas, covariance + (cross + cross.T) * (count / (count - 1) if count > 1 else 1.0)


def delong_test(
    labels: npt.ArrayLike, one: npt.ArrayLike, other: npt.ArrayLike, patient: npt.NDArray[np.int64] | None = None
) -> DeLong:
    """AUROC of `one` minus that of `other`, (n,) each, higher is more anomalous; patient (n,) as above.

    Nothing but the difference where fewer than five patients hold a class; up to thirty, Student's t stands in for the
    normal distribution (`student`).  Raises UserError as `checked`.
    """
    from scipy.stats import norm, t

    both = np.stack([np.asarray(one, dtype=np.float64), np.asarray(other, dtype=np.float64)])
    areas, covariance = auroc_covariance(labels, both, patient)
    difference = float(areas[0] - areas[1])
    groups = slice_holders(labels, np.arange(both.shape[1]) if patient is None else patient)
    if why := why_no_interval(groups):
        return DeLong(difference, why=why)
    spread = float(np.sqrt(max(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1], 0.0)))
    if spread < _NONE:
        if abs(difference) < _NONE:
            return DeLong(0.0, 0.0, 0.0, None, 1.0)
        return DeLong(difference, why="no two patients differ: no interval")
    z, (freedom, wider) = difference / spread, student(groups)
    if freedom is None:
        reach, p = 1.959963984540054 * spread, float(2 * norm.sf(abs(z)))
    else:
        reach, p = float(t.ppf(0.975, freedom)) * wider * spread, float(2 * t.sf(abs(z) / wider, freedom))
    return DeLong(difference, max(-1.0, difference - reach), min(1.0, difference + reach), z, p)


def holm(ps: list[float]) -> list[float]:
    """p-values adjusted for being several (Holm, Scandinavian Journal of Statistics 6, 1979), in the same order."""
    order = sorted(range(len(ps)), key=ps.__getitem__)
    adjusted, least = [0.0] * len(ps), 0.0
    for rank, index in enumerate(order):
        least = max(least, min(1.0, (len(ps) - rank) * ps[index]))
        adjusted[index] = least
    return adjusted

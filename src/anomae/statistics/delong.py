"""DeLong's test: whether two scores of the same images differ in AUROC by more than chance would have them.

Source: DeLong, DeLong, Clarke-Pearson, Biometrics 44 (1988), computed from midranks (Sun and Xu, IEEE Signal
Processing Letters 21, 2014).  It takes images as independent; slices of one patient are not, so on slices its
intervals are too narrow: the bootstrap by patient comes first, and this stands beside it for comparison with others.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from anomae.statistics.metrics import checked


@dataclass(frozen=True, slots=True)
class DeLong:
    """AUROC of one score minus that of another: 95 % interval, z and two-sided p.

    z is None where the difference has no spread at all (equal scores, or both perfect); p is then 1 or, where the
    figures differ, 0.
    """

    difference: float
    low: float
    high: float
    z: float | None
    p: float

    def to_json(self) -> dict[str, float | None]:
        """{"value", "low", "high", "z", "p"}."""
        return {"value": self.difference, "low": self.low, "high": self.high, "z": self.z, "p": self.p}


def auroc_covariance(
    labels: npt.ArrayLike, scores: npt.NDArray[np.float64]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """AUROC (k,) of k scores (k, n) of the same n images, and the covariance (k, k) of these figures.

    Raises UserError as `checked` does, and where a class has fewer than two images.
    """
    from scipy.stats import rankdata

    truth = np.array([checked(labels, column)[0] for column in scores])[0]
    abnormal, normal = scores[:, truth], scores[:, ~truth]
    m, n = abnormal.shape[1], normal.shape[1]
    ranks = rankdata(np.concatenate([abnormal, normal], axis=1), axis=1)
    above = (ranks[:, :m] - rankdata(abnormal, axis=1)) / n  # of each abnormal image: share of normal ones below it
    below = 1 - (ranks[:, m:] - rankdata(normal, axis=1)) / m  # of each normal image: share of abnormal ones above it
    covariance = np.zeros((len(scores),) * 2)
    for parts in (above, below):
        if parts.shape[1] > 1:
            covariance += np.atleast_2d(np.cov(parts)) / parts.shape[1]
    return above.mean(axis=1), covariance


def delong_test(labels: npt.ArrayLike, one: npt.ArrayLike, other: npt.ArrayLike) -> DeLong:
    """AUROC of `one` minus that of `other`, (n,) each, higher is more anomalous.  Raises UserError as `checked`."""
    from scipy.stats import norm

    both = np.stack([np.asarray(one, dtype=np.float64), np.asarray(other, dtype=np.float64)])
    areas, covariance = auroc_covariance(labels, both)
    difference = float(areas[0] - areas[1])
    spread = float(np.sqrt(max(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1], 0.0)))
    if spread < 1e-12:
        return DeLong(difference, difference, difference, None, 1.0 if abs(difference) < 1e-12 else 0.0)
    z, reach = difference / spread, 1.959963984540054 * spread
    return DeLong(difference, difference - reach, difference + reach, z, float(2 * norm.sf(abs(z))))


def holm(ps: list[float]) -> list[float]:
    """p-values adjusted for being several (Holm, Scandinavian Journal of Statistics 6, 1979), in the same order."""
    order = sorted(range(len(ps)), key=ps.__getitem__)
    adjusted, least = [0.0] * len(ps), 0.0
    for rank, index in enumerate(order):
        least = max(least, min(1.0, (len(ps) - rank) * ps[index]))
        adjusted[index] = least
    return adjusted

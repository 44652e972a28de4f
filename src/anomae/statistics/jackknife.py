"""Intervals of an AUROC between slices and the same slices altered: from leaving out one patient at a time.

Where every patient holds both classes, a k-th part of the pairs is within one patient, which many patients have not:
the figure of k patients is off by about 1 / k, and resamples with replacement by twice that, so that percentiles hold
the truth as seldom as 52 times in 100.  The jackknife takes that part away (Quenouille, Biometrika 43, 1956; Tukey).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from anomae.statistics.holders import Holders, holders, why_no_interval
from anomae.statistics.intervals import Interval
from anomae.statistics.pairs import PatientPairs


@dataclass(frozen=True, slots=True)
class Jackknife:
    """A figure, 0..1, and the same one without each of the k patients, (k,), NaN where nothing is left."""

    value: float
    without: npt.NDArray[np.float64]
    held: Holders

    def interval(self) -> Interval:
        """On the logit scale, by Student's t of the effective patients; the figure itself always lies inside."""
        from scipy.stats import t

        why = why_no_interval([self.held])
        if why or not np.isfinite(self.without).all():
            return Interval(self.value, why=why or "too few patients for an interval")
        patients = len(self.without)
        whole, parts = _logit(np.array([self.value]), patients)[0], _logit(self.without, patients)
        single = patients * whole - (patients - 1) * parts
        reach = float(t.ppf(0.975, max(self.held.effective - 1, 1.0)) * single.std(ddof=1) / np.sqrt(patients))
        low, high = (float(1 / (1 + np.exp(-end))) for end in (single.mean() - reach, single.mean() + reach))
        all_alike = 0.025 ** (1 / self.held.effective)  # where all agree, what as many patients leave possible
        if self.value >= 1:
            low = min(low, all_alike)
        if self.value <= 0:
            high = max(high, 1 - all_alike)
        return Interval(self.value, min(low, self.value), max(high, self.value))


def jackknifed_aurocs(
    labels: npt.ArrayLike, columns: Mapping[str, npt.NDArray[np.float64]], patients: npt.NDArray[np.str_]
) -> dict[str, Jackknife]:
    """AUROC by column (n,), where every patient (n,) holds both classes.  Raises UserError as `PatientPairs` does.

    NaN in a column: a slice that has no part in its figure.
    """
    truth = np.asarray(labels)
    _, index = np.unique(patients, return_inverse=True)
    count = int(index.max()) + 1
    found = {}
    for name, scores in columns.items():
        kept = ~np.isnan(scores)
        pairs = PatientPairs(truth[kept], scores[kept], index[kept])
        whole = float(pairs.auroc(np.ones((1, count)))[0])
        held = holders("slices", np.bincount(index[kept]))
        found[name] = Jackknife(whole, pairs.auroc(1 - np.eye(count)), held)
    return found


def mean_jackknife(figures: Sequence[Jackknife]) -> Jackknife:
    """The mean of figures of the same patients; what holds it is what holds the figure of the fewest."""
    value = float(np.mean([figure.value for figure in figures]))
    held = min((figure.held for figure in figures), key=lambda held: (held.patients, held.effective))
    return Jackknife(value, np.mean([figure.without for figure in figures], axis=0), held)


def _logit(shares: npt.NDArray[np.float64], patients: int) -> npt.NDArray[np.float64]:
    """Kept from 0 and 1 by a tenth of a pair of patients."""
    inside = np.clip(shares, 0.1 / patients**2, 1 - 0.1 / patients**2)
    return np.asarray(np.log(inside / (1 - inside)))

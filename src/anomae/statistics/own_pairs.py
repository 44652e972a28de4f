"""Pairs of an abnormal and a normal slice of one patient, which an interval of an AUROC has to leave out.

Of k patients that hold both classes a k-th part of the pairs is within one patient, and with replacement twice that:
where patients have effects of their own such pairs are ordered otherwise than those of two patients, which among many
patients nearly all are.  So the figure of k patients is off by about 1 / k and its resamples by twice that.  Where all
patients hold both classes in equal parts, so that their effects cancel in all other pairs, percentiles of such
resamples held the truth as seldom as 26 times in 100.  So each draw of a patient counts as another patient, whose own
pairs are left out: resamples then lie about the figure, and are moved to that of different patients alone (Hoeffding's
U-statistic, Annals of Mathematical Statistics 19, 1948; Arcones and Gine, Annals of Statistics 20, 1992).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from anomae.statistics.holders import FEWEST_PATIENTS


@dataclass(frozen=True, slots=True)
class OwnPairs:
    """The pairs of slices of one patient that are left out: won, a tie counting one half, and possible; (p,) each."""

    won: npt.NDArray[np.float64]
    possible: npt.NDArray[np.float64]

    def taken_out_of(
        self, auroc: npt.NDArray[np.float64], possible: npt.NDArray[np.float64], times: npt.NDArray[Any]
    ) -> npt.NDArray[np.float64]:
        """AUROC (k,) without the own pairs of each draw of a patient, NaN where no other is left.

        auroc, possible: (k,), the figure of all pairs and their number, where patients are drawn `times` (k, p).
        """
        if not self.possible.any():
            return auroc
        drawn = np.asarray(times, dtype=np.float64)
        others = possible - drawn @ self.possible
        out = np.full(len(auroc), np.nan)
        np.divide(auroc * possible - drawn @ self.won, others, out=out, where=others > 1e-9 * possible)
        return np.asarray(np.clip(out, 0.0, 1.0))


def own_pairs(
    labels: npt.NDArray[np.bool_],
    scores: npt.NDArray[np.float64],
    patient: npt.NDArray[np.int64],
    band: npt.NDArray[np.int64],
    patients: int,
) -> OwnPairs:
    """Of labels, scores, patient (0..patients-1) and band (n,): only slices of one band are compared, below 0: none.

    In a band of which few patients hold a class its own pairs may be all that it has: of one patient none is left out,
    of five or more all, between them a part.
    """
    found = np.zeros((2, patients))
    for one in np.intersect1d(band[labels & (band >= 0)], band[~labels]):
        inside = band == one
        held = [np.bincount(patient[inside & which], minlength=patients) for which in (labels, ~labels)]  # slices
        fewest = min(np.count_nonzero(slices) for slices in held)
        part = min(1.0, (fewest - 1) / (FEWEST_PATIENTS - 1))
        mixed = (held[0] > 0) & (held[1] > 0)
        here = np.flatnonzero(inside & mixed[patient])
        if part > 0 and len(here):
            found[0] += part * _won(labels[here], scores[here], patient[here], patients)
            found[1] += part * held[0] * held[1]
    return OwnPairs(*found)


def _won(
    labels: npt.NDArray[np.bool_], scores: npt.NDArray[np.float64], patient: npt.NDArray[np.int64], patients: int
) -> npt.NDArray[np.float64]:
    """Pairs won within each patient, (p,): going up his scores, the normal slices below each abnormal one."""
    order = np.lexsort((scores, patient))
    who, value, abnormal = patient[order], scores[order], labels[order]
    new = np.append(True, (who[1:] != who[:-1]) | (value[1:] != value[:-1]))  # equal scores are one step
    step = np.cumsum(new) - 1
    normal = np.bincount(step, weights=~abnormal)
    below = np.cumsum(normal) - normal / 2  # of all patients up to this one
    first = np.append(True, who[1:] != who[:-1])
    earlier = np.cumsum(~abnormal)[first] - ~abnormal[first]  # of the patients before
    start = np.repeat(earlier, np.diff(np.append(np.flatnonzero(first), len(who))))
    won = np.bincount(who[abnormal], weights=(below[step] - start)[abnormal], minlength=patients)
    return won.astype(np.float64)

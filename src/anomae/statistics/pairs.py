"""How many abnormal-normal pairs a score orders rightly, counted once for every pair of patients.

A resample of patients then needs no sorting: each pair of patients counts as often as both were drawn.
"""

import numpy as np
import numpy.typing as npt

from anomae.errors import UserError

MOST_CELLS = 4_000_000  # of the table patients x patients


def worth_pairing(labels: npt.ArrayLike, patient: npt.NDArray[np.int64]) -> bool:
    """Whether the table of patient pairs is small beside the slices."""
    truth = np.asarray(labels).astype(np.bool_)
    normal, abnormal = len(np.unique(patient[~truth])), len(np.unique(patient[truth]))
    return bool(normal * abnormal <= MOST_CELLS and normal * np.count_nonzero(truth) <= 10 * MOST_CELLS)


class PatientPairs:
    """The pairs of an abnormal slice of one patient and a normal slice of another (or the same), won and possible."""

    def __init__(
        self,
        labels: npt.ArrayLike,
        scores: npt.ArrayLike,
        patient: npt.NDArray[np.int64],
        band: npt.NDArray[np.int64] | None = None,
    ) -> None:
        """patient: (n,), a number for each.  band: (n,), only slices of one band are compared; below 0: left out.

        Raises UserError where a score is not finite, or where no pair is left.
        """
        truth, values = np.asarray(labels).astype(np.bool_), np.asarray(scores, dtype=np.float64)
        if not np.isfinite(values).all():
            raise UserError("A score is not a finite number.")
        bands = np.zeros(len(values), dtype=np.int64) if band is None else np.asarray(band)
        kept = bands >= 0
        abnormal, normal = np.flatnonzero(truth & kept), np.flatnonzero(~truth & kept)
        self.abnormal_patients, of_abnormal = np.unique(patient[abnormal], return_inverse=True)
        self.normal_patients, of_normal = np.unique(patient[normal], return_inverse=True)
        rows, columns = len(self.abnormal_patients), len(self.normal_patients)
        self.won, self.possible = np.zeros((rows, columns)), np.zeros((rows, columns))
        for one in np.unique(bands[abnormal]):
            here, there = abnormal[bands[abnormal] == one], normal[bands[normal] == one]
            who = of_abnormal[bands[abnormal] == one]
            against = of_normal[bands[normal] == one]
            sizes = np.bincount(who, minlength=rows)
            for column in np.unique(against):
                baselines = np.sort(values[there[against == column]])
                below = np.searchsorted(baselines, values[here], "left")
                upto = np.searchsorted(baselines, values[here], "right")
                self.won[:, column] += np.bincount(who, weights=(below + upto) / 2, minlength=rows)
                self.possible[:, column] += sizes * len(baselines)
        if not self.possible.any():
            raise UserError("No abnormal and normal slice to compare.")

    def auroc(self, times: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """AUROC (k,) where each patient counts `times` (k, patients); NaN where no pair was drawn."""
        rows, columns = times[:, self.abnormal_patients], times[:, self.normal_patients]
        won = np.einsum("kp,kp->k", rows @ self.won, columns)
        possible = np.einsum("kp,kp->k", rows @ self.possible, columns)
        out = np.full(len(won), np.nan)
        np.divide(won, possible, out=out, where=possible > 0)
        return out

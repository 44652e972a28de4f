"""How many abnormal-normal pairs a score orders rightly, counted once for every pair of patients.

A resample of patients then needs no sorting: each pair of patients counts as often as both were drawn.
"""

import numpy as np
import numpy.typing as npt

from anomae.errors import UserError

MOST_CELLS = 4_000_000  # of the table patients x patients
_CELLS_AT_ONCE = 500_000  # of abnormal slices x patients


def worth_pairing(labels: npt.ArrayLike, patient: npt.NDArray[np.int64]) -> bool:
    """Whether the table of patient pairs is small beside the slices."""
    truth = np.asarray(labels).astype(np.bool_)
    normal, abnormal = (np.count_nonzero(np.bincount(patient[which])) for which in (~truth, truth))
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
        shared = np.intersect1d(bands[abnormal], bands[normal])
        if not len(shared):
            raise UserError("No abnormal and normal slice to compare.")
        self.abnormal_patients, of_abnormal = np.unique(patient[abnormal], return_inverse=True)
        self.normal_patients, of_normal = np.unique(patient[normal], return_inverse=True)
        rows, columns = len(self.abnormal_patients), len(self.normal_patients)
        self.won = np.zeros((rows, columns))
        self.abnormal, self.normal = np.zeros((rows, len(shared))), np.zeros((columns, len(shared)))  # slices by band
        for index, one in enumerate(shared):
            here, there = bands[abnormal] == one, bands[normal] == one
            own, others = of_abnormal[here], of_normal[there]
            self.abnormal[:, index] = np.bincount(own, minlength=rows)
            self.normal[:, index] = np.bincount(others, minlength=columns)
            _add_won(self.won, values[abnormal[here]], own, values[normal[there]], others)

    def auroc(self, times: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """AUROC (k,) where each patient counts `times` (k, patients); NaN where no pair was drawn."""
        won = np.einsum("kp,kp->k", times[:, self.abnormal_patients] @ self.won, times[:, self.normal_patients])
        possible = self.possible(times)
        out = np.full(len(won), np.nan)
        np.divide(won, possible, out=out, where=possible > 0)
        return out

    def possible(self, times: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """How many pairs there are (k,)."""
        rows, columns = times[:, self.abnormal_patients], times[:, self.normal_patients]
        return np.asarray(np.einsum("kb,kb->k", rows @ self.abnormal, columns @ self.normal))


def _add_won(
    won: npt.NDArray[np.float64],
    abnormal: npt.NDArray[np.float64],
    own: npt.NDArray[np.int64],
    normal: npt.NDArray[np.float64],
    others: npt.NDArray[np.int64],
) -> None:
    """Add to `won` (p, q) the pairs that abnormal scores (m,) win against normal ones (n,), a tie counting one half.

    own (m,), others (n,): whose slice each is.
    Going up the abnormal scores, each normal one counts from the first that is not below it, half, and from the first
    above it, the other half.
    """
    from scipy.sparse import csr_matrix

    order = np.argsort(abnormal, kind="stable")
    rising, owner = abnormal[order], own[order]
    start = np.concatenate([np.searchsorted(rising, normal, side) for side in ("left", "right")])
    whose, counted = np.concatenate([others, others]), start < len(rising)
    halves = np.full(np.count_nonzero(counted), 0.5)
    begins = csr_matrix((halves, (start[counted], whose[counted])), shape=(len(rising), won.shape[1]))
    below, size = np.zeros(won.shape[1]), max(1, _CELLS_AT_ONCE // won.shape[1])
    for first in range(0, len(rising), size):
        table = begins[first : first + size].toarray()  # (abnormal slices, normal patients)
        table[0] += below
        np.cumsum(table, axis=0, out=table)
        below = table[-1]
        which = owner[first : first + size]
        ones = csr_matrix((np.ones(len(which)), (which, np.arange(len(which)))), shape=(len(won), len(which)))
        won += ones @ table

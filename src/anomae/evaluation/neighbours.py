"""Scores smoothed over the neighbouring slices of a scan: what is in one slice is mostly in the next one too."""

import numpy as np
import numpy.typing as npt

from anomae.errors import UserError

NEIGHBOURS = "score_neighbours"  # the column of scores.csv; a detector's own `smoothed` is of its map

Numbers = npt.NDArray[np.int64]


def smoothed_over_neighbours(
    scores: npt.ArrayLike, case: npt.ArrayLike, slice: npt.ArrayLike
) -> npt.NDArray[np.float64]:
    """1/4 of the score of the slice below, 1/2 of its own, 1/4 of that of the slice above, (n,).

    scores: (n,), in any unit.  case: (n,), the scan that each slice is of.  slice: (n,), whole numbers; neighbours
    are those of one case whose numbers differ by one.  Where there is no slice below or above, the slice itself stands
    for it; so the sum over a run of neighbours stays what it was.  The order of the n slices changes nothing.
    Raises UserError where a case has a slice number twice.
    """
    values = np.asarray(scores, dtype=np.float64)
    below, above = _neighbours(case, slice)
    return 0.5 * values + 0.25 * (values[below] + values[above])


def has_neighbours(case: npt.ArrayLike, slice: npt.ArrayLike) -> bool:
    """Whether any slice has a neighbour; case, slice: (n,).  Raises UserError as `smoothed_over_neighbours` does."""
    below, _ = _neighbours(case, slice)
    return bool((below != np.arange(len(below))).any())


def _neighbours(case: npt.ArrayLike, slice: npt.ArrayLike) -> tuple[Numbers, Numbers]:
    """Places of the slice below and of the slice above each slice, (n,) each; its own where there is none."""
    number = np.asarray(slice, dtype=np.int64)
    _, scan = np.unique(np.asarray(case), return_inverse=True)
    order = np.lexsort((number, scan))
    same, step = np.diff(scan[order]) == 0, np.diff(number[order])
    if (same & (step == 0)).any():
        raise UserError("A scan has two slices of the same number, so which are neighbours is not known.")
    lower = np.flatnonzero(same & (step == 1))
    below, above = np.arange(len(number)), np.arange(len(number))
    below[order[lower + 1]] = order[lower]
    above[order[lower]] = order[lower + 1]
    return below, above

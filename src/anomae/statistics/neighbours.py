"""Scores smoothed over the neighbouring slices of a scan: what is in one slice is mostly in the next one too."""

import numpy as np
import numpy.typing as npt

from anomae.slices.neighbours import below_and_above

NEIGHBOURS = "score_neighbours"  # the column of scores.csv; a detector's own `smoothed` is of its map
ALONE = "score_alone"  # in a report on smoothed scores: each slice's own, which is the column score elsewhere


def smoothed_over_neighbours(
    scores: npt.ArrayLike, case: npt.ArrayLike, slice: npt.ArrayLike
) -> npt.NDArray[np.float64]:
    """1/4 of the score of the slice below, 1/2 of its own, 1/4 of that of the slice above, (n,).

    scores: (n,), in any unit.  case: (n,), the scan that each slice is of.  slice: (n,), whole numbers; neighbours
    are those of one case whose numbers differ by one.  Where there is no slice below or above, the slice itself stands
    for it; so the sum over a run of neighbours stays what it was.  The order of the n slices changes nothing.  Finite
    scores stay finite, up to the largest number there is.
    Raises UserError where a case has a slice number twice.
    """
    values = np.asarray(scores, dtype=np.float64)
    below, above = below_and_above(case, slice)
    with np.errstate(over="ignore", invalid="ignore"):
        smoothed = 0.5 * values + 0.25 * (values[below] + values[above])
    beyond = np.flatnonzero(~np.isfinite(smoothed) & np.isfinite(values))  # two neighbours' sum passed that number
    smoothed[beyond] = 0.5 * values[beyond] + (0.25 * values[below[beyond]] + 0.25 * values[above[beyond]])
    return smoothed


def has_neighbours(case: npt.ArrayLike, slice: npt.ArrayLike) -> bool:
    """Whether any slice has a neighbour; case, slice: (n,).  Raises UserError as `smoothed_over_neighbours` does."""
    below, _ = below_and_above(case, slice)
    return bool((below != np.arange(len(below))).any())

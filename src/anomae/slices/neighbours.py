"""Which slices lie below and above each slice: those of the same scan whose numbers are lower and higher."""

import numpy as np
import numpy.typing as npt

from anomae.errors import UserError

Numbers = npt.NDArray[np.int64]


def below_and_above(case: npt.ArrayLike, slice: npt.ArrayLike) -> tuple[Numbers, Numbers]:
    """Indices of the slice below and of the slice above each slice, (n,) each; its own where there is none.

    case: (n,), the scan that each slice is of.  slice: (n,), whole numbers.  The order of the n slices changes nothing.
    Raises UserError where a case has a slice number twice.
    """
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


def within_reach(
    slice: npt.ArrayLike, reach: int, group: npt.ArrayLike, aloof: npt.NDArray[np.bool_] | None = None
) -> Numbers:
    """Indices of the slices whose numbers are -reach..reach from each slice of one scan, (n, 2 * reach + 1).

    slice: (n,), whole numbers.  group: (n,); only slices of one group are neighbours, and those of group "" are no
    one's.  aloof: (n,), slices whose neighbours are only one another, which others may have too; None: none is.  Where
    there is no such neighbour, the slice itself stands in.  Raises UserError where a number is there twice.
    """
    number, groups = np.asarray(slice, dtype=np.int64), np.asarray(group)
    shy = np.zeros(len(number), dtype=np.bool_) if aloof is None else aloof
    order = np.argsort(number, kind="stable")
    ordered = number[order]
    if (np.diff(ordered) == 0).any():
        raise UserError("A scan has two slices of the same number, so which are neighbours is not known.")
    own = np.arange(len(number))
    columns = []
    for step in range(-reach, reach + 1):
        at = np.minimum(np.searchsorted(ordered, number + step), max(len(number) - 1, 0))
        found = order[at]
        there = (ordered[at] == number + step) & (groups[found] == groups) & (groups != "") & (~shy | shy[found])
        columns.append(np.where(there, found, own))
    return np.stack(columns, axis=1).astype(np.int64)

"""Holes of a mask: what it encloses; and its largest piece."""

import numpy as np
import numpy.typing as npt


def filled(where: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """A mask (h, w) and its holes: what is not of it and not joined, side by side, to an edge of the image.

    As scipy.ndimage.binary_fill_holes, which grows the outside step by step over the whole image, gives it, but sooner.
    """
    from scipy.ndimage import label

    rows, columns = (np.flatnonzero(where.any(axis=axis)) for axis in (1, 0))
    if not len(rows):
        return where
    box = (slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1))
    around, _ = label(~np.pad(where[box], 1))  # what surrounds the box is joined to every edge
    whole = where.copy()
    whole[box] = (around != around[0, 0])[1:-1, 1:-1]
    return whole


def largest_filled(where: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """The largest connected piece of (n, h, w), the holes of each of its slices filled."""
    from scipy.ndimage import label

    numbered, count = label(where)
    if count > 1:
        sizes = np.bincount(numbered.ravel())
        sizes[0] = 0
        where = numbered == sizes.argmax()
    return np.stack([filled(one) for one in where]) if count else where

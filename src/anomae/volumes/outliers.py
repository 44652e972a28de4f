"""Voxels that lie so far from all others that they are faults of a file, not of a body: a bound for each side.

Not a percentile: a percentile would move the scale of every sound scan.  A bound is found only where a few voxels stand
apart from the rest by a gap wider than all that the rest spans, which no sound scan tried so far has; there the bounds
are None and nothing changes, to the last bit.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

# At most one voxel in a thousand and sixteen in all stand apart; darker ones up to one in ten thousand, as corrupt
# blocks come as the type's smallest number.
FEW_SHARE, FEW, DARK_SHARE = 1e-3, 16, 1e-4
# The gap, in spans of all that lies within.  Bright spikes (vessels, metal) are real far more often than dark ones.
DARK_GAP, BRIGHT_GAP = 1.0, 6.0
_SAMPLE = 2**20


def outlier_bounds(images: npt.NDArray[Any]) -> tuple[float, float] | None:
    """The smallest and the largest value of the scan without its outliers; None where it has none.

    images: (n, h, w), or (n, h, w, c).  Voxels that are no finite number do not count.  Pixels of 8 bits and truth
    values have none: their type is too narrow.  A scan of fewer than a thousand voxels has none.  A slice at a time is
    held as float32.
    """
    if images.dtype.itemsize < 2:
        return None
    bright = min(int(images.size * FEW_SHARE), FEW)
    dark = max(bright, int(images.size * DARK_SHARE))
    if not bright:
        return None
    rows = images[:, :: max(1, images.size // _SAMPLE)]
    ends = _ends(finite_values(rows), dark + 1, bright + 1)
    if ends is not None:
        # Of a sample these two are no outliers, whatever the outliers are; the rest of the whole scan spans no less.
        low, high = float(ends[0][-1]), float(ends[1][0])
        least, most = _range(images)
        if high > low and least >= low - DARK_GAP * (high - low) and most <= high + BRIGHT_GAP * (high - low):
            return None
    ends = _ends(finite_values(images), dark + 1, bright + 1)
    if ends is None:
        return None
    smallest, largest = ends
    low, high = float(smallest[-1]), float(largest[0])
    if not high > low:
        return None  # all but a few voxels are one value: what the few are is not for us to say
    before, after = len(smallest) - 1, 0
    grown = True
    while grown:
        grown = False
        while before > 0 and low - float(smallest[before - 1]) <= DARK_GAP * (high - low):
            before, low, grown = before - 1, float(smallest[before - 1]), True
        while after < len(largest) - 1 and float(largest[after + 1]) - high <= BRIGHT_GAP * (high - low):
            after, high, grown = after + 1, float(largest[after + 1]), True
    return None if before == 0 and after == len(largest) - 1 else (low, high)


def _ends(
    slices: Iterator[npt.NDArray[np.float32]], dark: int, bright: int
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]] | None:
    """The `dark` smallest and the `bright` largest values, each in rising order; None where there are fewer in all."""
    smallest = largest = np.empty(0, np.float32)
    seen = 0
    for values in slices:
        seen += values.size
        smallest = np.concatenate([smallest, values])
        largest = np.concatenate([largest, values])
        if smallest.size > dark:
            smallest = np.partition(smallest, dark - 1)[:dark]
        if largest.size > bright:
            largest = np.partition(largest, largest.size - bright)[-bright:]
    return None if seen < dark + bright else (np.sort(smallest), np.sort(largest))


def _range(images: npt.NDArray[Any]) -> tuple[float, float]:
    least, most = np.inf, -np.inf
    for values in finite_values(images):
        if values.size:
            least, most = min(least, float(values.min())), max(most, float(values.max()))
    return least, most


def finite_values(images: npt.NDArray[Any]) -> Iterator[npt.NDArray[np.float32]]:
    """The finite values (k,) of one slice (h, w) after another; a double too large for float32 is not finite."""
    for image in images:
        with np.errstate(over="ignore"):
            values = image.astype(np.float32).ravel()
        yield values[np.isfinite(values)] if image.dtype.kind == "f" else values

"""Means of bilinear samples on a turned grid, as one sparse product an image.

The slices of a scan are all sampled alike, so where the samples lie is worked out once.
"""

from functools import lru_cache
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Beyond = Literal["zero", "nearest"]
Pair = tuple[float, float]

# Of finer grids than this the shares would fill memory; those are sampled image by image.
MOST_SAMPLES = 2**21
_SAMPLES_AT_ONCE = 2**17


@lru_cache(maxsize=4)
def turned_means(
    shape: tuple[int, int], matrix: tuple[Pair, Pair], offset: Pair, size: tuple[int, int], fine: int, beyond: Beyond
) -> Any:
    """(H * W, h * w) float64, sparse: shares of the pixels of an image (h, w) in means of `fine` x `fine` samples.

    The sample (i, j) of all (H fine, W fine) lies at `matrix` (i, j) + `offset` of the image, in pixels.  shape:
    (h, w).  size: (H, W).  beyond: what lies outside the image; its outermost pixels fall off to it linearly ("zero")
    or are repeated ("nearest").
    """
    from scipy.sparse import vstack

    rows, columns = size
    at_once = max(1, _SAMPLES_AT_ONCE // (columns * fine**2))
    starts = range(0, rows, at_once)
    blocks = [
        _shares(shape, matrix, offset, (start, min(start + at_once, rows)), columns, fine, beyond) for start in starts
    ]
    return vstack(blocks, format="csr")


def _shares(
    shape: tuple[int, int],
    matrix: tuple[Pair, Pair],
    offset: Pair,
    rows: tuple[int, int],
    columns: int,
    fine: int,
    beyond: Beyond,
) -> Any:
    """The rows of `turned_means` of these rows of the means: from the first, without the last."""
    from scipy.sparse import coo_array

    (height, width), (first, last) = shape, rows
    i, j = np.arange(first * fine, last * fine)[:, None], np.arange(columns * fine)[None]
    y, x = (one[0] * i + one[1] * j + start for one, start in zip(matrix, offset, strict=True))
    if beyond == "nearest":
        y, x = np.clip(y, 0, height - 1), np.clip(x, 0, width - 1)
    mean = np.broadcast_to((i // fine - first) * columns + j // fine, y.shape)
    below, left = np.floor(y), np.floor(x)
    down, right = y - below, x - left
    means, pixels, shares = [], [], []
    for lower, beside in ((0, 0), (0, 1), (1, 0), (1, 1)):
        share = (down if lower else 1 - down) * (right if beside else 1 - right) / fine**2
        row, column = below + lower, left + beside
        counts = (row >= 0) & (row < height) & (column >= 0) & (column < width) & (share != 0)
        means.append(mean[counts])
        pixels.append((row[counts] * width + column[counts]).astype(np.int64))
        shares.append(share[counts])
    where = (np.concatenate(means), np.concatenate(pixels))
    return coo_array((np.concatenate(shares), where), shape=((last - first) * columns, height * width)).tocsr()


def applied(means: Any, image: npt.NDArray[Any], size: tuple[int, int]) -> npt.NDArray[np.float32]:
    """What `turned_means` of an image (h, w) come to: `size` (H, W) float32."""
    return np.asarray((means @ image.ravel().astype(np.float64)).reshape(size), dtype=np.float32)

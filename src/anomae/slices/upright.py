"""Means of bilinear samples on an upright grid: along the rows, then along the columns, as sums over few pixels."""

from typing import Any, Literal

import numpy as np
import numpy.typing as npt

_ROWS = 512  # of a large image that are held in doubles


def upright_means(
    image: npt.NDArray[Any],
    step: npt.NDArray[np.float64],
    offset: npt.NDArray[np.float64],
    size: tuple[int, int],
    fine: int,
    beyond: Literal["zero", "nearest"],
) -> npt.NDArray[np.float32]:
    """Means (H, W) float32 of `fine` x `fine` bilinear samples each, of an image (h, w).

    The sample (i, j) of all (H fine, W fine) lies at `step` * (i, j) + `offset` of the image, in pixels.  size: (H, W).
    beyond: what lies outside the image; its outermost pixels fall off to it linearly ("zero") or are repeated.
    """
    along_y, along_x = (
        _weights(image.shape[axis], float(step[axis]), float(offset[axis]), size[axis], fine, beyond) for axis in (0, 1)
    )
    height = image.shape[0]
    if height <= size[0]:  # what is smaller first
        across = (along_x @ np.asarray(image, dtype=np.float64).T).T
        made = np.empty(size, dtype=np.float32)
        for start in range(0, size[0], _ROWS):
            made[start : start + _ROWS] = along_y[start : start + _ROWS] @ across
        return made
    down = np.zeros((size[0], image.shape[1]))
    for start in range(0, height, _ROWS):
        down += along_y[:, start : start + _ROWS] @ np.asarray(image[start : start + _ROWS], dtype=np.float64)
    return np.ascontiguousarray((along_x @ down.T).T, dtype=np.float32)


def _weights(count: int, step: float, offset: float, wanted: int, fine: int, beyond: str) -> Any:
    """(wanted, count) sparse: the share of each pixel in each mean, along one axis."""
    from scipy.sparse import coo_array

    positions = step * np.arange(wanted * fine) + offset
    if beyond == "nearest":
        positions = np.clip(positions, 0, count - 1)
    below = np.floor(positions)
    above = positions - below
    rows = np.repeat(np.arange(wanted), fine)
    columns = np.concatenate([below, below + 1])
    shares = np.concatenate([1 - above, above]) / fine
    inside = (columns >= 0) & (columns < count) & (shares != 0)
    where = (np.concatenate([rows, rows])[inside], columns[inside].astype(np.int64))
    return coo_array((shares[inside], where), shape=(wanted, count)).tocsr()

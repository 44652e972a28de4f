"""A scan's slices cropped, turned and resized in one resampling, and maps brought back exactly the way they came."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from anomae.slices.resize import keep_every_lesion
from anomae.slices.turned import MOST_SAMPLES, Beyond, applied, turned_means
from anomae.slices.upright import upright_means

# A prepared pixel is the mean of so many samples a side, or of more where it covers more pixels of the scan.
SAMPLES = 2
_ROWS = 512


@dataclass(frozen=True, slots=True)
class Warp:
    """Where the prepared pixels of a scan lie in its slices: one square crop, turned, for all of them.

    shape: (h, w) of a slice, and spacing_mm: (y, x) of its pixels.  size: (H, W) of the prepared image.  centre_mm:
    (y, x) of its middle, from the upper left corner of the slice.  step_mm: between prepared pixels, both ways.
    angle: radians by which the prepared image is turned in the slice; its rows run along (cos, sin) of (x, y).
    """

    shape: tuple[int, int]
    spacing_mm: tuple[float, float]
    size: tuple[int, int]
    centre_mm: tuple[float, float]
    step_mm: float
    angle: float = 0.0

    @property
    def prepared_spacing_mm(self) -> tuple[float, float]:
        """(y, x) of a prepared pixel."""
        return (self.step_mm, self.step_mm)

    def image(self, image: npt.NDArray[Any], *, alone: bool = False) -> npt.NDArray[np.float32]:
        """A slice (h, w), prepared: (H, W) float32.  Outside the slice everything is 0.

        The mean of bilinear samples: `SAMPLES` a side of a prepared pixel, or one a pixel of the slice where those are
        finer.  alone: no other slice is prepared so, which is quicker done another way; the last bit may differ.
        """
        fine = max(SAMPLES, int(np.ceil(self.step_mm / min(self.spacing_mm))))
        return _means(image, *self._to_slice(fine), self.size, fine, "zero", alone)

    def lesion(self, lesion: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
        """A mask (h, w), prepared: pixels at least half lesion, and of every separate lesion at least one.

        A lesion that lies wholly outside the crop leaves nothing.
        """
        if not lesion.any():
            return np.zeros(self.size, dtype=np.bool_)
        share = self.image(lesion)
        kept = share >= 0.5
        y, x = np.nonzero(lesion)
        matrix, offset = self._to_prepared()
        row, column = np.rint(matrix @ np.stack([y, x]) + offset[:, None]).astype(np.int64)
        inside = (row >= 0) & (row < self.size[0]) & (column >= 0) & (column < self.size[1])
        keep_every_lesion(lesion, share, kept, (y[inside], x[inside]), (row[inside], column[inside]))
        return kept

    def restore(self, heat: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """A map (H, W) of a prepared slice, brought back onto the pixels of the slice: (h, w), 0 outside the crop.

        Bilinear; where the slice has fewer pixels than the map, means of several samples a pixel.
        """
        fine = max(1, int(np.ceil(max(self.spacing_mm) / self.step_mm)))
        matrix, offset = self._to_prepared()
        fine_matrix, fine_offset = matrix / fine, offset + matrix @ np.full(2, (1 / fine - 1) / 2)
        restored = _means(heat, fine_matrix, fine_offset, self.shape, fine, "nearest")
        height, width = self.shape
        for start in range(0, height, _ROWS):  # of large slices the doubles would be most of all memory
            here = np.arange(start, min(start + _ROWS, height))[:, None]
            row, column = (
                matrix[axis, 0] * here + matrix[axis, 1] * np.arange(width)[None] + offset[axis] for axis in (0, 1)
            )
            outside = (row < -0.5) | (row > self.size[0] - 0.5) | (column < -0.5) | (column > self.size[1] - 0.5)
            restored[start : start + _ROWS][outside] = 0
        return restored

    def _to_slice(self, fine: int = 1) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """(2, 2) and (2,): from (row, column) of a prepared image of `fine` times as many pixels to the slice's."""
        sine, cosine = np.sin(self.angle), np.cos(self.angle)
        turned = np.array([[cosine, sine], [-sine, cosine]])  # (y, x) of the slice from (y, x) of the prepared image
        matrix = turned * (self.step_mm / fine) / np.array(self.spacing_mm)[:, None]
        middle = (np.array(self.size) * fine - 1) / 2
        return matrix, np.array(self.centre_mm) / np.array(self.spacing_mm) - 0.5 - matrix @ middle

    def _to_prepared(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        matrix, offset = self._to_slice()
        inverse = np.asarray(np.linalg.inv(matrix), dtype=np.float64)
        return inverse, -inverse @ offset


def _means(
    image: npt.NDArray[Any],
    matrix: npt.NDArray[np.float64],
    offset: npt.NDArray[np.float64],
    size: tuple[int, int],
    fine: int,
    beyond: Beyond,
    alone: bool = False,
) -> npt.NDArray[np.float32]:
    """Means `size` (H, W) of `fine` x `fine` bilinear samples each; what each argument is: see `turned_means`."""
    if matrix[0, 1] == 0 and matrix[1, 0] == 0:  # rows go to rows, so two sums over few pixels do
        return upright_means(image, matrix.diagonal(), offset, size, fine, beyond)
    if not np.any(image):  # such as slices above the head: nothing but 0 comes of it
        return np.zeros(size, dtype=np.float32)
    (height, width), (rows, columns) = image.shape, size
    if not alone and rows * columns * fine**2 <= MOST_SAMPLES:
        (a, b), (c, d) = matrix.tolist()
        y, x = offset.tolist()
        return applied(turned_means((height, width), ((a, b), (c, d)), (y, x), size, fine, beyond), image, size)
    from scipy.ndimage import affine_transform

    pixels, mode = np.ascontiguousarray(image, dtype=np.float32), "grid-constant" if beyond == "zero" else "nearest"
    fine_size = (rows * fine, columns * fine)
    sampled = affine_transform(
        pixels, matrix, offset, output_shape=fine_size, order=1, mode=mode, cval=0.0, prefilter=False
    )
    return np.asarray(sampled.reshape(rows, fine, columns, fine).mean(axis=(1, 3)), dtype=np.float32)

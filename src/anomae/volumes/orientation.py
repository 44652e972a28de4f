"""From the order in which voxels are stored to axial slices as a radiologist looks at them, and back."""

from dataclasses import dataclass
from itertools import permutations
from typing import Any

import numpy as np
import numpy.typing as npt

from anomae.volumes.identity import NOT_KNOWN, SliceIdentity
from anomae.volumes.volume import Grid, Volume


@dataclass(frozen=True, slots=True)
class AxialView:
    """How a stored [z, y, x] array is turned into axial slices: a permutation of axes, then flips; nothing resampled.

    In the view the slice index grows from inferior to superior, the row from anterior to posterior, the column from
    the patient's right to the left (the patient's right is on the picture's left).  An oblique volume is turned by the
    right angles that come nearest.

    axes: of each axis of the view, the stored axis it is.  flips: of each axis of the view, whether it is reversed.
    """

    axes: tuple[int, int, int]
    flips: tuple[bool, bool, bool]

    def apply(self, array: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """The axial slices of a stored [z, y, x] array; a view of it, not a copy."""
        return self._flip(array.transpose(self.axes))

    def invert(self, array: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """The stored array of which `apply` makes `array`; a view of it, not a copy."""
        return self._flip(array).transpose(np.argsort(self.axes))

    def pixel_spacing_mm(self, grid: Grid) -> tuple[float, float]:
        """The (y, x) spacing of a pixel of the view."""
        return (grid.spacing_mm[self.axes[1]], grid.spacing_mm[self.axes[2]])

    def slice_positions_mm(self, grid: Grid) -> npt.NDArray[np.float64]:
        """World z (mm, growing to superior) of the centre of each slice of the view, (n,)."""
        index = np.tile((np.array(grid.shape) - 1) / 2, (grid.shape[self.axes[0]], 1))  # (n, 3), order z, y, x
        count = np.arange(len(index), dtype=np.float64)
        index[:, self.axes[0]] = count[::-1] if self.flips[0] else count
        affine = grid.affine_lps()
        return np.asarray(index[:, ::-1] @ affine[2, :3] + affine[2, 3], dtype=np.float64)

    def _flip(self, array: npt.NDArray[Any]) -> npt.NDArray[Any]:
        return array[tuple(slice(None, None, -1 if flip else 1) for flip in self.flips)]


def axial_view(grid: Grid) -> AxialView:
    """The axial view of a volume on `grid`: the right-angled turn under which its axes lie nearest to S, P and L."""
    # Columns of direction belong to x, y, z; rows to L, P, S.  Reversed both ways: [S P L] by [z y x].
    cosines = np.reshape(grid.direction, (3, 3))[::-1, ::-1]
    choices = list(permutations(range(3)))
    # Of equally near turns (45 degrees) the one that leaves the stored order alone is taken: it is the first.
    best = choices[
        int(np.argmax([round(sum(abs(cosines[row, axis]) for row, axis in enumerate(c)), 9) for c in choices]))
    ]
    flips = [bool(cosines[row, axis] < 0) for row, axis in enumerate(best)]
    return AxialView((best[0], best[1], best[2]), (flips[0], flips[1], flips[2]))


def identify_slices(volume: Volume, view: AxialView) -> SliceIdentity:
    """Where each slice of the view of `volume` comes from, in the order of the view."""
    count = volume.grid.shape[view.axes[0]]
    if view.axes[0] != 0:
        unknown = np.full(count, NOT_KNOWN, dtype=np.int64)
        return SliceIdentity(unknown, np.full(count, "", dtype=np.str_), unknown)
    stored = np.arange(count, dtype=np.int64)[:: -1 if view.flips[0] else 1]
    if volume.dicom is None:
        unknown = np.full(count, NOT_KNOWN, dtype=np.int64)
        return SliceIdentity(stored, np.full(count, "", dtype=np.str_), unknown)
    pictures = [volume.dicom.pictures[index] for index in stored]
    frames = np.array([picture.frame - 1 for picture in pictures], dtype=np.int64)
    return SliceIdentity(
        frames if volume.dicom.is_one_file else stored,
        np.array([picture.sop_instance_uid for picture in pictures], dtype=np.str_),
        np.array([picture.instance_number for picture in pictures], dtype=np.int64),
    )

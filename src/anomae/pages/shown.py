"""What a page shows of a scan: its voxels, its map and its findings on one grid, small enough for a browser."""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from anomae.inference.study import Study
from anomae.runs.scoring_outputs import shrunk
from anomae.volumes.orientation import AxialView, axial_view
from anomae.volumes.volume import Grid
from anomae.volumes.write_nifti import write_nifti

MOST_BYTES = 20_000_000  # of the scan's voxels on a page; larger ones are shown at reduced resolution
_LEVELS = 65_534  # that a number with a fraction is told apart by
_TAIL = (0.005, 99.995)  # percentiles; numbers far beyond them are shown as if they lay at the edge


@dataclass(frozen=True, slots=True)
class Stored:
    """Numbers as a page holds them: `stored * slope + intercept` is what they were.  stored: uint8 or int16."""

    stored: npt.NDArray[Any]
    slope: float
    intercept: float


@dataclass(frozen=True, slots=True)
class Shown:
    """What a page holds of a scan, in the page's order of voxels.

    Of a volume: slices from the feet up, rows from back to front, columns from the patient's left to the right, the
    order of NIfTI's world.  Of a picture: the picture's.
    shape: (n, h, w) of the slices as read.  by: (z, y, x), how many of their voxels are one of the page.
    scan: (n', h', w') or, in colour, (n', h', w', 3).  heat: (n', h', w') of 0..255; None where the detector draws no
    map.  labels: (n', h', w') uint8, the findings' numbers; None where there are none.  grid: of the page's voxels;
    None for pictures.
    """

    shape: tuple[int, int, int]
    by: tuple[int, int, int]
    scan: Stored
    heat: Stored | None
    labels: npt.NDArray[np.uint8] | None
    grid: Grid | None

    @property
    def reduced(self) -> bool:
        """Whether it is shown at less than its own resolution."""
        return self.by != (1, 1, 1)


def shown(study: Study, most_bytes: int = MOST_BYTES) -> Shown:
    """The scan of `study` as a page shows it: at most `most_bytes` of voxels."""
    case = study.result.case
    images = case.images  # (n, c, h, w)
    colour = case.channels == 3 and case.one_scale
    shape = (len(images), *images.shape[2:])
    view = None if case.grid is None else axial_view(case.grid)
    spacing = (1.0, *case.spacing_mm) if case.grid is None else _spacing(case.grid, axial_view(case.grid))
    by = _reduction(shape, spacing, most_bytes // (3 if colour else 2), flat=case.grid is None)
    turned = _turned if view is not None else _as_it_is
    channels = [_reduced(turned(images[:, channel]), by, highest=False) for channel in range(3 if colour else 1)]
    if colour:
        top = float(max(channel.max(initial=0) for channel in channels))
        scale = 255 / top if top > 255 else 1.0
        scan = Stored(np.stack([(each * scale).astype(np.uint8) for each in channels], axis=-1), 1 / scale, 0.0)
    else:
        scan = stored(channels[0])
    heat = study.result.axial_map
    labels = None if study.regions is None or not study.regions.findings else study.regions.labels
    if labels is not None and view is not None:
        labels = view.apply(labels)
    return Shown(
        shape=shape,
        by=by,
        scan=scan,
        heat=None if heat is None else _of_a_map(_reduced(turned(heat), by, highest=True)),
        labels=None if labels is None else np.asarray(_reduced(turned(labels), by, highest=True), dtype=np.uint8),
        grid=None if case.grid is None or view is None else _page_grid(case.grid, view, shape, by),
    )


def on_page(study: Study, voxel: tuple[int, int, int]) -> tuple[int, int, int]:
    """The index of a voxel of the stored array in the page's order, at the scan's own resolution."""
    grid = study.result.case.grid
    if grid is None:
        return voxel
    view = axial_view(grid)
    z, y, x = (
        grid.shape[axis] - 1 - voxel[axis] if flip else voxel[axis]
        for axis, flip in zip(view.axes, view.flips, strict=True)
    )
    return (z, grid.shape[view.axes[1]] - 1 - y, grid.shape[view.axes[2]] - 1 - x)


def stored(voxels: npt.NDArray[Any]) -> Stored:
    """Numbers as uint8 or int16: whole ones that fit as they are, others in steps, what is not finite as the lowest.

    The steps divide the range of what is finite, without the few numbers that lie farther beyond the rest than half
    its range.
    """
    if voxels.dtype == np.uint8 or voxels.dtype == np.bool_:
        return Stored(voxels.astype(np.uint8), 1.0, 0.0)
    whole = np.issubdtype(voxels.dtype, np.integer)
    limits = np.iinfo(np.int16)
    if whole and voxels.min(initial=0) >= limits.min and voxels.max(initial=0) <= limits.max:
        return Stored(voxels.astype(np.int16), 1.0, 0.0)
    finite = voxels if whole else voxels[np.isfinite(voxels)]
    if not finite.size:
        return Stored(np.zeros(voxels.shape, dtype=np.int16), 1.0, 0.0)
    inner, outer = (float(value) for value in np.percentile(finite, _TAIL))
    half = (outer - inner) / 2
    low, high = max(float(finite.min()), inner - half), min(float(finite.max()), outer + half)
    slope = (high - low) / _LEVELS if high > low else 1.0
    steps = np.nan_to_num(np.clip((voxels.astype(np.float64) - low) / slope, 0, _LEVELS), nan=0.0)
    return Stored((np.rint(steps) + limits.min + 1).astype(np.int16), slope, low - (limits.min + 1) * slope)


def nifti(voxels: npt.NDArray[Any], grid: Grid) -> bytes:
    """A gzipped NIfTI of `voxels` (z, y, x) on `grid`, as bytes; its voxels begin at byte 352."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "shown.nii.gz"
        write_nifti(path, voxels, grid)
        return path.read_bytes()


def _of_a_map(heat: npt.NDArray[np.float32]) -> Stored:
    """In steps of a 255th of its highest value; nothing is below 0."""
    top = float(heat.max(initial=0))
    slope = top / 255 if top > 0 else 1.0
    return Stored(np.rint(np.clip(np.nan_to_num(heat) / slope, 0, 255)).astype(np.uint8), slope, 0.0)


def _reduction(shape: tuple[int, ...], spacing: tuple[float, ...], most: int, *, flat: bool) -> tuple[int, int, int]:
    """How many voxels along (z, y, x) become one so that at most `most` remain: the finest axis goes first.

    flat: the slices are pictures, and stay.
    """
    by = [1, 1, 1]
    while np.prod([-(-side // step) for side, step in zip(shape, by, strict=True)]) > most:
        axes = [axis for axis in range(1 if flat else 0, 3) if by[axis] < shape[axis]]
        if not axes:
            break
        by[min(axes, key=lambda axis: (round(spacing[axis] * by[axis], 6), -axis))] += 1
    return (by[0], by[1], by[2])


def _reduced(images: npt.NDArray[Any], by: tuple[int, int, int], *, highest: bool) -> npt.NDArray[Any]:
    """Slices (n, h, w) with each block of `by` voxels as one: its mean, or its highest value; a block is in memory."""
    if by == (1, 1, 1):
        return np.asarray(images)
    starts = range(0, len(images), by[0])
    blocks = [images[start : start + by[0]] for start in starts]
    collapse: Callable[..., npt.NDArray[Any]] = np.max if highest else np.mean
    kind = images.dtype if highest else np.float32
    flat = (np.asarray(collapse(block, axis=0), dtype=kind)[None] for block in blocks)
    return np.concatenate([shrunk(one, by[1:], highest=highest) for one in flat])


def _turned(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Axial slices with rows from back to front and columns from left to right: NIfTI's world."""
    return array[:, ::-1, ::-1]


def _as_it_is(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return array


def _spacing(grid: Grid, view: AxialView) -> tuple[float, float, float]:
    z, y, x = (grid.spacing_mm[axis] for axis in view.axes)
    return (z, y, x)


def _page_grid(grid: Grid, view: AxialView, shape: tuple[int, ...], by: tuple[int, int, int]) -> Grid:
    """Where the page's voxels lie: the middle of each block, in the order that `_turned` makes of the axial view."""
    affine = grid.affine_lps()
    reversed_ = (view.flips[0], not view.flips[1], not view.flips[2])
    first = np.zeros(3)  # z, y, x of the stored array at the middle of the page's first block
    columns = np.zeros((3, 3))
    for axis in range(3):
        inner, stored_axis = (by[axis] - 1) / 2, view.axes[axis]
        first[stored_axis] = shape[axis] - 1 - inner if reversed_[axis] else inner
        direction = np.reshape(grid.direction, (3, 3))[:, 2 - stored_axis]
        columns[:, 2 - axis] = -direction if reversed_[axis] else direction
    origin = affine @ [*first[::-1], 1.0]
    z, y, x = (-(-side // step) for side, step in zip(shape, by, strict=True))
    spacing = [mm * step for mm, step in zip(_spacing(grid, view), by, strict=True)]
    return Grid(
        (z, y, x),
        (spacing[0], spacing[1], spacing[2]),
        (float(origin[0]), float(origin[1]), float(origin[2])),
        tuple(float(entry) for entry in columns.ravel()),
    )

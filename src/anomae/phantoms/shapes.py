"""What made-up scans consist of: slabs to work in, smooth noise, soft edges, lesions of known position."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array

from anomae.volumes.volume import Grid

Field = npt.NDArray[np.floating]
Zyx = tuple[float, float, float]

# Voxels worked on at a time: the many steps of a slab stay in the processor's cache, 3 times as fast as whole volumes.
_SLAB_VOXELS = 150_000


@dataclass(frozen=True, slots=True)
class Phantom:
    """A made-up scan, and the truth about it.

    voxels: [z, y, x] int16; heads: arbitrary units >= 0, chests: HU.  lesions: [z, y, x] bool, where lesions are.
    body: [z, y, x] bool, where tissue is.  centres: (k, 3) int64, of each lesion the voxel (z, y, x) in its middle.
    radii_mm: (k,), of the ball that each lesion is a warped copy of.
    parts: [z, y, x] uint8, the part of a lesion: 0 none, 1 core, 2 swelling (or a nodule), 4 rim, as BraTS counts them.
    """

    voxels: npt.NDArray[np.int16]
    lesions: npt.NDArray[np.bool_]
    body: npt.NDArray[np.bool_]
    centres: npt.NDArray[np.int64]
    radii_mm: npt.NDArray[np.float64]
    parts: npt.NDArray[np.uint8]
    grid: Grid


@dataclass(frozen=True, slots=True)
class Slab:
    """Some neighbouring slices of a grid; reach_mm: how far from the middle of the grid there is noise.

    Anatomy is a function of position and of draws that depend neither on the slab nor on the grid, so slabs fit
    together without a seam, and one patient is the same at every resolution and in every field of view.
    """

    grid: Grid
    rows: slice
    reach_mm: float

    def positions_mm(self) -> tuple[Field, Field, Field]:
        """Distances (z, y, x) from the middle of the grid along its axes, in mm, as three arrays that broadcast."""
        z, y, x = (
            ((np.arange(n) - (n - 1) / 2) * side).astype(np.float32)
            for n, side in zip(self.grid.shape, self.grid.spacing_mm, strict=True)
        )
        return z[self.rows, None, None], y[None, :, None], x[None, None, :]

    def noise(self, rng: np.random.Generator, knot_mm: float | Zyx) -> Field:
        """Noise [z, y, x] of mean 0 and deviation about 1, smooth over roughly twice `knot_mm`, 0 beyond its reach.

        A cubic B-spline through random knots every `knot_mm` (z, y, x).
        """
        steps = knot_mm if isinstance(knot_mm, tuple) else (knot_mm, knot_mm, knot_mm)
        reaches = [math.ceil(self.reach_mm / step) + 2 for step in steps]
        field: Field = rng.standard_normal([2 * reach + 1 for reach in reaches], dtype=np.float32)
        # Each turn takes the first axis from knots to voxels and moves it to the end: after three all is in order.
        # The weights are sparse, four knots a voxel: quicker than dense products, and BLAS threads have no part in it.
        for positions, step, reach in zip(self.positions_mm(), steps, reaches, strict=True):
            along = _spline_weights(positions.ravel() / step, reach) @ field.reshape(field.shape[0], -1)
            field = np.moveaxis(along.reshape(-1, *field.shape[1:]), 0, -1)
        return np.ascontiguousarray(field)


@dataclass(frozen=True, slots=True)
class Blob:
    """One lesion's own part of the volume.

    box: its slices of [z, y, x].  level: within the box, 0 at the middle, 1 at the edge, more outside.
    """

    box: tuple[slice, slice, slice]
    level: Field
    centre: tuple[int, int, int]
    radius_mm: float

    def share(self, ramp_mm: float) -> Field:
        """1 inside, 0 from the edge outward, with a ramp of `ramp_mm` inside the edge."""
        return np.asarray(np.clip((1 - self.level) * (self.radius_mm / ramp_mm), 0, 1))


def centred_grid(shape: tuple[int, int, int], spacing_mm: Zyx) -> Grid:
    """A grid along the world axes with the world's origin in its middle."""
    z, y, x = (-(n - 1) / 2 * side for n, side in zip(shape, spacing_mm, strict=True))
    return Grid(shape, spacing_mm, (x, y, z))


def spacing_of_view(shape: tuple[int, int, int], view_mm: Zyx, held_mm: Zyx) -> Zyx:
    """The spacing (z, y, x) with which `shape` voxels span `view_mm`.

    It is wider where voxels are so few that what is `held_mm` long would reach the middle of the outermost ones.
    """
    z, y, x = (max(view / n, held / (n - 1)) for n, view, held in zip(shape, view_mm, held_mm, strict=True))
    return z, y, x


def cut_slabs(grid: Grid, reach_mm: float) -> Iterator[Slab]:
    """All slices of `grid`, a few at a time."""
    thick = max(1, _SLAB_VOXELS // (grid.shape[1] * grid.shape[2]))
    for start in range(0, grid.shape[0], thick):
        yield Slab(grid, slice(start, start + thick), reach_mm)


def whole(grid: Grid, reach_mm: float) -> Slab:
    """All slices of `grid` at once."""
    return Slab(grid, slice(0, grid.shape[0]), reach_mm)


def soft(inside_mm: Field, width_mm: float) -> Field:
    """0 outside, 1 inside, a ramp of `width_mm` across the edge, where `inside_mm` is 0."""
    ramp = inside_mm / width_mm + 0.5
    return np.clip(ramp, 0, 1, out=ramp)


def paint(image: Field, share: Field, value: Field | float) -> None:
    """Lay `value` over `image`, in place, as thickly as `share` (0..1) says."""
    image += share * (value - image)


def ball_mm(z: Field, y: Field, x: Field, centre: Zyx, axes_mm: Zyx, square: bool = False) -> Field:
    """Rough distance in mm to the surface of an ellipsoid, positive inside; centre and axes as (z, y, x).

    square: a fuller form, between ellipsoid and box (the exponent is 2.5 instead of 2).
    """
    total: Any = 0
    for at, middle, axis in zip((z, y, x), centre, axes_mm, strict=True):
        part = np.abs(at - middle) / axis
        total = total + (part * part * np.sqrt(part) if square else part * part)
    reach = total**0.4 if square else np.sqrt(total)
    return np.asarray((1 - reach) * (sum(axes_mm) / 3))


def scatter_blobs(
    generators: Callable[[int], np.random.Generator],
    count: int,
    grid: Grid,
    room: npt.NDArray[np.bool_],
    radius_mm: tuple[float, float],
    ruggedness: float,
) -> list[Blob]:
    """`count` lesions with their middles at random voxels of `room` [z, y, x], apart from each other where they can be.

    generators: the random generator of lesion i, so that more lesions leave the earlier ones as they are.
    radius_mm: smallest and largest, drawn evenly on a logarithmic scale.  ruggedness: 0 a plain ellipsoid, 0.5 a very
    uneven one.  Raises ValueError where `room` is empty.
    """
    candidates = np.flatnonzero(room)
    if count and not len(candidates):
        raise ValueError("there is no tissue in the field of view for a lesion to lie in")
    blobs: list[Blob] = []
    sides = np.array(grid.spacing_mm)
    for i in range(count):
        rng = generators(i)
        radius = float(np.exp(rng.uniform(*np.log(radius_mm))))
        for _ in range(20):
            index = np.unravel_index(candidates[int(rng.integers(len(candidates)))], grid.shape)
            centre = (int(index[0]), int(index[1]), int(index[2]))
            gaps = [float(np.linalg.norm((np.array(centre) - one.centre) * sides)) - one.radius_mm for one in blobs]
            if min(gaps, default=math.inf) > radius:
                break
        blobs.append(_one_blob(rng, grid, centre, radius, ruggedness))
    return blobs


def _one_blob(
    rng: np.random.Generator, grid: Grid, centre: tuple[int, int, int], radius_mm: float, ruggedness: float
) -> Blob:
    # A lesion is drawn on a box that holds all of it, then cut to the field of view.
    reach = [math.ceil(1.8 * radius_mm / side) + 1 for side in grid.spacing_mm]
    own = whole(Grid((2 * reach[0] + 1, 2 * reach[1] + 1, 2 * reach[2] + 1), grid.spacing_mm), 2 * radius_mm)
    stretch = np.exp(rng.uniform(-0.25, 0.25, 3))
    axes = (radius_mm * stretch / stretch.prod() ** (1 / 3)).tolist()
    rough = 1 + np.clip(ruggedness * own.noise(rng, max(0.55 * radius_mm, 1.0)), -0.45, 0.9)
    z, y, x = (at / axis for at, axis in zip(own.positions_mm(), axes, strict=True))
    level = np.sqrt(z * z + y * y + x * x) * rough
    ends = [(max(at - r, 0), min(at + r + 1, n)) for at, r, n in zip(centre, reach, grid.shape, strict=True)]
    cut = tuple(slice(low - at + r, high - at + r) for (low, high), at, r in zip(ends, centre, reach, strict=True))
    return Blob((slice(*ends[0]), slice(*ends[1]), slice(*ends[2])), level[cut], centre, radius_mm)


def _spline_weights(positions: Field, reach: int) -> csr_array:
    """(n, 2 * reach + 1): cubic B-spline weights of knots at n positions, scaled to keep a deviation of about 1.

    positions: in steps of the knots, whose middle one is at 0.  What lies beyond the knots has weights of 0.
    """
    knots = np.floor(positions)[:, None] + np.arange(-1, 3)  # (n, 4): all that have a say
    away = np.abs(positions[:, None] - knots)
    weights = np.where(away < 1, 2 / 3 - away**2 + away**3 / 2, np.clip(2 - away, 0, None) ** 3 / 6)
    # 151/315 is the sum of the squared weights, averaged over all positions between knots.
    weights *= (np.abs(knots) <= reach) / math.sqrt(151 / 315)
    columns = np.clip(knots + reach, 0, 2 * reach).astype(np.int32)
    starts = np.arange(0, 4 * len(positions) + 1, 4)
    return csr_array((weights.astype(np.float32).ravel(), columns.ravel(), starts), (len(positions), 2 * reach + 1))

"""Findings: the connected regions of a map above a threshold, with where they lie and how high they are."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from anomae.volumes.orientation import axial_view
from anomae.volumes.volume import Grid

MOST = 50  # findings of one scan that are kept: a map with more is noise, and a person reads the highest


@dataclass(frozen=True, slots=True)
class Finding:
    """One connected region (26 neighbours; 8 in a picture) of a map above the finding threshold.

    number: from 1, the highest maximum first; the value of its voxels in `FoundRegions.labels`.
    box: ((z, z), (y, y), (x, x)), first and one past the last voxel, in the grid of the volume as read.
    slices: first and last of the axial slices that it touches, by the slice numbers of scores.csv.
    voxels: how many.  volume_mm3: of all of them; None where the scan has no grid (a picture).
    maximum, mean: of the map over its voxels, in the map's own unit.  peak: (z, y, x), the voxel of the maximum.
    peak_mm, centroid_mm: world (x, y, z), LPS, in mm; None where the scan has no grid.  centroid: (z, y, x), voxels,
    each weighing alike.
    """

    number: int
    box: tuple[tuple[int, int], tuple[int, int], tuple[int, int]]
    slices: tuple[int, int]
    voxels: int
    volume_mm3: float | None
    maximum: float
    mean: float
    peak: tuple[int, int, int]
    centroid: tuple[float, float, float]
    peak_mm: tuple[float, float, float] | None
    centroid_mm: tuple[float, float, float] | None


@dataclass(frozen=True, slots=True)
class FoundRegions:
    """The findings of one map.

    labels: (z, y, x) uint8, the number of the finding that a voxel belongs to, 0 elsewhere.  left_out: how many regions
    beyond the `MOST` highest are in neither.
    """

    findings: tuple[Finding, ...]
    labels: npt.NDArray[np.uint8]
    left_out: int


def find_regions(
    heat: npt.NDArray[np.float32], threshold: float, grid: Grid | None, slices: npt.NDArray[np.int64], most: int = MOST
) -> FoundRegions:
    """The connected regions of `heat` (z, y, x) above `threshold`, the highest first.

    grid: of the scan as read; None for a picture.  slices: (n,) the slice number of each axial slice, in the order of
    the axial view.  Two regions of one maximum stand in the order of their voxels.
    """
    from scipy.ndimage import find_objects, label

    pieces, count = label(heat > threshold, structure=np.ones((3, 3, 3), dtype=np.int8))
    labels = np.zeros(heat.shape, dtype=np.uint8)
    boxes = find_objects(pieces)
    tops = [float(heat[box].max(where=pieces[box] == index + 1, initial=-np.inf)) for index, box in enumerate(boxes)]
    chosen = sorted(range(count), key=lambda index: (-tops[index], index))[: min(most, 255)]
    findings = []
    for number, index in enumerate(chosen, start=1):
        inside = pieces[boxes[index]] == index + 1
        labels[boxes[index]][inside] = number
        findings.append(_described(number, heat[boxes[index]], inside, boxes[index], grid, slices))
    return FoundRegions(tuple(findings), labels, count - len(chosen))


def world_mm(grid: Grid | None, voxel: tuple[float, float, float]) -> tuple[float, float, float] | None:
    """World (x, y, z), LPS, in mm, of a voxel index (z, y, x); None without a grid."""
    if grid is None:
        return None
    x, y, z, _ = grid.affine_lps() @ [*voxel[::-1], 1.0]
    return (float(x), float(y), float(z))


def _described(
    number: int,
    heat: npt.NDArray[np.float32],
    inside: npt.NDArray[np.bool_],
    box: tuple[slice, slice, slice],
    grid: Grid | None,
    slices: npt.NDArray[np.int64],
) -> Finding:
    """heat, inside: of its box alone."""
    start = np.array([side.start for side in box])
    where = np.argwhere(inside) + start
    values = heat[inside].astype(np.float64)
    peak = where[int(np.argmax(values))]
    middle = where.mean(axis=0)
    (z, y, x), centroid = (int(each) for each in peak), (float(middle[0]), float(middle[1]), float(middle[2]))
    first, last = _axial_range(box, grid, len(slices))
    touched = slices[first:last]
    voxel_mm3 = None if grid is None else abs(float(np.linalg.det(grid.affine_lps()[:3, :3])))
    (z0, z1), (y0, y1), (x0, x1) = ((int(side.start), int(side.stop)) for side in box)
    return Finding(
        number=number,
        box=((z0, z1), (y0, y1), (x0, x1)),
        slices=(int(touched.min()), int(touched.max())),
        voxels=len(where),
        volume_mm3=None if voxel_mm3 is None else len(where) * voxel_mm3,
        maximum=float(values.max()),
        mean=float(values.mean()),
        peak=(z, y, x),
        centroid=centroid,
        peak_mm=world_mm(grid, (z, y, x)),
        centroid_mm=world_mm(grid, centroid),
    )


def _axial_range(box: tuple[slice, slice, slice], grid: Grid | None, count: int) -> tuple[int, int]:
    """First and one past the last axial slice that a box of the stored array touches; count: of axial slices."""
    if grid is None:
        return int(box[0].start), int(box[0].stop)
    view = axial_view(grid)
    side = box[view.axes[0]]
    return (count - side.stop, count - side.start) if view.flips[0] else (int(side.start), int(side.stop))

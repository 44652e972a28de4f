"""What the scans are like that a model learned from: kept beside it, naming nobody."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np

from anomae.volumes.orientation import axial_view
from anomae.volumes.volume import Grid

Range = tuple[float, float]

# BodyPartExamined is written freely; what these words have in common is meant.
_REGIONS = {
    "head": ("HEAD", "BRAIN", "SKULL", "CRANIUM"),
    "chest": ("CHEST", "LUNG", "THORAX"),
    "abdomen": ("ABDOMEN", "LIVER", "KIDNEY", "PELVIS"),
    "spine": ("SPINE",),
    "breast": ("BREAST",),
    "neck": ("NECK",),
}
THICK = 1.5  # a voxel whose longest side is so many times its second longest has a plane


@dataclass(frozen=True, slots=True)
class Geometry:
    """Where the slices of one scan lie, seen axially.

    plane: "axial", "sagittal" or "coronal", the one in which its pixels are fine; "" where voxels are about as long
    every way.  tilt: degrees between its slice axis and the body's.  pixel_mm: the mean side of a pixel.  slice_mm:
    between slices.  field_mm: the longer side of a slice.  height_mm: of all slices.
    """

    plane: str
    tilt: float
    pixel_mm: float
    slice_mm: float
    field_mm: float
    height_mm: float


@dataclass(frozen=True, slots=True)
class Reference:
    """What the training scans are like.

    scans: how many.  modalities (DICOM's codes), regions (`region_of`): those that are known; () where none is.
    planes: of `Geometry`.  tilt: the largest.  pixel_mm, slice_mm, field_mm, height_mm: smallest and largest; None for
    pictures, which lie nowhere.
    """

    scans: int
    modalities: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()
    planes: tuple[str, ...] = ()
    tilt: float | None = None
    pixel_mm: Range | None = None
    slice_mm: Range | None = None
    field_mm: Range | None = None
    height_mm: Range | None = None


def region_of(body_part: str) -> str:
    """The region of the body that a BodyPartExamined means, such as "head"; "" where it is none that is known here.

    One that names several regions means no one of them.
    """
    text = body_part.upper()
    found = [region for region, words in _REGIONS.items() if any(word in text for word in words)]
    return found[0] if len(found) == 1 else ""


def geometry_of(grid: Grid) -> Geometry:
    """Of a scan on `grid`."""
    view = axial_view(grid)
    sides = [grid.spacing_mm[axis] for axis in view.axes]  # z, y, x of the body
    lengths = [grid.shape[axis] * grid.spacing_mm[axis] for axis in view.axes]
    order = sorted(sides)
    thick = order[2] >= THICK * order[1]
    # The column of `direction` that belongs to the slice axis; columns are x, y, z.
    along = np.reshape(grid.direction, (3, 3))[:, 2 - view.axes[0]]
    return Geometry(
        plane=("axial", "coronal", "sagittal")[int(np.argmax(sides))] if thick else "",
        tilt=float(np.degrees(np.arccos(min(abs(float(along[2])), 1.0)))),
        pixel_mm=(sides[1] + sides[2]) / 2,
        slice_mm=sides[0],
        field_mm=max(lengths[1:]),
        height_mm=lengths[0],
    )


def reference_of(grids: Sequence[Grid], modalities: Sequence[str], body_parts: Sequence[str], scans: int) -> Reference:
    """From training scans.  grids: of those that have one.  modalities, body_parts: "" where unknown."""
    known = [geometry_of(grid) for grid in grids]
    ranges = {
        name: (min(values), max(values))
        for name in ("pixel_mm", "slice_mm", "field_mm", "height_mm")
        if (values := [getattr(one, name) for one in known])
    }
    return Reference(
        scans=scans,
        modalities=tuple(sorted({name for name in modalities if name})),
        regions=tuple(sorted({region for part in body_parts if (region := region_of(part))})),
        planes=tuple(sorted({one.plane for one in known})),
        tilt=max(chain((one.tilt for one in known), ()), default=None),
        **ranges,
    )

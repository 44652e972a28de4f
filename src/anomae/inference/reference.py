"""What the scans are like that a model learned from: kept beside it, naming nobody."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from anomae.inference.features import FEWEST, Features
from anomae.runs.model_fingerprint import REFERENCE
from anomae.runs.reference_file import damaged, read_reference
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
LEVELS = (5, 50, 95)
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

    scans: how many.  modalities (DICOM's codes), regions (`region_of`), sequences (anomae.volumes.sequence_names):
    those that are known; () where none is.  planes: of `Geometry`.  tilt: the largest.  pixel_mm, slice_mm, field_mm,
    height_mm: smallest and largest; None for pictures, which lie nowhere.  levels: of the prepared intensities of a
    scan the smallest and the largest 5th, 50th and 95th percentile.  features: None where there were too few scans, or
    where their file is gone, which `lost` says; it is of no digest.
    """

    scans: int
    modalities: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()
    sequences: tuple[str, ...] = ()
    planes: tuple[str, ...] = ()
    tilt: float | None = None
    pixel_mm: Range | None = None
    slice_mm: Range | None = None
    field_mm: Range | None = None
    height_mm: Range | None = None
    levels: tuple[Range, ...] = ()
    features: Features | None = None
    lost: bool = False

    def to_json(self) -> dict[str, Any]:
        """All but the features, as reference.json has it."""
        return {name: getattr(self, name) for name in REFERENCE_FACTS}

    def arrays(self) -> dict[str, npt.NDArray[Any]] | None:
        """The features, to be kept."""
        if self.features is None:
            return None
        kept = {name: np.asarray(getattr(self.features, name)) for name in FEATURE_ARRAYS}
        return {**kept, "precision": kept["precision"].astype(np.float32)}  # what it is exact in

    @property
    def digest(self) -> str:
        """A short text that is another one where anything is different."""
        seen = hashlib.blake2b(json.dumps(self.to_json()).encode(), digest_size=8)
        if self.features is not None:
            for name in FEATURE_ARRAYS:
                seen.update(np.asarray(getattr(self.features, name), dtype=np.float64).tobytes())
        return seen.hexdigest()


FEATURE_ARRAYS = tuple(one.name for one in fields(Features))


def reference_from(fitted: Path) -> Reference | None:
    """The reference of a fitted folder; None where it keeps none.  Raises UserError where its files are not whole."""
    kept = read_reference(fitted)
    if kept is None:
        return None
    content, arrays = kept
    try:
        known: dict[str, Any] = {name: content[name] for name in REFERENCE_FACTS}
        features = None if arrays is None else _features({name: arrays[name] for name in FEATURE_ARRAYS})
        known = {name: tuple(value) if isinstance(value, list) else value for name, value in known.items()}
        known["levels"] = tuple((float(low), float(high)) for low, high in known["levels"])
    except (KeyError, TypeError, ValueError) as error:
        raise damaged(fitted / REFERENCE, error) from error
    lost = features is None and bool(content.get("has_features", known["scans"] >= FEWEST))
    return Reference(**known, features=features, lost=lost)


def _features(arrays: dict[str, npt.NDArray[Any]]) -> Features:
    doubles = {name: np.asarray(array, dtype=np.float64) for name, array in arrays.items()}
    return Features(float(doubles.pop("low")), float(doubles.pop("high")), **doubles)


REFERENCE_FACTS = tuple(one.name for one in fields(Reference) if one.name not in ("features", "lost"))


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


def reference_of(
    grids: Sequence[Grid],
    *,
    scans: int,
    modalities: Sequence[str] = (),
    body_parts: Sequence[str] = (),
    sequences: Sequence[str] = (),
    levels: Sequence[tuple[float, ...]] = (),
    features: Features | None = None,
) -> Reference:
    """From training scans.

    grids: of those that have one.  modalities, body_parts, sequences: an entry a scan, "" where unknown; sequences
    count only where every scan has one.  levels: `levels_of` each scan that was looked at.
    """
    known = [geometry_of(grid) for grid in grids]
    ranges: dict[str, Any] = {
        name: (min(values), max(values))
        for name in ("pixel_mm", "slice_mm", "field_mm", "height_mm")
        if (values := [getattr(one, name) for one in known])
    }
    return Reference(
        scans=scans,
        modalities=tuple(sorted({name for name in modalities if name})),
        regions=tuple(sorted({region for part in body_parts if (region := region_of(part))})),
        sequences=tuple(sorted(set(sequences))) if sequences and all(sequences) else (),
        planes=tuple(sorted({one.plane for one in known})),
        tilt=max((one.tilt for one in known), default=None),
        levels=tuple((min(column), max(column)) for column in zip(*levels, strict=True)),
        features=features,
        **ranges,
    )


def levels_of(images: npt.NDArray[np.float32]) -> tuple[float, ...]:
    """The 5th, 50th and 95th percentile of the prepared intensities of a scan, (k, h, w), without its lowest value.

    What stands at the lowest value is mostly no tissue, and how much of it there is tells of the field of view.
    """
    inside = images[images > images.min()]
    return tuple(float(value) for value in np.percentile(inside if inside.size else images, LEVELS))

"""A scan and its lesion mask, turned into axial slices with labels: the step that all cohorts of scans share."""

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from anomae.cohorts.case import ABNORMAL, HEALTHY, UNKNOWN, CaseSlices
from anomae.cohorts.ignored_regions import HIDDEN, IGNORED, read_regions, union_of
from anomae.cohorts.lesion_masks import UNSURE, MaskValues, lesions_of, merged, read_mask
from anomae.errors import UnreadableScan
from anomae.volumes.pictures import TURNED
from anomae.volumes.series import folder_and_series
from anomae.volumes.volume import Grid, Volume

# Share of the smallest voxel side by which a corner of the mask's grid may stand off: header rounding, no more.
GRID_TOLERANCE = 0.1

# Kinds of files that say nothing of where their pixels lie in the world.
_PLACELESS = ("picture", "array")

EMPTY_MASK = "called abnormal, but its lesion mask is empty; its label is the folder's, or unknown slice by slice"
UNDER_HEALTHY = "called healthy, but its lesion mask is not empty; the mask was believed"
FEW_VALUES = "the scan holds three values or fewer; it may be a mask"
APART = (
    "the lesion mask of its subject does not lie on it and was not used; its slices have the label of the whole scan, "
    "or none where that is healthy and the mask is not empty"
)
NOT_TURNED = (
    "the picture was turned as its EXIF entry says and its mask, which has none, was not; look whether they fit"
)
LARGE_MASK = (
    "its lesion mask covers more than half of the tissue; it may be the mask of an organ, or white where nothing is "
    "wrong"
)


def read_scan_slices(
    source: Path,
    lesion: Path | Sequence[Path] | None = None,
    label: int = UNKNOWN,
    *,
    values: MaskValues | None = None,
    called: int = UNKNOWN,
    ignored: Sequence[Path] = (),
    by_subject: bool = False,
) -> CaseSlices:
    """Read a scan, and its lesion masks where there are any, as axial slices; see `scan_slices`.

    Raises UnreadableScan where either file is missing, broken, or does not fit the other.
    """
    from anomae.volumes.read import read_volume

    masks = (lesion,) if isinstance(lesion, Path) else lesion or ()
    for path in (source, *masks):
        if not folder_and_series(path)[0].exists():
            raise UnreadableScan(f"{path} is missing.")
    lesions, regions = [read_mask(mask, values) for mask in masks], read_regions(ignored)
    volume = read_volume(source)
    return scan_slices(volume, lesions, label, values=values, called=called, regions=regions, by_subject=by_subject)


def scan_slices(
    volume: Volume,
    lesion: Volume | Sequence[Volume] | None = None,
    label: int = UNKNOWN,
    *,
    values: MaskValues | None = None,
    called: int = UNKNOWN,
    regions: Sequence[Volume] = (),
    by_subject: bool = False,
) -> CaseSlices:
    """The axial slices of `volume`, from the feet up, numbered from 0.

    lesion: its mask, or several to be merged (see anomae.cohorts.lesion_masks); every slice is then labelled by whether
    its mask is empty, and `label` counts for nothing.  label: else the label of every slice.  values: which values of
    the mask count, None: of a data set whose masks are known to have several.  called: what the whole scan is called;
    where that is ABNORMAL and the mask is empty, no slice counts as healthy.  regions: masks of what is not
    to be judged (see anomae.cohorts.ignored_regions).  by_subject: a lesion mask that does not lie on the scan is of
    another of its subject and is left out, with a note.  Raises UnreadableScan where another mask does not lie on it.
    """
    from anomae.volumes.orientation import axial_view, identify_slices

    masks = (lesion,) if isinstance(lesion, Volume) else lesion or ()
    lying = [mask for mask in masks if not by_subject or _lies_on(volume, mask)]
    if masks and not lying:
        label = UNKNOWN if called == HEALTHY and any(mask.voxels.any() for mask in masks) else called
    view = axial_view(volume.grid)
    images = view.apply(volume.voxels)  # (n, h, w)
    lesions: npt.NDArray[np.bool_] | None = None
    labels = np.full(len(images), label, dtype=np.int8)
    notes = volume.notes if len(lying) == len(masks) else (*volume.notes, APART)
    masks = lying
    if values is not None and _holds_few_values(volume.voxels):
        notes = (*notes, FEW_VALUES)
    for mask in (*masks, *regions):
        what = "lesion mask" if any(mask is each for each in masks) else "mask of what is not to be judged"
        require_same_place(volume.grid, volume.source, mask, what, volume.kind not in _PLACELESS)
    union = union_of(regions)
    hidden = None if union is None else np.asarray(view.apply(union), dtype=np.bool_)
    ignored = hidden
    if masks:
        found = merged([lesions_of(mask, values or MaskValues(), several_said=values is not None) for mask in masks])
        lesions = np.asarray(view.apply(found.lesion), dtype=np.bool_)
        labels = slice_labels(lesions)
        if TURNED in notes and not all(TURNED in mask.notes for mask in masks):
            notes = (*notes, NOT_TURNED)
        notes = (*notes, *dict.fromkeys((*(note for mask in masks for note in mask.notes), *found.notes)))
        if hidden is not None and lesions.any():
            only = (labels == ABNORMAL) & ~(lesions & ~hidden).any(axis=(1, 2))
            lesions, notes = lesions & ~hidden, (*notes, HIDDEN) if only.any() else notes
            labels[only] = UNKNOWN
            called = UNKNOWN if not lesions.any() else called  # the folder may have called it so for what is hidden
            label = UNKNOWN if not lesions.any() else label
        if found.ignored is not None:
            marked = np.asarray(view.apply(found.ignored), dtype=np.bool_)
            ignored = marked if ignored is None else ignored | marked
        if found.unsure is not None:
            doubtful = (labels == HEALTHY) & view.apply(found.unsure).any(axis=(1, 2))
            labels[doubtful] = UNKNOWN
            notes = (*notes, UNSURE) if doubtful.any() else notes
        if HEALTHY in (label, called) and (labels == ABNORMAL).any():
            notes = (*notes, UNDER_HEALTHY)
        if ABNORMAL in (label, called) and not lesions.any():
            labels[:] = ABNORMAL if len(labels) == 1 else UNKNOWN
            lesions, notes = None, (*notes, EMPTY_MASK)
        elif values is not None and _covers_most(images, lesions):
            notes = (*notes, LARGE_MASK)
    if ignored is not None and ignored.any():
        notes = (*notes, IGNORED)
    identity = identify_slices(volume, view)
    is_picture = volume.kind == "picture"
    return CaseSlices(
        images=images,
        slices=np.arange(len(images), dtype=np.int64),
        labels=labels,
        lesions=lesions,
        positions_mm=np.full(len(images), np.nan) if is_picture else np.asarray(view.slice_positions_mm(volume.grid)),
        spacing_mm=view.pixel_spacing_mm(volume.grid),
        grid=None if is_picture else volume.grid,
        source=volume.source,
        notes=notes,
        file_slices=identity.file_slices,
        sop_instance_uids=identity.sop_instance_uids if volume.dicom else None,
        instance_numbers=identity.instance_numbers if volume.dicom else None,
        placement=volume.placement,
        ignored=ignored if ignored is not None and ignored.any() else None,
        modality=volume.dicom.modality if volume.dicom else "",
        body_part=volume.dicom.body_part if volume.dicom else "",
        sequence=volume.dicom.sequence if volume.dicom else "",
    )


def _covers_most(images: npt.NDArray[Any], lesions: npt.NDArray[np.bool_]) -> bool:
    """Whether more than half of what is brighter than the background is lesion; (n, h, w) both."""
    tissue = images > images.min()
    return bool(2 * np.count_nonzero(tissue & lesions) > np.count_nonzero(tissue) > 0)


def _holds_few_values(voxels: npt.NDArray[Any]) -> bool:
    """Whether three values or fewer occur; stops at the first slices that show more."""
    seen: npt.NDArray[Any] = voxels[:0].ravel()
    for slab in voxels:
        seen = np.union1d(seen, slab)
        if len(seen) > 3:
            return False
    return True


def slice_labels(lesions: npt.NDArray[np.bool_]) -> npt.NDArray[np.int8]:
    """ABNORMAL for every slice of `lesions` (n, h, w) whose mask is not empty, else HEALTHY; (n,)."""
    return np.where(lesions.any(axis=(1, 2)), ABNORMAL, HEALTHY).astype(np.int8)


def ill_slice_labels(lesions: npt.NDArray[np.bool_]) -> tuple[npt.NDArray[np.int8], tuple[str, ...]]:
    """Labels (n,) of the slices of a patient who has a lesion for certain, by `lesions` (n, h, w); and a note.

    Where the masks are all empty they are not his: no slice is called healthy.
    """
    if lesions.any():
        return slice_labels(lesions), ()
    return np.full(len(lesions), UNKNOWN, dtype=np.int8), (EMPTY_MASK,)


def require_same_place(grid: Grid, source: Path, mask: Volume, what: str, placed: bool) -> None:
    """Raise UnreadableScan where a mask does not lie on its scan.

    grid, source: of the scan.  what: the mask is called so.  placed: whether the grid of the scan says where it lies.
    """
    if mask.grid.shape != grid.shape:
        raise UnreadableScan(
            f"The {what} {mask.source} has shape {mask.grid.shape} where its scan {source} has "
            f"{grid.shape} (z, y, x); resample it onto the grid of the scan."
        )
    if not placed or mask.kind in _PLACELESS:
        return
    apart = np.linalg.norm(_corners_mm(grid) - _corners_mm(mask.grid), axis=1).max()
    if not apart <= GRID_TOLERANCE * min(grid.spacing_mm):
        raise UnreadableScan(
            f"The {what} {mask.source} lies up to {apart:.3g} mm away from its scan {source} (spacing, "
            "origin or direction differ); resample it onto the grid of the scan."
        )


def _lies_on(volume: Volume, mask: Volume) -> bool:
    try:
        require_same_place(volume.grid, volume.source, mask, "lesion mask", volume.kind not in _PLACELESS)
    except UnreadableScan:
        return False
    return True


def _corners_mm(grid: Grid) -> npt.NDArray[np.float64]:
    z, y, x = grid.shape
    corners = np.array([(*corner, 1.0) for corner in itertools.product((0, x - 1), (0, y - 1), (0, z - 1))])
    world: npt.NDArray[np.float64] = (corners @ grid.affine_lps().T)[:, :3]  # (8, 3)
    return world

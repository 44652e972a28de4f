"""A scan and its lesion mask, turned into axial slices with labels: the step that all cohorts of scans share."""

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from anomae.cohorts.case import ABNORMAL, HEALTHY, UNKNOWN, CaseSlices
from anomae.cohorts.lesion_masks import UNSURE, MaskValues, lesions_of, read_mask
from anomae.errors import UnreadableScan
from anomae.volumes.series import folder_and_series
from anomae.volumes.volume import Grid, Volume

# Share of the smallest voxel side by which a corner of the mask's grid may stand off: header rounding, no more.
GRID_TOLERANCE = 0.1

# Kinds of files that say nothing of where their pixels lie in the world.
_PLACELESS = ("picture", "array")

EMPTY_MASK = "called abnormal, but its lesion mask is empty; its label is the folder's, or unknown slice by slice"
UNDER_HEALTHY = "called healthy, but its lesion mask is not empty; the mask was believed"
FEW_VALUES = "the scan holds three values or fewer; it may be a mask"
LARGE_MASK = "its lesion mask covers more than half of the tissue; it may be the mask of an organ"


def read_scan_slices(
    source: Path,
    lesion: Path | None = None,
    label: int = UNKNOWN,
    *,
    values: MaskValues | None = None,
    called: int = UNKNOWN,
) -> CaseSlices:
    """Read a scan, and its lesion mask where there is one, as axial slices; see `scan_slices`.

    Raises UnreadableScan where either file is missing, broken, or does not fit the other.
    """
    from anomae.volumes.read import read_volume

    for path in (source, lesion):
        if path is not None and not folder_and_series(path)[0].exists():
            raise UnreadableScan(f"{path} is missing.")
    mask = read_mask(lesion) if lesion else None
    return scan_slices(read_volume(source), mask, label, values=values, called=called)


def scan_slices(
    volume: Volume,
    lesion: Volume | None = None,
    label: int = UNKNOWN,
    *,
    values: MaskValues | None = None,
    called: int = UNKNOWN,
) -> CaseSlices:
    """The axial slices of `volume`, from the feet up, numbered from 0.

    lesion: its mask (see anomae.cohorts.lesion_masks); every slice is then labelled by whether its mask is empty, and
    `label` counts for nothing.  label: else the label of every slice.  values: which values of the mask count, None: of
    a data set whose masks are known to have several.  called: what the whole scan is called; where that is ABNORMAL and
    the mask is empty, no slice counts as healthy.  Raises UnreadableScan where the mask does not lie on the scan.
    """
    from anomae.volumes.orientation import axial_view, identify_slices

    view = axial_view(volume.grid)
    images = view.apply(volume.voxels)  # (n, h, w)
    lesions: npt.NDArray[np.bool_] | None = None
    labels = np.full(len(images), label, dtype=np.int8)
    notes = volume.notes
    if values is not None and _holds_few_values(volume.voxels):
        notes = (*notes, FEW_VALUES)
    if lesion is not None:
        require_same_place(volume.grid, volume.source, lesion, "lesion mask", volume.kind not in _PLACELESS)
        found = lesions_of(lesion, values or MaskValues(), several_said=values is not None)
        lesions = np.asarray(view.apply(found.lesion), dtype=np.bool_)
        labels = slice_labels(lesions)
        notes = (*notes, *dict.fromkeys((*lesion.notes, *found.notes)))
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


def _corners_mm(grid: Grid) -> npt.NDArray[np.float64]:
    z, y, x = grid.shape
    corners = np.array([(*corner, 1.0) for corner in itertools.product((0, x - 1), (0, y - 1), (0, z - 1))])
    world: npt.NDArray[np.float64] = (corners @ grid.affine_lps().T)[:, :3]  # (8, 3)
    return world

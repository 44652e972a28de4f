"""A scan and its lesion mask, turned into axial slices with labels: the step that all cohorts of scans share."""

import itertools
from pathlib import Path

import numpy as np
import numpy.typing as npt

from anomae.cohorts.case import ABNORMAL, HEALTHY, UNKNOWN, CaseSlices
from anomae.errors import UnreadableScan
from anomae.volumes.series import folder_and_series
from anomae.volumes.volume import Grid, Volume

# Share of the smallest voxel side by which a corner of the mask's grid may stand off: header rounding, no more.
GRID_TOLERANCE = 0.1

# Kinds of files that say nothing of where their pixels lie in the world.
_PLACELESS = ("picture", "array")


def read_scan_slices(source: Path, lesion: Path | None = None, label: int = UNKNOWN) -> CaseSlices:
    """Read a scan, and its lesion mask where there is one, as axial slices; see `scan_slices`.

    Raises UnreadableScan where either file is missing, broken, or does not fit the other.
    """
    from anomae.volumes.read import read_volume

    for path in (source, lesion):
        if path is not None and not folder_and_series(path)[0].exists():
            raise UnreadableScan(f"{path} is missing.")
    return scan_slices(read_volume(source), read_volume(lesion) if lesion else None, label)


def scan_slices(volume: Volume, lesion: Volume | None = None, label: int = UNKNOWN) -> CaseSlices:
    """The axial slices of `volume`, from the feet up, numbered from 0.

    lesion: its mask, > 0 where abnormal; every slice is then labelled by whether its mask is empty, and `label` counts
    for nothing.  label: else the label of every slice.  Raises UnreadableScan where the mask does not lie on the scan.
    """
    from anomae.volumes.orientation import axial_view, identify_slices

    view = axial_view(volume.grid)
    images = view.apply(volume.voxels)  # (n, h, w)
    lesions: npt.NDArray[np.bool_] | None = None
    labels = np.full(len(images), label, dtype=np.int8)
    notes = volume.notes
    if lesion is not None:
        require_same_place(volume.grid, volume.source, lesion, "lesion mask", volume.kind not in _PLACELESS)
        lesions = np.asarray(view.apply(lesion.voxels > 0), dtype=np.bool_)
        labels = slice_labels(lesions)
        notes = (*notes, *lesion.notes)
        if label == HEALTHY and labels.any():
            notes = (*notes, "called healthy, but its lesion mask is not empty; the mask was believed")
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
    )


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

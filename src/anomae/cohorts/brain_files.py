"""Brain masks that the user has put beside a scan: found by their names, and read onto its slices."""

from pathlib import Path

import numpy as np
import numpy.typing as npt

from anomae.cohorts.case import CaseSlices
from anomae.cohorts.scan_slices import require_same_place
from anomae.errors import UnreadableScan
from anomae.volumes.volume import Grid

# <scan>_brain.nii.gz and so on; the brain is where the file is above 0, be it a mask or the brain cut out of the scan.
ENDINGS = ("_brain", "_brainmask", "_brain_mask", "_bet", "_bet_mask")
_SUFFIXES = (".nii.gz", ".nii", ".mha", ".mhd", ".nrrd", ".nhdr", ".hdr", ".hdr.gz", ".npy", ".npz")


def brain_file(scan: Path) -> Path | None:
    """The file beside `scan` (a file, or the folder of a DICOM series) that tells its brain, or None."""
    for ending in ENDINGS:
        for suffix in _SUFFIXES:
            beside = scan.parent / f"{_stem(scan)}{ending}{suffix}"
            if beside.is_file():
                return beside
    return None


def is_brain_file(path: Path) -> bool:
    """Whether `path` is by its name the brain of a scan that lies beside it."""
    from anomae.volumes.read import is_readable_name

    stem = _stem(path)
    if path.is_dir() or not stem.lower().endswith(ENDINGS) or not path.parent.is_dir():
        return False
    scans = {stem[: -len(ending)] for ending in ENDINGS if stem.lower().endswith(ending)}
    return any(_stem(entry) in scans and (entry.is_dir() or is_readable_name(entry)) for entry in path.parent.iterdir())


def read_given_brain(case: CaseSlices) -> npt.NDArray[np.bool_] | None:
    """The brain (n, h, w) that a file beside the scan tells; None where there is no such file.

    Raises UnreadableScan where it is broken, empty, or does not lie on the scan.
    """
    path = None if case.source is None else brain_file(case.source)
    if case.source is None or path is None:
        return None
    from anomae.volumes.orientation import axial_view
    from anomae.volumes.read import read_volume

    given = read_volume(path)
    depth, _, height, width = case.images.shape
    grid = case.grid or Grid((depth, height, width))  # a picture: its slices are as they are stored
    require_same_place(grid, case.source, given, "brain mask", case.grid is not None)
    brain = np.asarray(axial_view(grid).apply(given.voxels > 0), dtype=np.bool_)
    if not brain.any():
        raise UnreadableScan(f"The brain mask {path} is empty.")
    return brain


def _stem(path: Path) -> str:
    return path.name if path.is_dir() else path.name.removesuffix(".gz").rpartition(".")[0] or path.name

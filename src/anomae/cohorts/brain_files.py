"""Brain masks that the user has put beside a scan: found by their names, and read onto its slices."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy.typing as npt

from anomae.cohorts.case import CaseSlices
from anomae.cohorts.file_roles import bids_name, fits, is_brain_mask_name, stem_of
from anomae.cohorts.scan_slices import require_same_place
from anomae.errors import UnreadableScan
from anomae.volumes.volume import Grid

# <scan>_brain.nii.gz and so on: a mask, or the brain cut out of the scan (anomae.slices.given_brain).
ENDINGS = ("_brain", "_brainmask", "_brain_mask", "_bet", "_bet_mask")
_SUFFIXES = (".nii.gz", ".nii", ".mha", ".mhd", ".nrrd", ".nhdr", ".hdr", ".hdr.gz", ".npy", ".npz")
_ENDING = re.compile(r"(?:_(?:brain|bet)|[-_. ]?(?:brain|bet)[-_. ]?masks?)$", re.IGNORECASE)
_ENDING_WORD = re.compile(r"brain|bet", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class GivenBrain:
    """What lies in the file that tells the brain of a scan.

    voxels: (n, h, w), as the slices of the scan.  notes: what its reader noticed.  apart: "", or why it does not lie on
    the scan, of a file that BIDS names for all scans of a subject; it is not to be used then.
    """

    path: Path
    voxels: npt.NDArray[Any]
    notes: tuple[str, ...] = ()
    apart: str = ""


def brain_file(scan: Path) -> Path | None:
    """The file beside `scan` (a file, or the folder of a DICOM series) that tells its brain, or None.

    Named as the scan is, with one of `ENDINGS`, in any case and with hyphens or blanks for underscores; or as BIDS
    names those of all scans of a subject ("sub-1_desc-brain_mask" of "sub-1_T1w").
    """
    usual = (scan.parent / f"{stem_of(scan)}{ending}{suffix}" for ending in ENDINGS for suffix in _SUFFIXES)
    found = next((path for path in usual if path.is_file()), None)
    if found or not scan.parent.is_dir():
        return found
    names = (path for path in sorted(scan.parent.iterdir()) if _ENDING_WORD.search(path.name) and path != scan)
    beside = [path for path in names if path.name.lower().endswith(_SUFFIXES)]
    of_subject = (path for path in beside if _is_of_subject(path, scan))
    return next((path for path in beside if _is_called(path, scan)), next(of_subject, None))


def is_brain_file(path: Path) -> bool:
    """Whether `path` is by its name the brain of a scan that lies beside it."""
    from anomae.volumes.read import is_readable_name

    if path.is_dir() or not path.parent.is_dir() or not _ENDING.search(stem_of(path)):
        return False
    return any(
        (_is_called(path, entry) or _is_of_subject(path, entry)) and (entry.is_dir() or is_readable_name(entry))
        for entry in path.parent.iterdir()
        if entry != path
    )


def unused_brains(brains: Sequence[Path], scans: Iterable[Path]) -> list[Path]:
    """Which of `brains` tell the brain of none of `scans`, by their names."""
    used = {brain_file(scan) for scan in scans} if brains else set()
    return [brain for brain in brains if brain not in used]


def read_brain_file(case: CaseSlices) -> GivenBrain | None:
    """The file beside the scan that tells its brain, turned as its slices are; None where there is none.

    Raises UnreadableScan where it is broken, or does not lie on the scan that it is called by.
    """
    path = None if case.source is None else brain_file(case.source)
    if case.source is None or path is None:
        return None
    from anomae.volumes.orientation import axial_view
    from anomae.volumes.read import read_volume

    given = read_volume(path)
    depth, _, height, width = case.images.shape
    grid = case.grid or Grid((depth, height, width))  # a picture: its slices are as they are stored
    try:
        require_same_place(grid, case.source, given, "brain mask", case.grid is not None)
    except UnreadableScan as error:
        if _is_called(path, case.source):
            raise
        return GivenBrain(path, given.voxels[:0], apart=str(error))
    return GivenBrain(path, axial_view(grid).apply(given.voxels), given.notes)


def _is_called(path: Path, scan: Path) -> bool:
    """Whether a file is called as the scan, with an ending that says brain."""
    stem = stem_of(path)
    return any(stem[: ending.start()].casefold() == stem_of(scan).casefold() for ending in _ENDING.finditer(stem))


def _is_of_subject(path: Path, scan: Path) -> bool:
    """Whether a file is by BIDS the brain mask of the scan among others of its subject, in the same space."""
    stem = stem_of(path)
    ending = _ENDING.search(stem) if is_brain_mask_name(path) else None
    if not ending or not stem.lower().startswith("sub-"):
        return False
    (subject, space), (name, scan_space) = bids_name(stem[: ending.start()]), bids_name(stem_of(scan))
    return space == scan_space and fits(subject, name)

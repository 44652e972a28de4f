"""Brain masks that the user has put beside a scan: found by their names, and read onto its slices."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy.typing as npt

from anomae.cohorts.brain_names import brain_base, brain_names
from anomae.cohorts.case import CaseSlices
from anomae.cohorts.file_roles import stem_of
from anomae.cohorts.scan_slices import require_same_place
from anomae.errors import UnreadableScan
from anomae.volumes.volume import Grid


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

    Named as the scan is, with one of the endings of anomae.cohorts.brain_names, in any case and with hyphens or blanks
    for underscores; or as BIDS names those of all scans of a subject ("sub-1_desc-brain_mask" of "sub-1_T1w").
    """
    return brain_names(scan.parent).brain_of(scan) if scan.parent.is_dir() else None


def is_brain_file(path: Path) -> bool:
    """Whether `path` is by its name the brain of a scan that lies beside it."""
    from anomae.volumes.read import is_readable_name

    if path.is_dir() or not path.parent.is_dir() or brain_base(stem_of(path)) is None:
        return False
    return any(is_readable_name(scan) or scan.is_dir() for scan in brain_names(path.parent).scans_of(path))


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
        if brain_base(stem_of(path)) == stem_of(case.source).casefold():
            raise
        return GivenBrain(path, given.voxels[:0], apart=str(error))
    return GivenBrain(path, axial_view(grid).apply(given.voxels), given.notes)

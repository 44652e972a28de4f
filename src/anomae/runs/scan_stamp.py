"""A text that changes when the files of a scan do, of which a file that tells its brain is one."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from anomae.cohorts.brain_files import brain_file
from anomae.slices.bodies import APART, GIVEN
from anomae.volumes.detached import files_of
from anomae.volumes.series import folder_and_series


def stamp_of(scan: Path, seeks_brain_file: bool = False) -> str:
    """The stamp: from names, sizes and times of the files, not from what they hold.

    seeks_brain_file: a file beside the scan may tell its brain, see anomae.cohorts.brain_files.
    """
    return _stamp(scan, _brain_of(scan, seeks_brain_file))


def still_holds(stamp: str, scan: Path, seeks_brain_file: bool, notes: Sequence[str], made: Sequence[Path]) -> bool:
    """Whether `stamp` is that of a scan as it is now.

    An earlier version left the brain's file out of it: where `notes` say that there was one when the scan was scored,
    the stamp still holds unless it is gone, or newer than the files that were `made` of the scan.
    """
    brain = _brain_of(scan, seeks_brain_file)
    if stamp == _stamp(scan, brain):
        return brain is not None or GIVEN not in notes
    if brain is None or stamp != _stamp(scan) or not {GIVEN, APART} & {*notes}:
        return False
    return all(brain.stat().st_mtime_ns <= path.stat().st_mtime_ns for path in made)


def _brain_of(scan: Path, seeks_brain_file: bool) -> Path | None:
    path = brain_file(scan) if seeks_brain_file else None
    return path if path is not None and path.exists() else None


def _stamp(scan: Path, brain: Path | None = None) -> str:
    scan, number = folder_and_series(scan)  # a series changes with its folder: only reading tells its files apart
    files = [scan]
    if number is not None:
        files = sorted(file for file in scan.iterdir() if file.is_file())
    elif scan.is_dir():
        files = sorted(file for file in scan.rglob("*") if file.is_file())
    elif scan.suffix.lower() in (".mhd", ".nhdr"):
        named = {file for file in scan.parent.iterdir() if file.stem == scan.stem and file.is_file()}
        files = sorted(named | set(files_of(scan)))
    else:
        files = files_of(scan)
    files += [] if brain is None else files_of(brain)
    seen = hashlib.blake2b(digest_size=16)
    for file in files:
        facts = file.stat()
        seen.update(f"{file.name}\n{facts.st_size}\n{facts.st_mtime_ns}\n".encode(errors="surrogateescape"))
    return seen.hexdigest()

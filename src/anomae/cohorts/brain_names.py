"""The names in a folder that say brain, and of which of its scans: looked up in an index, made once a folder."""

import os
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from anomae.cohorts.file_roles import bases_of, bids_name, is_brain_mask_name, stem_of, stem_of_file

# <scan>_brain.nii.gz and so on: a mask, or the brain cut out of the scan (anomae.slices.given_brain).
ENDINGS = ("_brain", "_brainmask", "_brain_mask", "_bet", "_bet_mask")
_SUFFIXES = (".nii.gz", ".nii", ".mha", ".mhd", ".nrrd", ".nhdr", ".hdr", ".hdr.gz", ".npy", ".npz")
_ENDING = re.compile(r"(?:_(?:brain|bet)|[-_. ]?(?:brain|bet)[-_. ]?masks?)$", re.IGNORECASE)
# A folder that was changed so short a time ago may change again without another time: its index is not kept.
_SETTLED_NS = 2 * 10**9


@dataclass(frozen=True, slots=True)
class BrainNames:
    """The names in one folder.

    called: name of a scan, case-folded -> the files that are its brain by it.  of_subject: name and space that BIDS
    gives a brain mask -> the masks; both in the order of their paths.  named: name, case-folded -> files and folders.
    subjects: name and space of which a scan is by BIDS -> the scans; {} where no mask asks.
    """

    called: Mapping[str, Sequence[Path]]
    of_subject: Mapping[tuple[str, str], Sequence[Path]]
    named: Mapping[str, Sequence[Path]]
    subjects: Mapping[tuple[str, str], Sequence[Path]]

    def brain_of(self, scan: Path) -> Path | None:
        """The file that is the brain of `scan` by its name, of several as `ENDINGS` go; else that of its subject."""
        stem = stem_of(scan)
        called = {path.name: path for path in self.called.get(stem.casefold(), ()) if path != scan}
        usual = (called.get(f"{stem}{ending}{suffix}") for ending in ENDINGS for suffix in _SUFFIXES if called)
        if called or not self.of_subject:
            return next((path for path in usual if path and path.is_file()), next(iter(called.values()), None))
        name, space = bids_name(stem)
        found = (path for base in bases_of(name) for path in self.of_subject.get((base, space), ()) if path != scan)
        return min(found, default=None)

    def scans_of(self, brain: Path) -> list[Path]:
        """What may be the scan whose brain `brain` is, by their names."""
        base, subject = brain_base(stem_of(brain)), _subject_of(brain)
        found = [*self.named.get(base or "", ()), *(self.subjects.get(subject, ()) if subject else ())]
        return [path for path in found if path != brain]


def brain_base(stem: str) -> str | None:
    """Of which scan a stem says that it is the brain ("x_BET": "x"), case-folded; None where it says no such thing."""
    ending = _ENDING.search(stem)
    return stem[: ending.start()].casefold() if ending else None


def brain_names(folder: Path) -> BrainNames:
    """The names in a folder, looked at again where it was changed."""
    changed_ns = folder.stat().st_mtime_ns
    look = _look if time.time_ns() - changed_ns > _SETTLED_NS else _look.__wrapped__
    return look(folder, changed_ns)


def _subject_of(path: Path) -> tuple[str, str] | None:
    """The name and the space of which BIDS says that a file is the brain mask; None for other files."""
    stem = stem_of(path)
    ending = _ENDING.search(stem) if is_brain_mask_name(path) else None
    if not ending or not stem.lower().startswith("sub-"):
        return None
    name, space = bids_name(stem[: ending.start()])
    return name.lower(), space


@lru_cache(maxsize=8)
def _look(folder: Path, _changed_ns: int) -> BrainNames:
    stems: dict[Path, str] = {}
    with os.scandir(folder) as entries:
        for entry in entries:
            path = folder / entry.name
            is_folder = path.is_dir() if entry.is_symlink() else entry.is_dir()
            stems[path] = entry.name if is_folder else stem_of_file(entry.name)
    named: dict[str, list[Path]] = {}
    for path, stem in stems.items():
        named.setdefault(stem.casefold(), []).append(path)
    called: dict[str, list[Path]] = {}
    of_subject: dict[tuple[str, str], list[Path]] = {}
    asked = False  # whether a mask names a subject
    for path in sorted(path for path, stem in stems.items() if brain_base(stem) is not None):
        subject = _subject_of(path)
        asked |= subject is not None
        if path.name.lower().endswith(_SUFFIXES):
            called.setdefault(brain_base(stems[path]) or "", []).append(path)
            if subject is not None:
                of_subject.setdefault(subject, []).append(path)
    subjects: dict[tuple[str, str], list[Path]] = {}
    for path, stem in stems.items() if asked else ():
        name, space = bids_name(stem)
        for base in bases_of(name) if "sub-" in name.lower() else ():
            subjects.setdefault((base, space), []).append(path)
    return BrainNames(called, of_subject, named, subjects)

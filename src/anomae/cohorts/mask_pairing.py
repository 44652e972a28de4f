"""Which lesion mask belongs to which scan of a folder tree, by names and folders; doubts are told, not guessed."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatch, translate
from pathlib import Path

from anomae.cohorts.brain_files import is_brain_file
from anomae.cohorts.file_roles import (
    IMAGE_FOLDERS,
    MASK_FOLDERS,
    fits,
    given_twice,
    home_of,
    in_mask_folder,
    is_brain_mask_name,
    mask_base,
    stem_of,
)


@dataclass(frozen=True, slots=True)
class RoleSettings:
    """What the user says of roles: patterns of file names with * in them, and names of folders; () for the usual.

    masks: the first * stands for the name of the scan.  images: all else is left out.  mask_folders: in small letters.
    """

    masks: tuple[str, ...] = ()
    images: tuple[str, ...] = ()
    mask_folders: tuple[str, ...] = ()

    @property
    def folders(self) -> tuple[str, ...]:
        """The names of folders of masks."""
        return self.mask_folders or MASK_FOLDERS


@dataclass(slots=True)
class Paired:
    """What each file of a tree is.

    lesions: scan -> its mask, or None.  unclear: scans of which more than one mask may be.  lonely: masks of no scan.
    twice: files left out because the same lies beside them compressed.  brains: brain masks.  not_images: files that
    image_pattern leaves out.  shared: how many scans share folder and stem with another.
    """

    lesions: dict[Path, Path | None] = field(default_factory=dict)
    unclear: set[Path] = field(default_factory=set)
    lonely: list[Path] = field(default_factory=list)
    twice: set[Path] = field(default_factory=set)
    brains: list[Path] = field(default_factory=list)
    not_images: list[Path] = field(default_factory=list)
    shared: int = 0


def pair(paths: list[Path], above: Path, told: RoleSettings) -> Paired:
    """What each of `paths` (scans and masks anywhere below `above`) is, and which belong together."""
    found = Paired(twice=given_twice(paths))
    scans: list[Path] = []
    masks: list[tuple[Path, str, bool]] = []  # the file, of whom it is, whether it lies in a folder of masks
    for path in paths:
        inside = in_mask_folder(path, above, told.folders)
        base = _told_base(path, told.masks) if told.masks else mask_base(stem_of(path))
        if path in found.twice:
            continue
        if is_brain_file(path) or (is_brain_mask_name(path) and not told.masks):
            found.brains.append(path)
        elif base is not None or inside:
            masks.append((path, stem_of(path) if base is None else base, inside))
        elif told.images and not _matches(path, above, told.images):
            found.not_images.append(path)
        else:
            scans.append(path)
    found.shared = len(scans) - len({(scan.parent, stem_of(scan).lower()) for scan in scans})
    found.lesions = dict.fromkeys(scans)
    _match(found, masks, above, told)
    return found


def _match(found: Paired, masks: list[tuple[Path, str, bool]], above: Path, told: RoleSettings) -> None:
    stems = {scan: stem_of(scan) for scan in found.lesions}
    homes = {scan: home_of(scan, above, told.folders) for scan in found.lesions}
    by_home: dict[tuple[str, ...], list[Path]] = {}
    for scan, home in homes.items():
        by_home.setdefault(home, []).append(scan)
    for path, base, inside in masks:
        home = home_of(path, above, told.folders)
        near = list(_near(home, by_home, inside))
        if not inside:
            near = [scan for scan in near if scan.parent == path.parent]
        # In a folder of masks the whole name may be the scan's ("scan_seg" beside "masks/scan_seg").
        names = dict.fromkeys((stem_of(path), base)) if inside else (base,)
        of = next((hit for name in names if (hit := _exact(name, near, stems))), [])
        of = of or [scan for scan in near if fits(base, stems[scan])]
        if not of and (not base or (not inside and len(near) == 1 and _is_patient_folder(path, above))):
            of = [scan for scan in near if len(near) == 1 or not base]
        if not of:
            found.lonely.append(path)
        for scan in of:
            if found.lesions[scan] is not None or len({each.parent for each in of}) > 1:
                found.unclear.add(scan)
            found.lesions[scan] = path
    for scan in found.unclear:
        found.lesions[scan] = None


def _near(home: tuple[str, ...], by_home: dict[tuple[str, ...], list[Path]], inside: bool) -> Iterator[Path]:
    for other, scans in by_home.items():
        if other == home or (inside and _is_part(home, other)):
            yield from scans


def _exact(name: str, near: list[Path], stems: dict[Path, str]) -> list[Path]:
    return [scan for scan in near if stems[scan].lower() == name.lower()]


def _is_part(short: tuple[str, ...], long: tuple[str, ...]) -> bool:
    rest = iter(long)
    return all(part in rest for part in short)


def _is_patient_folder(path: Path, above: Path) -> bool:
    """Whether the file lies deeper than in the folder of a class, in one that may be a patient's."""
    return len(path.relative_to(above).parts) > 2 and path.parent.name.lower() not in IMAGE_FOLDERS


def _told_base(path: Path, patterns: tuple[str, ...]) -> str | None:
    for pattern in patterns:
        match = re.match(translate(pattern).replace(".*", "(.*)", 1), path.name, re.IGNORECASE)
        if match:
            return match[1] if match.groups() else ""
    return None


def _matches(path: Path, above: Path, patterns: tuple[str, ...]) -> bool:
    below = path.relative_to(above).as_posix().lower()
    return any(fnmatch(path.name.lower(), each.lower()) or fnmatch(below, each.lower()) for each in patterns)

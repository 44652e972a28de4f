"""Lesion masks whose names do not hold the name of their scan: the folder of one case tells whose they are."""

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from anomae.cohorts.file_roles import fits, mask_base, stem_of, without_number
from anomae.cohorts.folder_classes import ABNORMAL_NAMES, HEALTHY_NAMES, SPLIT_NAMES

_CLASSES = {*HEALTHY_NAMES, *ABNORMAL_NAMES, *SPLIT_NAMES}
# Names of one mask of several, where they stand alone ("lesion_1", "nodule-2"): elsewhere pictures are called so too.
_ONE_OF_SEVERAL = re.compile(
    r"(?:lesions?|nodules?|tumou?rs?|findings?|rois?|masks?|segmentations?|segs?|labels?|gt|annotations?)"
    r"[-_. ]*\(?\d{0,3}\)?",
    re.IGNORECASE,
)
# What merely counts masks: numbers, and the hashes that annotation programs name files by.
_COUNTED = re.compile(r"\d+|(?=[0-9a-f-]*\d)[0-9a-f]{8}[0-9a-f-]*", re.IGNORECASE)


def is_case_folder(home: tuple[str, ...], classes: bool = True) -> bool:
    """Whether folders below the source, in small letters and without those of a role, may end in that of one case.

    One that is no folder of a class or of a split, inside of another.  classes: whether the source holds folders of
    classes; else a folder in it, and itself, may be that of a case.
    """
    return len(home) > 1 and home[-1] not in _CLASSES if classes else not home or home[-1] not in _CLASSES


def are_of_one_case(scans: Sequence[Path], home: tuple[str, ...], classes: bool = True) -> bool:
    """Whether the scans that lie in `home` (as for `is_case_folder`) are of one case: one, or sequences by their names.

    Sequences: "t1.nii.gz" and "flair.nii.gz", or "CASE_t1.nii.gz" and so on in the folder CASE.
    """
    if not scans or not is_case_folder(home, classes):
        return False
    if not home:
        return len(scans) == 1
    return len(scans) == 1 or all(fits(home[-1], name) or fits("x", f"x_{name}") for name in map(stem_of, scans))


def is_one_of_several(stem: str) -> bool:
    """Whether a name says that it is a lesion mask, or one of several, but not of which scan ("mask", "nodule_2")."""
    return _ONE_OF_SEVERAL.fullmatch(stem) is not None


def sort_of_mask(stem: str) -> str:
    """What the mask of a case shows by its name, without what only counts: "" for "3", "lung" for "lung_mask"."""
    base = mask_base(stem)
    short = without_number(stem if base is None or not base else base).lower()
    return "" if _COUNTED.fullmatch(short) or is_one_of_several(short) else short


def scans_of_case_folder(
    home: tuple[str, ...],
    by_home: Mapping[tuple[str, ...], Iterable[Path]],
    by_stem: Mapping[str, Iterable[Path]],
    classes: bool = True,
) -> list[Path]:
    """The scan that a mask in a folder of masks belongs to by its folders alone; several where it could be any.

    For masks that have no name of their own (`sort_of_mask`).  home: the folders of the mask, in small letters and
    without those of a role; by_home: the same of scans; by_stem: scans by their name in small letters; classes: as for
    `is_case_folder`.  The innermost folder is called as a scan ("masks/CASE/1.png" of "images/CASE.png"), or is the
    folder of a case that holds one scan ("CASE/masks/1.png" of "CASE/image.png").
    """
    if not home or home[-1] in _CLASSES:
        return []
    named = [scan for other, scan in _with_homes(by_stem.get(home[-1], ()), by_home) if _is_part(home[:-1], other)]
    if named:
        return named
    inside = [
        scan
        for other, scans in by_home.items()
        if other and other[-1] == home[-1] and is_case_folder(other, classes) and _is_part(home, other)
        for scan in scans
    ]
    return inside if len(inside) == 1 else []


def _with_homes(
    scans: Iterable[Path], by_home: Mapping[tuple[str, ...], Iterable[Path]]
) -> Iterable[tuple[tuple[str, ...], Path]]:
    wanted = set(scans)
    return ((home, scan) for home, own in by_home.items() for scan in own if scan in wanted) if wanted else ()


def _is_part(short: tuple[str, ...], long: tuple[str, ...]) -> bool:
    rest = iter(long)
    return all(part in rest for part in short)

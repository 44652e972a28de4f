"""Scans that are called like lesion masks ("p30_lesion.png"): a class folder that holds nothing else, and no masks."""

import re
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from anomae.cohorts.file_roles import home_of, in_mask_folder, mask_base, mask_bases, stem_of, without_number
from anomae.cohorts.mask_pairing import Paired, RoleSettings
from anomae.errors import UnreadableScan

_FEW_VALUES = 16  # labels of a mask
_SAMPLE = 1000  # voxels that tell most photographs from labels at once
_TWO_TONED, _NEAR_END = 0.95, 0.1  # share of a mask's pixels that lie within so much of its range from either end
_BETWEEN = re.compile(r"[-_. ]+")


def taken_as_scans(paired: Paired, classes: Sequence[Path], above: Path, told: RoleSettings) -> list[str]:
    """Make scans in `paired` of files of no scan that are all that a class folder holds; a sentence where any were.

    classes: the folders of the classes, below `above`.  Only names may call them masks: not where they lie in a folder
    of masks, the user says which files are masks or scans (told), or most of them show two tones or labels.  A file
    that does is never a scan; where it is named after one ("p1_roi_seg", "p1_roi_seg_v2" beside "p1_roi") it is its
    mask, as is one in a folder of masks ("masks/p1_roi").
    """
    if told.masks or told.images:
        return []
    taken: set[Path] = set()
    for root in classes:
        _part_the_swapped(paired, root, above)
        lonely = [mask for mask in paired.lonely if mask.is_relative_to(root)]
        own = [mask for mask in lonely if not in_mask_folder(mask, above)]
        if not own:
            continue
        so_far = [scan for scan in paired.lesions if scan.is_relative_to(root)]
        named_after = _named_after([*lonely, *so_far], own, above)
        no_scans = {file for file in so_far if file in named_after and not paired.lesions[file] and shows_a_mask(file)}
        rest = {*so_far} - no_scans
        if all(
            _is_called_like_one_of_several(each) and not paired.lesions[each] and shows_a_mask(each) for each in rest
        ):
            no_scans |= rest
        _drop(paired, no_scans)
        if len(no_scans) < len(so_far) or any(each.is_relative_to(root) for each in paired.taken):
            continue
        others = [file for file in own if file not in named_after]
        scans = {file for file in others if not shows_a_mask(file)}
        if 2 * len(scans) >= len(others):
            taken |= scans
            paired.lesions |= dict.fromkeys(sorted(scans), ())
            own_masks = {
                mask: of
                for mask, of in named_after.items()
                if {*of} <= scans and (mask in no_scans or in_mask_folder(mask, above) or shows_a_mask(mask))
            }
            _give_masks(paired, own_masks)
    gone = taken | paired.taken
    paired.lonely = [mask for mask in paired.lonely if mask not in gone]
    return (
        [
            f"{len(taken)} files are called like lesion masks, but their class folder holds no others and they do not "
            "look like masks: they were taken as scans; where they are masks, say so by mask_pattern"
        ]
        if taken
        else []
    )


def _part_the_swapped(paired: Paired, root: Path, above: Path) -> None:
    """Undo pairs of a mask as the scan and a photograph as its mask ("p1/lesion_mask_1" and "p1/lesion")."""
    for scan, masks in paired.lesions.items():
        if not masks or not scan.is_relative_to(root):
            continue
        of = _named_after([scan], [mask for mask in masks if not in_mask_folder(mask, above)], above).get(scan, [])
        if of and shows_a_mask(scan) and not any(shows_a_mask(each) for each in of):
            paired.lesions[scan] = ()
            paired.lonely += sorted({*masks} & paired.taken)
            paired.taken -= {*masks}


def _named_after(files: Sequence[Path], own: Sequence[Path], above: Path) -> dict[Path, list[Path]]:
    """Those of `files` that are called like a mask of some of `own` beside them, or lie in their folder of masks.

    One of `own` that is so called with a number or version behind ("seg_1-GT_v2") is a mask only where it shows one.
    """
    called: defaultdict[tuple[Path | tuple[str, ...], str], list[Path]] = defaultdict(list)
    for file in own:
        called[file.parent, stem_of(file).lower()].append(file)
        called[home_of(file, above), stem_of(file).lower()].append(file)
    known, found = {*own}, {}
    for file in files:
        stem, inside = stem_of(file).lower(), in_mask_folder(file, above)
        around = home_of(file, above) if inside else file.parent
        names = [stem, without_number(stem)] if inside else []
        versions = []
        for mark in _BETWEEN.finditer(stem):
            start, end = stem[: mark.start()], stem[mark.end() :]
            for name, word in ((start, end), (end, start)):
                if mask_base(word) == "":
                    names.append(name)
                elif _says_mask(word):
                    versions.append(name)
        of, of_version = (
            next((called[around, name] for name in each if (around, name) in called), []) for each in (names, versions)
        )
        if not of and of_version and (file not in known or shows_a_mask(file)):
            of = of_version
        if of:
            found[file] = of
    return found


def _says_mask(word: str) -> bool:
    """Whether a part of a name says mask, with a number or a version behind ("mask (1)", "seg_v2", "GT_JD")."""
    shorter = [word[: mark.start()] for mark in _BETWEEN.finditer(word)]
    return any(mask_base(each) == "" for each in (without_number(word), *shorter))


def _is_called_like_one_of_several(file: Path) -> bool:
    stem = stem_of(file)
    return mask_base(without_number(stem)) is not None or bool(mask_bases(stem))


def _drop(paired: Paired, no_scans: set[Path]) -> None:
    """Count files as masks of no scan, that were taken as scans."""
    for file in no_scans:
        del paired.lesions[file]
        paired.regions.pop(file, None)
    paired.unclear -= no_scans
    paired.lonely += sorted(no_scans)


def _give_masks(paired: Paired, named_after: dict[Path, list[Path]]) -> None:
    """Pair masks with their scans; which it is is unclear where a scan has several of unlike names, or a mask scans."""
    masks: defaultdict[Path, list[Path]] = defaultdict(list)
    for mask, scans in named_after.items():
        paired.unclear |= {*scans} if len(scans) > 1 else set()
        for scan in scans:
            masks[scan].append(mask)
    paired.taken |= {*named_after}
    for scan, own in masks.items():
        kinds = {(mask.parent, without_number(stem_of(mask)).lower()) for mask in own}
        if len(kinds) > 1 or len({stem_of(mask).lower() for mask in own}) < len(own):
            paired.unclear.add(scan)
    paired.lesions |= {scan: () if scan in paired.unclear else tuple(own) for scan, own in masks.items()}


def shows_a_mask(path: Path) -> bool:
    """Whether a picture or scan is of two tones, as masks are in JPEG too, or of a few values.

    One that cannot be read is none; it is refused as a scan.
    """
    from anomae.volumes.pictures import SUFFIXES, read_colours
    from anomae.volumes.read import read_volume

    try:
        is_picture = path.name.lower().endswith(SUFFIXES)
        voxels = read_colours(path)[0].max(axis=1) if is_picture else read_volume(path).voxels
    except UnreadableScan:
        return False
    low, high = float(voxels.min()), float(voxels.max())
    near = _NEAR_END * (high - low)
    middle = np.count_nonzero((voxels > low + near) & (voxels < high - near))
    if middle <= (1 - _TWO_TONED) * voxels.size:
        return True
    sample = voxels.ravel()[:: -(-voxels.size // _SAMPLE)]
    return len(np.unique(sample)) <= _FEW_VALUES and len(np.unique(voxels)) <= _FEW_VALUES

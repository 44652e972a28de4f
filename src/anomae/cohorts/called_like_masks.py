"""Scans that are called like lesion masks ("p30_lesion.png"): a class folder that holds nothing else, and no masks."""

import re
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from anomae.cohorts.file_roles import in_mask_folder, mask_base, stem_of
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
    that does is never a scan; beside one that it is named after ("p1_roi_seg" beside "p1_roi") it is its mask.
    """
    if told.masks or told.images:
        return []
    taken: set[Path] = set()
    for root in classes:
        own = [mask for mask in paired.lonely if mask.is_relative_to(root)]
        if not own or any(each.is_relative_to(root) for each in (*paired.lesions, *paired.taken)):
            continue
        if any(in_mask_folder(mask, above) for mask in own):
            continue
        named_after = _named_after(own)
        others = [file for file in own if file not in named_after]
        scans = {file for file in others if not shows_a_mask(file)}
        if 2 * len(scans) >= len(others):
            taken |= scans
            paired.lesions |= dict.fromkeys(sorted(scans), ())
            _give_masks(paired, {mask: of for mask, of in named_after.items() if {*of} <= scans and shows_a_mask(mask)})
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


def _named_after(files: Sequence[Path]) -> dict[Path, list[Path]]:
    """Those of `files` that are called like a mask of others beside them, with these."""
    called: defaultdict[tuple[Path, str], list[Path]] = defaultdict(list)
    for file in files:
        called[file.parent, stem_of(file).lower()].append(file)
    found = {}
    for file in files:
        stem = stem_of(file).lower()
        for mark in _BETWEEN.finditer(stem):
            start, end = stem[: mark.start()], stem[mark.end() :]
            for name, word in ((start, end), (end, start)):
                if mask_base(word) == "" and (file.parent, name) in called:
                    found[file] = called[file.parent, name]
    return found


def _give_masks(paired: Paired, named_after: dict[Path, list[Path]]) -> None:
    """Pair masks with their scans; which it is is unclear where a scan has several, or a mask."""
    masks: defaultdict[Path, list[Path]] = defaultdict(list)
    for mask, scans in named_after.items():
        paired.unclear |= {*scans} if len(scans) > 1 else set()
        for scan in scans:
            masks[scan].append(mask)
    paired.taken |= {*named_after}
    paired.unclear |= {scan for scan, own in masks.items() if len(own) > 1}
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

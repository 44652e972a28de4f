"""Scans that are called like lesion masks ("p30_lesion.png"): a class folder that holds nothing else, and no masks."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from anomae.cohorts.file_roles import in_mask_folder
from anomae.cohorts.mask_pairing import Paired, RoleSettings
from anomae.errors import UnreadableScan

_LOOKED_AT = 9
_FEW_VALUES = 16  # labels of a mask
_TWO_TONED, _NEAR_END = 0.95, 0.1  # share of a mask's pixels that lie within so much of its range from either end


def taken_as_scans(paired: Paired, classes: Sequence[Path], above: Path, told: RoleSettings) -> list[str]:
    """Make scans in `paired` of files of no scan that are all that a class folder holds; a sentence where any were.

    classes: the folders of the classes, below `above`.  Only names may call them masks: not where they lie in a folder
    of masks, the user says which files are masks or scans (told), or most of those looked at show two tones or labels.
    """
    if told.masks or told.images:
        return []
    taken: list[Path] = []
    for root in classes:
        own = [mask for mask in paired.lonely if mask.is_relative_to(root)]
        if not own or any(each.is_relative_to(root) for each in (*paired.lesions, *paired.taken)):
            continue
        looked = own[:: -(-len(own) // _LOOKED_AT)]
        if any(in_mask_folder(mask, above) for mask in own) or 2 * sum(map(shows_a_mask, looked)) > len(looked):
            continue
        taken += own
    paired.lonely = [mask for mask in paired.lonely if mask not in {*taken}]
    paired.lesions |= dict.fromkeys(taken, ())
    return (
        [
            f"{len(taken)} files are called like lesion masks, but their class folder holds no others and they do not "
            "look like masks: they were taken as scans; where they are masks, say so by mask_pattern"
        ]
        if taken
        else []
    )


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
    return bool(middle <= (1 - _TWO_TONED) * voxels.size) or len(np.unique(voxels)) <= _FEW_VALUES

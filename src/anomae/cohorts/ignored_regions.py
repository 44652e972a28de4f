"""What is not to be judged: pixels that count neither as lesion nor as healthy.

A slice whose only lesion lies in such a region has no label; one with a lesion elsewhere is abnormal; one without any
lesion keeps its label.  Where a value of the lesion mask itself marks the region, the mask says nothing of what is in
it: a slice with such a value and no lesion has no label.
"""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from anomae.cohorts.lesion_masks import MaskValues, lesions_of, read_mask
from anomae.errors import UnreadableScan
from anomae.volumes.volume import Volume

_WHOLE = re.compile(r"[+-]?\d+", re.ASCII)
HIDDEN = "its only lesion in some slices lies in a region that is not to be judged; their label is unknown"
IGNORED = "parts of it are not to be judged (ignore): they count neither as lesion nor as healthy"


def told_regions(text: str) -> tuple[tuple[int, ...], tuple[str, ...], tuple[str, ...]]:
    """The setting `ignore` as values of lesion masks, patterns of file names, and names of folders in small letters."""
    pieces = [piece.strip() for piece in text.split(",") if piece.strip()]
    values = tuple(int(piece) for piece in pieces if _WHOLE.fullmatch(piece))
    patterns = tuple(piece for piece in pieces if "*" in piece or "." in piece)
    folders = tuple(piece.lower() for piece in pieces if not _WHOLE.fullmatch(piece) and piece not in patterns)
    return values, patterns, folders


def read_regions(paths: Sequence[Path]) -> list[Volume]:
    """Masks of what is not to be judged.  Raises UnreadableScan where one is missing or broken."""
    for path in paths:
        if not path.exists():
            raise UnreadableScan(f"{path} is missing.")
    return [read_mask(path) for path in paths]


def union_of(regions: Sequence[Volume]) -> npt.NDArray[np.bool_] | None:
    """Where any of `regions`, of one shape [z, y, x], is above 0; None where there are none or all are empty."""
    if not regions:
        return None
    union = np.zeros(regions[0].grid.shape, dtype=np.bool_)
    for region in regions:
        found = lesions_of(region, MaskValues(), several_said=False)
        union |= found.lesion if found.unsure is None else found.lesion | found.unsure
    return union if union.any() else None

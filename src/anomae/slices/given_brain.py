"""Where the brain is by a file that the user has put beside a scan: a mask, or the brain cut out of the scan."""

from typing import Any

import numpy as np
import numpy.typing as npt

from anomae.cohorts.brain_files import GivenBrain
from anomae.errors import UnreadableScan
from anomae.slices.holes import largest_filled
from anomae.slices.skull import commonest_at_edges
from anomae.volumes.intensities import BROKEN

_WHOLE = 0.99  # of the grid: no brain fills so much
_LABELS = 64  # more values than that are no mask's
_FEW_BELOW = 0.01  # of what is not background: so little below 0 is ringing of a resampling


def where_brain(given: GivenBrain) -> npt.NDArray[np.bool_]:
    """The brain (n, h, w).

    A mask: what lies above 0, or above the lower of two values; 255 that a signed type made -1 is read as 255.  A
    brain cut out of the scan: what lies above 0, where the background is 0 and next to nothing is below it, as in most
    MRI; else the largest piece of what is unlike the background, which is the commonest value along the edges, with its
    holes: scaled MRI and CT have tissue below 0.
    Raises UnreadableScan where there is none, or it covers practically the whole grid.
    """
    voxels = given.voxels
    values = _values(voxels)
    if values is not None and values.tolist() == [-1, 0]:
        brain = voxels < 0
    elif values is not None and len(values) == 2:
        brain = voxels > values[0]
    elif (values is not None and values[0] >= 0) or _is_above_0(voxels):
        brain = voxels > 0
    else:
        brain = largest_filled(voxels != commonest_at_edges(voxels))
    if not brain.any():
        raise UnreadableScan(f"The brain mask {given.path} is empty.")
    if brain.mean() > _WHOLE:
        why = " (NaN stands outside)" if any(BROKEN in note for note in given.notes) else ""
        raise UnreadableScan(
            f"The brain mask {given.path} covers the whole scan{why}; save it with 1 in the brain and 0 outside."
        )
    return np.asarray(brain, dtype=np.bool_)


def _values(voxels: npt.NDArray[Any]) -> npt.NDArray[Any] | None:
    """The values that occur, sorted; None where they are more than a mask has."""
    found = np.unique(voxels[:0])
    for slab in voxels:
        found = np.union1d(found, slab)
        if len(found) > _LABELS:
            return None
    return found


def _is_above_0(voxels: npt.NDArray[Any]) -> bool:
    """Whether the background is 0 and next to nothing lies below it."""
    below = np.count_nonzero(voxels < 0)
    return commonest_at_edges(voxels) == 0 and bool(below <= _FEW_BELOW * np.count_nonzero(voxels))

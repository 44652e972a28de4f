"""Which slices of a scan have the highest scores: those that a picture shows and a report points to."""

import numpy as np
import numpy.typing as npt

from anomae.inference.study import Study
from anomae.volumes.orientation import axial_view

MOST_SLICES = 6


def highest(study: Study) -> npt.NDArray[np.int64]:
    """The axial slice (index) and the entry of the scores of each slice with one of the highest scores, (m, 2)."""
    best = np.sort(np.argsort(-study.decision.scores, kind="stable")[:MOST_SLICES])
    return np.stack([study.result.kept[best], best], axis=1)


def source_slices(study: Study) -> list[int]:
    """The voxel slices (z) that `highest` are; all, where axial slices cut across them."""
    assert study.volume is not None
    view, count = axial_view(study.volume.grid), study.volume.grid.shape[0]
    if view.axes[0] != 0:
        return list(range(count))
    return sorted(int(count - 1 - index if view.flips[0] else index) for index in highest(study)[:, 0])

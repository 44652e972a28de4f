"""The highest slices, and where they are in the series."""

import numpy as np
import pytest

from anomae.dicom_results.highest import MOST_SLICES, highest, source_slices
from anomae.volumes.orientation import axial_view


def test_the_highest_slices_stand_in_their_order(scans) -> None:
    *_, study = scans("MR", "axial")
    chosen = highest(study)
    assert len(chosen) == MOST_SLICES
    left = np.setdiff1d(np.arange(len(study.result.scores)), chosen[:, 1])
    assert study.result.scores[chosen[:, 1]].min() >= study.result.scores[left].max()
    assert (np.diff(chosen[:, 0]) > 0).all()


@pytest.mark.parametrize("variant", ["axial", "oblique", "enhanced", "sagittal"])
def test_their_voxel_slices_hold_their_map(scans, variant: str) -> None:
    *_, study = scans("MR", variant)
    view = axial_view(study.volume.grid)
    found = source_slices(study)
    if view.axes[0] != 0:
        assert found == list(range(len(study.volume.voxels)))
        return
    shown = view.apply(study.volume.voxels)[highest(study)[:, 0]]
    stored = study.volume.voxels[found]
    np.testing.assert_array_equal(np.sort(shown.sum((1, 2))), np.sort(stored.sum((1, 2))))

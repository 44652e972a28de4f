"""What is brain in a file beside a scan, whatever numbers say so."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from anomae.cohorts.brain_files import GivenBrain
from anomae.errors import UnreadableScan
from anomae.slices.given_brain import where_brain
from anomae.volumes.intensities import settle

RNG = np.random.default_rng(0)
BRAIN = np.linalg.norm(np.indices((9, 24, 20)).T - (4, 11, 9), axis=-1).T < 8
TISSUE = RNG.normal(0, 1, BRAIN.shape).astype(np.float32)


def read(voxels):
    settled, notes = settle(Path("x_brain.nii"), np.asarray(voxels))
    return where_brain(GivenBrain(Path("x_brain.nii"), settled, notes))


@given(arrays(np.bool_, (3, 4, 5)).filter(lambda brain: 0 < brain.sum() < brain.size), st.data())
def test_a_mask_of_any_two_numbers(brain, data):
    low, high = data.draw(st.sampled_from([(0, 1), (0, 255), (1, 2), (-1024, 0), (0, 7), (0, 0.5)]))
    kind = data.draw(st.sampled_from([np.int16, np.float32] if high != 0.5 else [np.float32]))
    assert (read(np.where(brain, high, low).astype(kind)) == brain).all()
    assert (read(np.where(brain, 255, 0).astype(np.uint8).view(np.int8)) == brain).all()
    assert (read(np.where(brain, -1, 0).astype(kind)) == brain).all()


@pytest.mark.parametrize("background", [0, -1024, -3.5, 17, np.nan])
@pytest.mark.parametrize("scale", [1, 300])
def test_a_brain_cut_out_is_what_is_unlike_its_background(background, scale):
    """z-scored MRI and HU, with tissue below 0 or background above it."""
    voxels = np.where(BRAIN, scale * TISSUE, background).astype(np.float32)
    voxels[4, 10:12, 8:10] = background  # a hole
    assert np.count_nonzero(read(voxels) != BRAIN) <= np.isnan(background)  # the lowest voxel may lie at the surface
    if background in (0, -1024) and scale > 1:
        assert np.count_nonzero(read(voxels.astype(np.int16)) != BRAIN) < 0.01 * BRAIN.sum()


@given(st.integers(2, 9))
def test_what_is_above_0_on_a_background_of_0_stays_so(count):
    """Holes and pieces of such a brain are the user's; a little ringing below 0 changes nothing."""
    voxels = np.where(BRAIN & (RNG.random(BRAIN.shape) < 0.6), np.abs(TISSUE) + 1, 0)
    assert (read(voxels) == (voxels > 0)).all()
    assert (read((count * voxels).astype(np.uint16)) == ((count * voxels).astype(np.uint16) > 0)).all()
    voxels[4, 10, 9:12] = -0.2
    assert (read(voxels) == (voxels > 0)).all()


@pytest.mark.parametrize("outside", [np.nan, 1])
def test_what_covers_all_is_refused(outside):
    with pytest.raises(UnreadableScan, match="covers the whole scan") as error:
        read(np.where(BRAIN, 1, outside).astype(np.float32))
    assert ("NaN" in str(error.value)) == np.isnan(outside)


def test_an_empty_mask_is_refused():
    with pytest.raises(UnreadableScan, match="is empty"):
        read(np.zeros(BRAIN.shape, np.uint8))

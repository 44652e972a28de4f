"""Findings are the connected regions above the threshold, as scikit-image labels them, and lie where the grid says."""

import numpy as np
import pytest
from skimage.measure import label, regionprops

from anomae.inference.finding import find_regions
from anomae.volumes.orientation import axial_view
from anomae.volumes.volume import Grid

STRAIGHT = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
UPSIDE_DOWN = (1.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0, 0.0, -1.0)
SAGITTAL = (0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0, -1.0, 0.0)
OBLIQUE = (0.98, -0.199, 0.0, 0.199, 0.98, 0.0, 0.0, 0.0, 1.0)


def noise(seed=0, shape=(7, 20, 16)):
    return np.random.default_rng(seed).uniform(0, 1, shape).astype(np.float32)


@pytest.mark.parametrize("direction", [STRAIGHT, UPSIDE_DOWN, SAGITTAL, OBLIQUE])
@pytest.mark.parametrize("threshold", [0.85, 0.95])
def test_they_are_what_scikit_image_finds(direction, threshold):
    heat, grid = noise(), Grid((7, 20, 16), (3.0, 1.5, 0.5), (11.0, -7.0, 30.0), direction)
    count = heat.shape[axial_view(grid).axes[0]]
    found = find_regions(heat, threshold, grid, np.arange(count), most=255)
    expected = regionprops(label(heat > threshold, connectivity=3), intensity_image=heat)
    assert len(found.findings) == len(expected)
    assert found.left_out == 0
    by_peak = {round(float(one.intensity_max), 6): one for one in expected}
    view = axial_view(grid).apply(found.labels)
    for one in found.findings:
        known = by_peak[round(one.maximum, 6)]
        assert one.voxels == known.area == np.count_nonzero(found.labels == one.number)
        assert one.box == tuple(zip(known.bbox[:3], known.bbox[3:], strict=True))
        assert one.mean == pytest.approx(known.intensity_mean)
        assert one.centroid == pytest.approx(known.centroid)
        assert one.volume_mm3 == pytest.approx(one.voxels * 2.25, rel=1e-3)
        assert heat[one.peak] == np.float32(one.maximum)
        world = grid.affine_lps() @ [*one.centroid[::-1], 1]
        assert one.centroid_mm == pytest.approx(world[:3].tolist())
        touched = np.flatnonzero((view == one.number).any(axis=(1, 2)))
        assert one.slices == (touched[0], touched[-1])
    tops = [one.maximum for one in found.findings]
    assert tops == sorted(tops, reverse=True)
    assert [one.number for one in found.findings] == list(range(1, len(tops) + 1))
    assert ((found.labels > 0) == (heat > threshold)).all()


def test_beyond_the_most_the_highest_are_kept():
    heat = noise()
    every, few = (find_regions(heat, 0.9, None, np.arange(7), most=most) for most in (255, 3))
    assert few.findings == every.findings[:3]
    assert few.left_out == len(every.findings) - 3
    assert few.labels.max() == 3


def test_nothing_above_is_no_finding_and_a_picture_has_no_millimetres():
    assert find_regions(noise(), 2.0, None, np.arange(7)).findings == ()
    one = find_regions(noise(shape=(1, 9, 9)), 0.9, None, np.arange(1)).findings[0]
    assert (one.volume_mm3, one.centroid_mm, one.peak_mm) == (None, None, None)

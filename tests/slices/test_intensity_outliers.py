"""One extreme voxel moves nothing but itself."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from anomae.slices.intensity import measure_scale, scale_intensity
from anomae.slices.preparing import prepare_case
from anomae.slices.settings import settings_from
from anomae.volumes.intensities import settle
from anomae.volumes.outliers import BRIGHT_GAP, DARK_GAP, outlier_bounds

NAMES = ["percentile", "median", "window", "hu/100", "none", "full_range"]


@some.composite
def sound_scans(draw):
    """A body in air, int16 or float32, of any offset and gain; the air flat or noisy."""
    rng = np.random.default_rng(draw(some.integers(0, 2**32)))
    scan = np.zeros((4, 24, 24)) if draw(some.booleans()) else rng.uniform(0, 20, (4, 24, 24)).round()
    scan[:, 6:18, 6:18] = rng.normal(500, draw(some.sampled_from([5, 60, 150])), (4, 12, 12)).clip(30)
    if draw(some.booleans()):
        scan[1, 7, 7] = 2000  # a vessel
    scan[:, 0, :2] = 0
    offset = draw(some.sampled_from([0, -1024]))
    return (scan + offset).astype(draw(some.sampled_from([np.int16, np.int32, np.float32])))


def beyond(scan, share, dark):
    """A value outside of the scan, `share` times as far as an outlier has to be."""
    low, high = float(scan.min()), float(scan.max())
    return low - share * DARK_GAP * (high - low) if dark else high + share * BRIGHT_GAP * (high - low)


@settings(max_examples=100, deadline=None)
@given(sound_scans(), some.booleans(), some.floats(1.01, 3), some.sampled_from(NAMES), some.integers(0, 3))
def test_one_extreme_voxel_leaves_all_others_equal(scan, dark, share, name, index):
    """In the air to the bit; in the body but for what the missing voxel is worth to a percentile."""
    if name == "full_range" and scan.dtype == np.int32:
        return
    chosen = settings_from({"intensity": name})
    expected, others = scale_intensity(scan, chosen), np.ones(scan.shape, np.bool_)
    for where, tolerance in (((index, 0, 0), 0), ((index, 12, 12), 0.02)):
        spoiled, others[...] = scan.copy(), True
        spoiled[where] = np.clip(beyond(scan, share, dark), -32768, 32767)
        others[where] = False
        scale = measure_scale(spoiled, chosen)
        assert scale.outliers == 1
        assert scale.bounds == (scan.min(), scan[others].max())
        np.testing.assert_allclose(scale.apply(spoiled)[others], expected[others], rtol=0, atol=tolerance)
        assert scan[others].min() <= scale.read(spoiled)[where] <= scan[others].max()


@settings(max_examples=100, deadline=None)
@given(sound_scans(), some.floats(0, 0.99), some.booleans())
def test_what_lies_within_the_gap_is_no_outlier(scan, share, dark):
    assert outlier_bounds(scan) is None
    scan = scan.astype(np.float64)
    scan[0, 0, 0] = beyond(scan, share, dark)
    assert outlier_bounds(scan) is None


@pytest.mark.parametrize("values", [(-32768, 32767), (-32768, -32768, 32767), (-20000, 30000, 30001)])
def test_outliers_on_both_sides_do_not_hide_one_another(values):
    scan = np.zeros((4, 32, 32), np.int16)
    scan[:, 8:24, 8:24] = np.random.default_rng(0).normal(500, 60, (4, 16, 16))
    low, high = scan.min(), scan.max()
    scan[0, 0, : len(values)] = values
    assert outlier_bounds(scan) == (low, high)
    assert measure_scale(scan, settings_from({})).outliers == len(values)


def test_voxels_that_are_no_numbers_are_counted_apart():
    scan = np.random.default_rng(0).normal(500, 60, (4, 32, 32))
    scan[0, 0, :3] = [np.nan, -np.inf, -32768]
    scale = measure_scale(scan, settings_from({}))
    assert (scale.non_finite, scale.outliers) == (2, 1)


@pytest.mark.parametrize("kind", ["plain", "body"])
@pytest.mark.parametrize("value", [-32768, 32767])
def test_a_prepared_case_keeps_its_other_slices_and_says_so(make_case, small, kind, value):
    chosen = small.model_copy(update={"preparation": kind})
    case = make_case()
    images = case.images.copy()
    images[0, 0, 0, 0] = value
    sound, spoiled = prepare_case(case, chosen), prepare_case(replace(case, images=images), chosen)
    np.testing.assert_array_equal(spoiled.images[1:], sound.images[1:])
    np.testing.assert_array_equal(spoiled.filled[1:], sound.filled[1:])
    assert [note for note in spoiled.notes if note not in sound.notes] == [
        "1 voxel(s) lay far outside of all others and were set to the nearest of them"
    ]


@settings(max_examples=60, deadline=None)
@given(sound_scans(), some.floats(0.01, 0.9), some.sampled_from([-32768.0, 32767.0]), some.sampled_from(NAMES))
def test_nan_and_an_outlier_together_scale_as_nan_alone(scan, share, outlier, name):
    """As a reader hands a file with many voxels that are no number over, to the bit, also where they lie."""
    chosen = settings_from({"intensity": name})
    holes = scan.astype(np.float32)
    holes[np.random.default_rng(0).random(scan.shape) < share] = np.nan
    holes[:, 0, 0] = scan.min()
    spoiled = holes.copy()
    spoiled[1, 0, 0] = outlier
    sound, mended = (settle(Path("scan.nii"), each)[0] for each in (holes, spoiled))
    scale, expected = measure_scale(mended, chosen), measure_scale(sound, chosen)
    others = np.ones(scan.shape, np.bool_)
    others[1, 0, 0] = False
    np.testing.assert_array_equal(scale.apply(mended)[others], expected.apply(sound)[others])
    assert scale.outliers == 1

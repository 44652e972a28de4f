"""One extreme voxel moves nothing but itself; a sound scan has no outliers."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from anomae.phantoms.head import MODALITIES, make_head
from anomae.slices.intensity import measure_scale, scale_intensity
from anomae.slices.outliers import BRIGHT_GAP, DARK_GAP, outlier_bounds
from anomae.slices.preparing import prepare_case
from anomae.slices.settings import settings_from

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


@pytest.mark.parametrize("modality", MODALITIES)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_made_up_heads_have_none(modality, seed):
    assert outlier_bounds(make_head(seed, shape=(24, 64, 64), modality=modality).voxels) is None


def test_noise_tails_padding_and_sparse_scans_are_sound():
    rng = np.random.default_rng(0)
    for kind in (rng.exponential(100, (8, 64, 64)), rng.rayleigh(30, (8, 64, 64)), rng.lognormal(4, 1, (8, 64, 64))):
        assert outlier_bounds(kind) is None
    padded = np.full((8, 64, 64), -3024, np.int16)
    padded[:, 4:60, 4:60] = rng.normal(0, 300, (8, 56, 56))
    assert outlier_bounds(padded) is None
    few = np.zeros((8, 64, 64), np.float32)
    few[3, 10, 10:14] = 1
    assert outlier_bounds(few) is None
    assert outlier_bounds(np.where(few > 0, 255, rng.integers(0, 9, few.shape)).astype(np.uint8)) is None
    assert outlier_bounds(np.array([[[0, 1, 32767]]], np.int16)) is None


def test_it_is_found_between_the_rows_of_a_sample(monkeypatch):
    monkeypatch.setattr("anomae.slices.outliers._SAMPLE", 2000)
    scan = np.random.default_rng(0).normal(500, 60, (4, 64, 64))
    low, high = scan.min().astype(np.float32), scan.max().astype(np.float32)
    scan[2, 33, 5] = -32768
    assert outlier_bounds(scan) == (low, high)


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

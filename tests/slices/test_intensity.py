"""Intensities: in range, of the scan alone, and finite whatever stood in the scan."""

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anomae.errors import UnreadableScan
from anomae.slices import intensity
from anomae.slices.intensity import BODY_HU, measure_scale, scale_intensity
from anomae.slices.settings import settings_from

TYPES = [np.uint8, np.int8, np.uint16, np.int16, np.float32, np.float64, np.bool_]
SCANS = st.sampled_from(TYPES).flatmap(
    lambda kind: hnp.arrays(kind, st.tuples(st.integers(1, 3), st.integers(1, 6), st.integers(1, 6)))
)


def of(name, **more):
    return settings_from({"intensity": name, **more})


def a_scan(seed=0, background=0.0):
    """A bright body of 1/4 of the voxels on a flat background."""
    scan = np.full((4, 32, 32), background)
    scan[:, 8:24, 8:24] = np.random.default_rng(seed).normal(500, 60, (4, 16, 16))
    return scan


@given(SCANS)
@settings(deadline=None)
@pytest.mark.parametrize("name", ["percentile", "window", "full_range", "none", "hu/100"])
def test_it_is_finite_and_in_range(name, scan):
    try:
        scaled = scale_intensity(scan, of(name))
    except UnreadableScan:
        with np.errstate(over="ignore"):
            assert not np.isfinite(scan.astype(np.float32)).any()
        return
    assert scaled.dtype == np.float32
    assert scaled.shape == scan.shape
    assert np.isfinite(scaled).all()
    if name in ("percentile", "window") or (name == "full_range" and scan.dtype.kind in "biu"):
        assert scaled.min() >= 0
        assert scaled.max() <= 1


@pytest.mark.parametrize("kind", [np.uint8, np.int16, np.float32])
def test_order_is_kept(kind):
    scan = a_scan().clip(0, 120 if kind == np.uint8 else None).astype(kind)
    scaled = scale_intensity(scan, of("percentile"))
    order = np.argsort(scan.ravel(), kind="stable")
    assert (np.diff(scaled.ravel()[order]) >= 0).all()


def test_none_and_hundredths_are_what_they_say():
    scan = np.array([[[-1024, 0, 300]]], dtype=np.int16)
    np.testing.assert_array_equal(scale_intensity(scan, of("none")), scan.astype(np.float32))
    np.testing.assert_allclose(scale_intensity(scan, of("hu/100")), [[[-10.24, 0, 3]]])


def test_a_window_cuts_what_lies_outside():
    scan = np.array([[[-2000, -1000, -300, 400, 3000]]], dtype=np.int16)
    np.testing.assert_allclose(scale_intensity(scan, of("window", window_hu=(-1000, 400))), [[[0, 0, 0.5, 1, 1]]])


@pytest.mark.parametrize("kind", [np.uint8, np.int8, np.uint16, np.int16])
def test_the_full_range_of_a_type_is_0_to_1(kind):
    limits = np.iinfo(kind)
    scan = np.array([[[limits.min, limits.max]]], dtype=kind)
    np.testing.assert_array_equal(scale_intensity(scan, of("full_range")), [[[0, 1]]])


def test_floats_have_no_full_range_and_stay():
    scan = np.array([[[-3.5, 0.25, 7]]])
    np.testing.assert_array_equal(scale_intensity(scan, of("full_range")), scan)


def test_the_full_range_of_a_wide_type_is_refused():
    with pytest.raises(UnreadableScan, match="int64"):
        scale_intensity(np.zeros((1, 2, 2), np.int64), of("full_range"))


@pytest.mark.parametrize("kind", [np.complex128, np.dtype("S4"), object])
def test_what_is_no_number_is_refused(kind):
    with pytest.raises(UnreadableScan, match="not real numbers"):
        measure_scale(np.zeros((1, 2, 2)).astype(kind), of("none"))


def test_the_percentile_is_that_of_the_body_not_of_the_air():
    small, large = a_scan(), np.zeros((4, 96, 96))
    large[:, 32:64, 32:64] = small
    expected = np.percentile(small[small > 0].astype(np.float32), 99)
    for scan in (small, large):
        assert measure_scale(scan, of("percentile", percentile=99)).width == pytest.approx(expected)


def test_a_noisy_background_is_no_body():
    """Noise of the air lies above the minimum and yet counts for nothing."""
    scan, air = a_scan(), np.random.default_rng(1).uniform(0, 20, (4, 32, 32))
    noisy = np.where(scan > 0, scan, air)
    expected = np.percentile(scan[scan > 0], 50) - air.min()
    assert measure_scale(noisy, of("percentile", percentile=50)).width == pytest.approx(expected, rel=1e-3)


def test_gain_and_offset_of_the_scanner_do_not_matter():
    scaled = scale_intensity(a_scan(), of("percentile"))
    np.testing.assert_allclose(scale_intensity(a_scan() * 37 - 1000, of("percentile")), scaled, atol=1e-4)


def test_one_spike_does_not_darken_the_scan():
    spiked = a_scan()
    spiked[0, 10, 10] = 1e6
    np.testing.assert_allclose(
        np.median(scale_intensity(spiked, of("percentile"))[:, 8:24, 8:24]),
        np.median(scale_intensity(a_scan(), of("percentile"))[:, 8:24, 8:24]),
        rtol=0.05,
    )


def test_a_constant_scan_becomes_0():
    for value in (0, 7, -1000):
        assert not scale_intensity(np.full((2, 4, 4), value, np.int16), of("percentile")).any()


def test_voxels_that_are_no_numbers_become_the_minimum_and_are_counted():
    scan = a_scan(background=-3.0)
    scan[0, 0, :4] = [np.nan, np.inf, -np.inf, 1e300]
    scale = measure_scale(scan, of("none"))
    assert scale.non_finite == 4
    np.testing.assert_array_equal(scale.apply(scan)[0, 0], np.full(32, -3.0, np.float32))


def test_a_scan_without_numbers_is_refused():
    with pytest.raises(UnreadableScan, match="finite"):
        measure_scale(np.full((1, 4, 4), np.nan), of("percentile"))


@pytest.mark.parametrize("name", ["percentile", "none", "full_range"])
def test_body_is_where_tissue_is(name):
    scan = a_scan()
    body = measure_scale(scan, of(name)).body(scan)
    assert body[:, 8:24, 8:24].all()
    assert body.mean() == 0.25


@pytest.mark.parametrize("name", ["window", "hu/100"])
def test_of_a_ct_air_and_lung_are_no_body_whatever_the_padding(name):
    scan = np.array([[[-3024, -1000, -850, -90, 40, 1200]]], np.int16)
    assert measure_scale(scan, of(name)).body(scan).tolist() == [[[False, False, False, True, True, True]]]
    assert -850 < BODY_HU < -90


def test_large_scans_are_measured_on_some_of_their_rows(monkeypatch):
    scan = np.tile(a_scan(), (1, 4, 4))
    exact = measure_scale(scan, of("percentile"))
    monkeypatch.setattr(intensity, "ENOUGH_VOXELS", scan.size // 3)
    sampled = measure_scale(scan, of("percentile"))
    assert sampled.width == pytest.approx(exact.width, rel=0.02)
    assert sampled.width != exact.width


def test_the_median_of_the_body_comes_to_lie_at_one_half():
    rng = np.random.default_rng(0)
    images = np.zeros((3, 20, 20), dtype=np.float32)
    images[:, 5:15, 5:15] = rng.normal(400, 20, (3, 10, 10))
    images[1, 5, 5] = 3000
    scaled = scale_intensity(images + 50, settings_from({"intensity": "median"}))
    assert np.median(scaled[:, 5:15, 5:15]) == pytest.approx(0.5, abs=1e-3)
    assert scaled[0, 0, 0] == 0
    assert scaled[1, 5, 5] == scaled.max() == 1.25
    inside = np.zeros(images.shape, dtype=np.bool_)
    inside[:, 5:15, 5:10] = True
    images[:, 5:15, 5:10] *= 2
    images[:, 5:8, 5:10] = 1  # holes do not count
    measured = measure_scale(images, settings_from({"intensity": "median"}), inside)
    assert np.median(measured.apply(images)[:, 8:15, 5:10]) == pytest.approx(0.5, abs=1e-3)
    empty = measure_scale(np.zeros((2, 8, 8)), settings_from({"intensity": "median"}))
    assert (empty.apply(np.zeros((2, 8, 8))) == 0).all()

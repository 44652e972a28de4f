"""Rescaling and mending, against arithmetic in float64."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anomae.errors import UnreadableScan
from anomae.volumes.intensities import rescale, settle

SCAN = Path("scan.nii")
KINDS = st.sampled_from(["u1", "i1", "u2", "i2", "u4", "i4", ">i2", ">u2"])


@given(kind=KINDS, slope=st.integers(-3000, 3000), intercept=st.integers(-70000, 70000), seed=st.integers(0, 99))
def test_whole_numbers_stay_whole_and_exact(kind: str, slope: int, intercept: int, seed: int) -> None:
    limits = np.iinfo(kind)
    voxels = np.random.default_rng(seed).integers(limits.min, limits.max, (2, 3, 4), endpoint=True, dtype=np.int64)
    scaled = rescale(voxels.astype(kind), float(slope), float(intercept))
    assert scaled.dtype.kind in "iu"
    np.testing.assert_array_equal(scaled.astype(object), voxels.astype(object) * slope + intercept)
    if np.iinfo(kind).min <= scaled.min() and scaled.max() <= np.iinfo(kind).max:
        assert scaled.dtype == np.dtype(kind)


@given(slope=st.floats(-100, 100, width=32), intercept=st.floats(-5000, 5000, width=32))
def test_fractions_make_float32(slope: float, intercept: float) -> None:
    voxels = np.arange(-500, 500, dtype=np.int16).reshape(10, 10, 10)
    scaled = rescale(voxels, slope, intercept)
    np.testing.assert_allclose(scaled, voxels.astype(np.float64) * slope + intercept, rtol=1e-5, atol=1e-2)
    assert scaled.dtype == np.float32 or (slope.is_integer() and intercept.is_integer())


def test_absurd_scales_give_no_wrong_integers() -> None:
    zeros = np.zeros((2, 2, 2), np.int16)
    assert rescale(zeros, 2.0**40, 5.0).max() == 5
    assert not np.isfinite(rescale(zeros + np.int16(1), 1e300, 0.0)).any()


def test_numbers_are_settled() -> None:
    for stored, kind in (("f8", "f4"), ("f2", "f4"), (">f4", "f4"), ("?", "u1"), (">i2", "i2"), ("u8", "u8")):
        voxels, notes = settle(SCAN, np.ones((2, 2, 2), stored))
        assert voxels.dtype == np.dtype(kind)
        assert voxels.dtype.isnative
        assert voxels.flags.c_contiguous
        assert notes == ()
    with pytest.raises(UnreadableScan, match="complex"):
        settle(SCAN, np.ones((2, 2, 2), complex))


def test_large_finite_numbers_are_no_infinity_and_those_past_float32_are() -> None:
    voxels, notes = settle(SCAN, np.full((50, 50, 50), 3e38, np.float32))
    assert notes == ()
    voxels, notes = settle(SCAN, np.array([[[1.0, 1e300, 2.0]]]))
    assert voxels.tolist() == [[[1.0, 1.0, 2.0]]]
    assert len(notes) == 1


@given(share=st.floats(0, 0.9), outlier=st.sampled_from([-32768.0, 32767.0, -1e6, 1e30]), seed=st.integers(0, 99))
def test_an_outlier_does_not_decide_what_nan_becomes(share: float, outlier: float, seed: int) -> None:
    """However many voxels are no number: as in the same scan without the outlier, to the bit."""
    rng = np.random.default_rng(seed)
    scan = rng.normal(500, 60, (4, 32, 32)).clip(30).astype(np.float32)
    scan[rng.random(scan.shape) < share] = np.nan
    scan[0, 0, :2] = np.nanmin(scan)
    spoiled = scan.copy()
    spoiled[0, 0, 0] = outlier
    sound, _ = settle(SCAN, scan)
    mended, notes = settle(SCAN, spoiled)
    others = np.ones(scan.shape, np.bool_)
    others[0, 0, 0] = False
    np.testing.assert_array_equal(mended[others], sound[others])
    assert mended[0, 0, 0] == outlier
    assert all("no outlier" in note for note in notes)
    assert bool(notes) == bool(np.isnan(scan).any())

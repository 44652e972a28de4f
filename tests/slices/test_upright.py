"""Means on an upright grid: what scipy's sampling gives, whatever the sizes, steps and places."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import affine_transform

from anomae.slices.upright import upright_means

SIDES = st.tuples(st.integers(1, 40), st.integers(1, 40))
STEPS = st.tuples(st.floats(0.05, 6), st.floats(0.05, 6))
OFFSETS = st.tuples(st.floats(-30, 30), st.floats(-30, 30))


@given(SIDES, SIDES, STEPS, OFFSETS, st.integers(1, 4), st.sampled_from([("zero", "grid-constant"), ("nearest",) * 2]))
def test_it_is_the_mean_of_scipys_samples(
    shape: tuple[int, int],
    size: tuple[int, int],
    step: tuple[float, float],
    offset: tuple[float, float],
    fine: int,
    beyond: tuple[Any, str],
) -> None:
    image = np.random.default_rng(0).random(shape)
    many = (size[0] * fine, size[1] * fine)
    samples = affine_transform(image, np.diag(step), offset, output_shape=many, order=1, mode=beyond[1])
    expected = samples.reshape(size[0], fine, size[1], fine).mean(axis=(1, 3))
    found = upright_means(image, np.array(step), np.array(offset), size, fine, beyond[0])
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize(("shape", "size"), [((1500, 9), (70, 9)), ((70, 9), (1500, 9))])
def test_blocks_of_rows_leave_no_seam(shape: tuple[int, int], size: tuple[int, int]) -> None:
    image = np.add.outer(np.arange(shape[0]), np.zeros(shape[1])) / shape[0]
    step = np.array([(shape[0] - 1) / (size[0] - 1), 1.0])
    found = upright_means(image, step, np.zeros(2), size, 1, "nearest")
    expected = np.linspace(0, (shape[0] - 1) / shape[0], size[0])
    np.testing.assert_allclose(found, np.repeat(expected[:, None], 9, axis=1), atol=1e-6)


def test_half_of_a_pixel_is_half() -> None:
    lesion = np.zeros((4, 4), dtype=np.bool_)
    lesion[:, :1] = True
    found = upright_means(lesion, np.array([0.5, 0.5]), np.array([0.25, 0.25]), (2, 2), 2, "nearest")
    assert found[0, 0] == 0.5

"""Holes of a mask, beside scipy."""

import numpy as np
import pytest
from scipy.ndimage import binary_fill_holes

from anomae.slices.holes import filled


@pytest.mark.parametrize("share", [0.0, 0.3, 0.5, 0.7, 0.95, 1.0])
@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (3, 3), (40, 50)])
def test_filled_as_scipy_fills(shape: tuple[int, int], share: float) -> None:
    for seed in range(5):
        mask = np.random.default_rng(seed).random(shape) < share
        np.testing.assert_array_equal(filled(mask), binary_fill_holes(mask))


def test_a_ring_is_filled_and_a_bay_is_not() -> None:
    y, x = np.indices((30, 30)) - 15
    ring = np.abs(np.hypot(y, x) - 10) < 2
    assert filled(ring).sum() == (np.hypot(y, x) < 12).sum()
    ring[15, :] = False
    np.testing.assert_array_equal(filled(ring), ring)
    corner = np.zeros((5, 5), dtype=np.bool_)
    corner[1, :], corner[:, 1] = True, True
    np.testing.assert_array_equal(filled(corner), corner)  # the corner touches the edges

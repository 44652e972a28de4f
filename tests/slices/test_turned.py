"""Turned means as one sparse product, beside samples of scipy."""

import numpy as np
import pytest

from anomae.slices.turned import turned_means
from anomae.slices.warp import Warp

WARPS = {
    "turned": Warp((60, 50), (1.0, 1.0), (32, 32), (31.0, 24.0), 1.3, 0.2),
    "anisotropic": Warp((30, 80), (2.0, 0.7), (32, 48), (28.0, 30.0), 1.1, -0.15),
    "enlarged": Warp((24, 20), (1.0, 1.0), (64, 64), (12.0, 10.0), 0.3, 0.1),
    "shrunk": Warp((200, 180), (0.5, 0.5), (16, 16), (50.0, 45.0), 5.0, -0.2),
    "beyond the slice": Warp((40, 40), (1.0, 1.0), (24, 24), (3.0, 38.0), 1.7, 0.24),
}


@pytest.mark.parametrize("warp", WARPS.values(), ids=WARPS)
def test_as_sampled_one_by_one(warp: Warp, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    image, mask = rng.random(warp.shape).astype(np.float32), rng.random(warp.shape) < 0.5
    heat = rng.random(warp.size).astype(np.float32)
    for one in (image, mask):
        made = warp.image(one)
        assert made.dtype == np.float32
        np.testing.assert_allclose(made, warp.image(one, alone=True), atol=5e-7)
    restored = warp.restore(heat)
    monkeypatch.setattr("anomae.slices.warp.MOST_SAMPLES", 0)
    np.testing.assert_allclose(warp.restore(heat), restored, atol=5e-7)


def test_one_scan_works_its_samples_out_once() -> None:
    warp = WARPS["turned"]
    turned_means.cache_clear()
    for seed in range(3):
        image = np.random.default_rng(seed).random(warp.shape).astype(np.float32)
        warp.restore(warp.image(image))
    assert turned_means.cache_info().misses == 2


def test_shares_of_the_pixels_come_to_one_inside_and_to_less_across_the_edge() -> None:
    turned = ((0.8, 0.2), (-0.2, 0.8))
    inside = turned_means((20, 20), turned, (4.0, 5.0), (6, 6), 2, "zero")
    np.testing.assert_allclose(inside.sum(axis=1), 1.0)
    across = turned_means((20, 20), turned, (-3.0, -3.0), (6, 6), 2, "zero").sum(axis=1)
    assert across.min() == 0
    assert ((across > 0.01) & (across < 0.99)).any()
    assert across.max() == pytest.approx(1)
    np.testing.assert_allclose(turned_means((20, 20), turned, (-3.0, -3.0), (6, 6), 2, "nearest").sum(axis=1), 1.0)


@pytest.mark.parametrize("at_once", [1, 100, 400])
def test_shares_are_the_same_whatever_is_worked_out_at_once(at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = ((30, 22), ((0.8, 0.2), (-0.2, 0.8)), (2.0, 5.0), (9, 7), 3, "zero")
    whole = turned_means(*asked)
    monkeypatch.setattr("anomae.slices.turned._SAMPLES_AT_ONCE", at_once)
    turned_means.cache_clear()
    np.testing.assert_array_equal(turned_means(*asked).toarray(), whole.toarray())
    turned_means.cache_clear()

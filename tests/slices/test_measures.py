"""Measures of an image: the same alone and in company to the last bit, and in step with what is done to the image."""

import numpy as np
import pytest

from anomae.slices.measures import DARK_SPOT, LOWEST, MEASURES, SPOTS, spot_side, tissue_area

ALL = {**MEASURES, "area": lambda images: tissue_area(images, 0.3)}


def images(count: int = 9, h: int = 96, w: int = 101) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(count, h, w)).astype(np.float32)


@pytest.mark.parametrize("name", ALL)
def test_an_image_measures_the_same_alone_and_in_company(name: str) -> None:
    stack = images()
    whole = ALL[name](stack)
    assert whole.dtype == np.float64
    assert whole.shape == (len(stack),)
    assert np.array_equal(whole, np.concatenate([ALL[name](stack[place : place + 1]) for place in range(len(stack))]))
    assert np.array_equal(whole[4:6], ALL[name](stack[4:6]))
    assert ALL[name](stack[:0]).shape == (0,)


def test_measures_follow_the_scale_of_the_image() -> None:
    stack = images(h=20, w=24) + 10  # all tissue
    for name, measure in MEASURES.items():
        level = {"spread": 0, "centre_contrast": 0, "darkest_spot_9": -1}.get(name, 1)
        np.testing.assert_allclose(measure(3 * stack + 5), 3 * measure(stack) + 5 * level, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("side", [1, 8, 13, 32, 50, 64, 96, 128, 224, 500])
def test_spots_keep_their_size_in_the_image(side: int) -> None:
    sizes = [spot_side(size, (side, 2 * side)) for size in SPOTS]
    assert sizes == [spot_side(size, (side + 7, side)) for size in SPOTS]  # of the shorter side
    assert all(size % 2 == 1 for size in sizes)
    assert sizes == sorted(sizes)
    assert all(abs(size - wanted * side / 128) <= 1 for size, wanted in zip(sizes, SPOTS, strict=True))
    assert max(sizes) <= side
    assert [spot_side(size, (128, 128)) for size in SPOTS] == list(SPOTS)


@pytest.mark.parametrize("shape", [(128, 130), (64, 64), (20, 31)])
def test_spots_are_the_means_of_all_squares(shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(1)
    stack = rng.normal(1, 1, size=(4, *shape)).astype(np.float32)
    stack[rng.random(stack.shape) < 0.01] = 0
    stack[3] = np.abs(stack[3])
    for size in SPOTS:
        side = spot_side(size, shape)
        windows = np.lib.stride_tricks.sliding_window_view(stack.astype(np.float64), (side, side), axis=(1, 2))
        means = windows.mean(axis=(-2, -1)).reshape(4, -1)
        np.testing.assert_allclose(MEASURES[f"brightest_spot_{size}"](stack), means.max(axis=1), atol=1e-6)
        if size == DARK_SPOT:
            within = (windows > 0).all(axis=(-2, -1)).reshape(4, -1)
            expected = [-m[w].min() if w.any() else LOWEST for m, w in zip(means, within, strict=True)]
            np.testing.assert_allclose(MEASURES[f"darkest_spot_{size}"](stack), expected, atol=1e-6)


def test_an_image_without_tissue_enough_for_a_spot_is_the_least_dark() -> None:
    stack = np.zeros((3, 128, 128), dtype=np.float32)
    stack[1, :9, :8] = 0.1
    stack[2, :9, :9] = 1000
    measured = MEASURES["darkest_spot_9"](stack)
    assert measured[0] == measured[1] == LOWEST < measured[2] == -1000


def test_the_area_is_the_share_of_pixels_above_the_level() -> None:
    stack = np.zeros((1, 10, 10), dtype=np.float32)
    stack[0, :3, :4] = 1
    assert tissue_area(stack, 0.5) == 0.12
    assert tissue_area(stack, 1.0) == 0

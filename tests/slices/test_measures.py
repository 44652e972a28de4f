"""Measures of an image: the same alone and in company to the last bit, and in step with what is done to the image."""

import numpy as np
import pytest

from anomae.slices.measures import MEASURES, tissue_area

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
    stack = images(h=20, w=24)
    for name, measure in MEASURES.items():
        moves = name in ("mean", "maximum", "brightest_spot")
        np.testing.assert_allclose(measure(3 * stack + 5), 3 * measure(stack) + 5 * moves, rtol=1e-4, atol=1e-4)


def test_the_area_is_the_share_of_pixels_above_the_level() -> None:
    stack = np.zeros((1, 10, 10), dtype=np.float32)
    stack[0, :3, :4] = 1
    assert tissue_area(stack, 0.5) == 0.12
    assert tissue_area(stack, 1.0) == 0

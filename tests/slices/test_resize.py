"""Resizing: within range, there and back, and no lesion lost."""

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as run
from hypothesis import strategies as st
from PIL import Image
from scipy import ndimage

from anomae.slices.resize import place_slice, resize_image, resize_images, resize_lesion, restore_map
from anomae.slices.settings import settings_from

SIDES = st.tuples(st.integers(1, 70), st.integers(1, 70))
SIZES = st.tuples(st.integers(8, 64), st.integers(8, 64))


def smooth(shape):
    y, x = np.meshgrid(*((np.arange(side) + 0.5) / side for side in shape), indexing="ij")
    return (np.sin(2 * y + 0.3) * np.cos(2.5 * x) + 2).astype(np.float32)


@given(SIDES, SIZES)
def test_a_slice_is_centred_and_keeps_its_aspect(shape, size):
    place = place_slice(shape, size)
    assert 0 <= place.top <= place.top + place.height <= size[0]
    assert 0 <= place.left <= place.left + place.width <= size[1]
    assert place.height == size[0] or place.width == size[1]
    assert abs((size[0] - place.height) - 2 * place.top) <= 1
    assert abs((size[1] - place.width) - 2 * place.left) <= 1
    step = min(size[0] / shape[0], size[1] / shape[1])
    assert abs(place.height - max(1, shape[0] * step)) <= 0.5
    assert abs(place.width - max(1, shape[1] * step)) <= 0.5


@pytest.mark.parametrize(("shape", "size"), [((240, 240), (224, 224)), ((512, 512), (64, 64)), ((155, 240), (96, 96))])
def test_the_longer_side_fills_the_image(shape, size):
    place = place_slice(shape, size)
    assert place.width == size[1]
    assert place.left == 0
    assert place.share == pytest.approx(shape[0] / shape[1], abs=0.01)


@given(hnp.arrays(np.float32, SIDES, elements=st.floats(-1e4, 1e4, width=32)), SIZES)
@run(deadline=None)
@pytest.mark.parametrize("resampling", ["bicubic", "bilinear"])
def test_values_stay_within_the_range_of_the_image(resampling, image, size):
    resized = resize_image(image, settings_from({"image_size": size, "resampling": resampling}))
    assert resized.shape == size
    assert resized.min() >= image.min()
    assert resized.max() <= image.max()


@given(st.floats(-1e4, 1e4, width=32), SIDES, SIZES)
@run(deadline=None)
def test_a_constant_image_stays_constant(value, shape, size):
    resized = resize_image(np.full(shape, value, np.float32), settings_from({"image_size": size}))
    assert (resized == np.float32(value)).all()


def test_the_same_size_changes_nothing():
    images = np.random.default_rng(0).normal(size=(2, 16, 24)).astype(np.float32)
    np.testing.assert_array_equal(resize_images(images, settings_from({"image_size": (16, 24)})), images)


def test_it_is_pillow_that_resizes():
    image = np.random.default_rng(0).normal(size=(40, 40)).astype(np.float32)
    expected = np.asarray(Image.fromarray(image).resize((16, 16), Image.Resampling.BICUBIC))
    np.testing.assert_array_equal(
        resize_image(image, settings_from({"image_size": 16})), expected.clip(image.min(), image.max())
    )


def test_the_rest_is_filled_with_the_minimum():
    image = smooth((20, 40))
    resized = resize_image(image, settings_from({"image_size": 32}))
    assert (resized[:8] == image.min()).all()
    assert (resized[24:] == image.min()).all()
    assert (resized[8:24].mean(axis=1) > image.min()).all()


def test_each_image_is_resized_for_itself():
    images = np.random.default_rng(0).normal(size=(3, 20, 30)).astype(np.float32)
    settings = settings_from({"image_size": 16})
    for image, resized in zip(images, resize_images(images, settings), strict=True):
        np.testing.assert_array_equal(resize_image(image, settings), resized)


@given(st.tuples(st.integers(24, 90), st.integers(24, 90)), st.tuples(st.integers(24, 90), st.integers(24, 90)))
@run(deadline=None, max_examples=50)
def test_there_and_back_is_nearly_where_it_was(shape, size):
    settings = settings_from({"image_size": size})
    image = smooth(shape)
    back = restore_map(resize_image(image, settings), shape, settings)
    assert back.shape == shape
    assert back.dtype == np.float32
    place = place_slice(shape, size)
    # no more than the slope of the picture over the coarser of the two pixels
    coarse = 3 / min(place.height, place.width, *shape)
    assert np.abs(back - image).max() < coarse


@pytest.mark.parametrize(("shape", "size"), [((30, 50), (64, 64)), ((120, 80), (40, 40)), ((33, 47), (24, 56))])
@pytest.mark.parametrize("corner", [(0, 0), (0, 1), (1, 0), (1, 1)])
def test_a_map_lies_on_the_slice_at_every_corner(shape, size, corner):
    y, x = ((side - 6) * end for side, end in zip(shape, corner, strict=True))
    image = np.zeros(shape, np.float32)
    image[y : y + 6, x : x + 6] = 1
    settings = settings_from({"image_size": size})
    back = restore_map(resize_image(image, settings), shape, settings)
    found, true = ndimage.center_of_mass(back), ndimage.center_of_mass(image)
    np.testing.assert_allclose(found, true, atol=0.75)


@given(hnp.arrays(np.bool_, st.tuples(st.integers(1, 40), st.integers(1, 40))), SIZES)
@run(deadline=None, max_examples=200)
def test_no_lesion_is_lost_and_none_is_invented(lesion, size):
    resized = resize_lesion(lesion, settings_from({"image_size": size}))
    assert resized.shape == size
    place = place_slice(lesion.shape, size)
    inside = place.inside(resized)
    assert inside.sum() == resized.sum()
    numbered, count = ndimage.label(lesion, np.ones((3, 3)))
    for number in range(1, count + 1):
        y, x = np.nonzero(numbered == number)
        there = (
            ((y + 0.5) * place.height / lesion.shape[0]).astype(int),
            ((x + 0.5) * place.width / lesion.shape[1]).astype(int),
        )
        assert inside[there].any()
    for y, x in zip(*np.nonzero(inside), strict=True):
        top, bottom = y * lesion.shape[0] / place.height, (y + 1) * lesion.shape[0] / place.height
        left, right = x * lesion.shape[1] / place.width, (x + 1) * lesion.shape[1] / place.width
        window = lesion[int(top) : int(np.ceil(bottom - 1e-9)), int(left) : int(np.ceil(right - 1e-9))]
        assert window.any(), "a pixel is set where no lesion is"


def test_small_lesions_stay_apart():
    lesion = np.zeros((240, 240), np.bool_)
    lesion[20, 20] = lesion[200, 100] = True
    lesion[100:140, 100:140] = True
    resized = resize_lesion(lesion, settings_from({"image_size": 24}))
    assert ndimage.label(resized)[1] == 3
    assert resized.sum() == 16 + 2


def test_a_large_lesion_keeps_its_share():
    y, x = np.ogrid[:200, :200]
    lesion = (y - 90) ** 2 + (x - 120) ** 2 < 40**2
    resized = resize_lesion(lesion, settings_from({"image_size": 64}))
    assert resized.mean() == pytest.approx(lesion.mean(), rel=0.03)

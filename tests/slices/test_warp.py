"""One resampling there, and the same way back: places, areas, lesions."""

import numpy as np
import pytest

from anomae.slices.warp import Warp

WARPS = {
    "upright": Warp((40, 50), (1.0, 1.0), (32, 32), (20.0, 25.0), 1.2),
    "turned": Warp((60, 50), (1.0, 1.0), (32, 32), (31.0, 24.0), 1.3, 0.2),
    "anisotropic": Warp((30, 80), (2.0, 0.7), (32, 48), (28.0, 30.0), 1.1, -0.15),
    "enlarged": Warp((24, 20), (1.0, 1.0), (64, 64), (12.0, 10.0), 0.3, 0.1),
    "shrunk": Warp((200, 180), (0.5, 0.5), (16, 16), (50.0, 45.0), 5.0, -0.2),
}
EACH = pytest.mark.parametrize("warp", WARPS.values(), ids=WARPS)


def place_in_slice(warp, row, column):
    """(y, x) pixel of the slice of a prepared place: from the definition, in millimetres."""
    v, u = ((place + 0.5 - side / 2) * warp.step_mm for place, side in zip((row, column), warp.size, strict=True))
    sine, cosine = np.sin(warp.angle), np.cos(warp.angle)
    y_mm, x_mm = warp.centre_mm[0] + cosine * v + sine * u, warp.centre_mm[1] - sine * v + cosine * u
    return y_mm / warp.spacing_mm[0] - 0.5, x_mm / warp.spacing_mm[1] - 0.5


def middle_of(image):
    """(y, x) centre of gravity."""
    y, x = np.indices(image.shape)
    return (image * y).sum() / image.sum(), (image * x).sum() / image.sum()


@EACH
def test_a_map_comes_back_to_the_pixels_it_was_made_of(warp):
    """A blob of a few pixels in the prepared map; its centre in the slice is off by less than half a pixel."""
    for row, column in ((warp.size[0] // 2, warp.size[1] // 2), (warp.size[0] // 3, warp.size[1] // 4)):
        y, x = place_in_slice(warp, row, column)
        if not (3 < y < warp.shape[0] - 4 and 3 < x < warp.shape[1] - 4):
            continue
        heat = np.zeros(warp.size, dtype=np.float32)
        heat[row, column] = 1
        restored = warp.restore(heat)
        assert restored.shape == warp.shape
        assert restored.dtype == np.float32
        if restored.max() > 0:  # of a map finer than the slice, a pixel may fall between
            assert np.abs(np.subtract(middle_of(restored), (y, x))).max() < 0.5


@EACH
def test_a_dot_of_the_slice_comes_back_to_its_pixel(warp):
    for y, x in ((warp.shape[0] // 2, warp.shape[1] // 2), (warp.shape[0] // 2 - 5, warp.shape[1] // 2 + 4)):
        image = np.zeros(warp.shape, dtype=np.float32)
        image[y, x] = 100
        prepared = warp.image(image)
        assert prepared.max() > 0
        back = warp.restore(prepared)
        # half a pixel of the slice, or of the prepared image where its pixels are larger
        pixel = np.maximum(1, warp.step_mm / np.array(warp.spacing_mm))
        assert (np.abs(np.subtract(middle_of(back), (y, x))) < 0.5 * pixel).all()


@EACH
def test_there_and_back_leaves_a_smooth_image_as_it_was_and_nothing_outside_the_crop(warp):
    y, x = np.indices(warp.shape)
    image = (2 + np.sin(y / warp.shape[0] * 3) + np.cos(x / warp.shape[1] * 2)).astype(np.float32)
    back = warp.restore(warp.image(image))
    ones = warp.restore(np.ones(warp.size, dtype=np.float32))
    assert set(np.unique(ones)) <= {0.0, 1.0}
    inside = np.zeros(warp.shape, bool)
    corners = [
        place_in_slice(warp, row, column) for row in (-0.5, warp.size[0] - 0.5) for column in (-0.5, warp.size[1] - 0.5)
    ]
    area = warp.size[0] * warp.size[1] * warp.step_mm**2 / np.prod(warp.spacing_mm)
    whole = all(0 <= cy <= warp.shape[0] - 1 and 0 <= cx <= warp.shape[1] - 1 for cy, cx in corners)
    if whole:
        assert ones.sum() == pytest.approx(area, rel=0.05)
    assert (back[ones == 0] == 0).all()
    deep = warp.restore(np.pad(np.ones([side - 4 for side in warp.size], np.float32), 2)) == 1
    inside = (
        deep
        & (y > 2 * warp.step_mm / warp.spacing_mm[0])
        & (y < warp.shape[0] - 1 - 2 * warp.step_mm / warp.spacing_mm[0])
    )
    inside &= (x > 2 * warp.step_mm / warp.spacing_mm[1]) & (
        x < warp.shape[1] - 1 - 2 * warp.step_mm / warp.spacing_mm[1]
    )
    assert inside.any()
    np.testing.assert_allclose(back[inside], image[inside], atol=0.06)


@EACH
def test_a_uniform_slice_stays_uniform_and_all_values_in_range(warp):
    assert warp.image(np.full(warp.shape, 3.0))[warp.size[0] // 2, warp.size[1] // 2] == pytest.approx(3.0)
    noise = np.random.default_rng(0).random(warp.shape).astype(np.float32)
    prepared = warp.image(noise)
    assert prepared.shape == warp.size
    assert 0 <= prepared.min() <= prepared.max() <= 1


def test_shrinking_averages_and_does_not_pick():
    """A chessboard of single pixels becomes grey, not black or white."""
    board = (np.indices((160, 160)).sum(axis=0) % 2).astype(np.float32)
    prepared = Warp((160, 160), (1.0, 1.0), (16, 16), (80.0, 80.0), 8.0, 0.1).image(board)
    assert np.abs(prepared - 0.5).max() < 0.1


@EACH
def test_every_separate_lesion_in_the_crop_keeps_a_pixel(warp):
    lesion = np.zeros(warp.shape, dtype=np.bool_)
    dots = [(warp.shape[0] // 2, warp.shape[1] // 2), (warp.shape[0] // 2 + 5, warp.shape[1] // 2 - 5)]
    for y, x in dots:
        lesion[y, x] = True
    prepared = warp.lesion(lesion)
    assert prepared.dtype == np.bool_
    assert prepared.any()
    for y, x in dots:
        alone = np.zeros_like(lesion)
        alone[y, x] = True
        one = warp.lesion(alone)
        assert one.any()
        assert (one <= prepared).all()
    assert not warp.lesion(np.zeros_like(lesion)).any()


def test_a_large_lesion_keeps_its_area_and_one_outside_the_crop_leaves_nothing():
    warp = Warp((60, 60), (1.0, 1.0), (32, 32), (25.0, 25.0), 1.0, 0.2)
    lesion = np.zeros((60, 60), dtype=np.bool_)
    lesion[20:30, 18:30] = True
    assert warp.lesion(lesion).sum() == pytest.approx(120, rel=0.1)
    away = np.zeros_like(lesion)
    away[55:, 55:] = True
    assert not warp.lesion(away).any()


@EACH
def test_a_map_comes_back_alike_in_bands_of_any_height(monkeypatch, warp):
    heat = np.random.default_rng(0).random(warp.size).astype(np.float32)
    whole = warp.restore(heat)
    monkeypatch.setattr("anomae.slices.warp._ROWS", 7)
    np.testing.assert_array_equal(warp.restore(heat), whole)

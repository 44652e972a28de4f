"""The crop holds the brain whatever the pixels measure, and a head is turned back by as much as it was turned."""

import numpy as np
import pytest

from anomae.slices import framing
from anomae.slices.framing import box_warp, upright


def head(turn_degrees=0.0, shift=0.0, shape=(120, 120), spacing=(1.0, 1.0)):
    """An ellipse with two eyes and a bright stripe down its middle, turned about its centre."""
    y, x = (
        (np.arange(side) + 0.5 - side / 2)[:, None] * step
        if axis == 0
        else (np.arange(side) + 0.5 - side / 2)[None] * step
        for axis, (side, step) in enumerate(zip(shape, spacing, strict=True))
    )
    x = x - shift
    angle = np.deg2rad(turn_degrees)
    u, v = np.cos(angle) * x + np.sin(angle) * y, -np.sin(angle) * x + np.cos(angle) * y
    image = np.where((u / 34) ** 2 + (v / 44) ** 2 < 1, 0.5, 0.0)
    image = image + 0.4 * ((np.abs(u) < 3) & (np.abs(v) < 40))
    image = image + 0.5 * (((np.abs(u) - 15) ** 2 + (v + 25) ** 2) < 40)
    return image.astype(np.float32)


@pytest.mark.parametrize("spacing", [(1.0, 1.0), (2.0, 0.5)])
@pytest.mark.parametrize("size", [(32, 32), (32, 48)])
def test_the_box_holds_what_is_in_it_with_its_margin_in_millimetres(spacing, size):
    where = np.zeros((60, 200), dtype=np.bool_)
    where[10:40, 20:140] = True
    warp = box_warp(where, spacing, size, 0.1)
    longest = max(30 * spacing[0], 120 * spacing[1])
    assert warp.step_mm * min(size) == pytest.approx(longest * 1.1)
    assert warp.centre_mm == pytest.approx((25 * spacing[0], 80 * spacing[1]))
    share = warp.image(where)
    assert share[0].max() == share[-1].max() == share[:, 0].max() == share[:, -1].max() == 0
    area = 30 * 120 * np.prod(spacing)
    assert share.sum() * warp.step_mm**2 == pytest.approx(area, rel=0.02)
    assert warp.prepared_spacing_mm == (warp.step_mm, warp.step_mm)


def test_nothing_to_frame_is_the_whole_slice():
    warp = box_warp(np.zeros((20, 30), dtype=np.bool_), (1.0, 1.0), (16, 16), 0.0)
    assert warp.centre_mm == (10, 15)
    assert warp.step_mm * 16 == 30


@pytest.mark.parametrize("turn", [-12.0, -5.0, 0.0, 3.0, 9.5])
@pytest.mark.parametrize("spacing", [(1.0, 1.0), (1.0, 0.5)])
def test_a_turned_head_is_found_upright(turn, spacing):
    shape = (120, 120) if spacing == (1.0, 1.0) else (120, 240)
    image = head(turn, shape=shape, spacing=spacing)
    found = upright(box_warp(image > 0, spacing, (64, 64), 0.06), image)
    straight = upright(
        box_warp(head(shape=shape, spacing=spacing) > 0, spacing, (64, 64), 0.06), head(shape=shape, spacing=spacing)
    )
    assert abs(np.rad2deg(found.angle - straight.angle)) - abs(turn) == pytest.approx(0, abs=0.75)
    assert straight.angle == pytest.approx(0, abs=np.deg2rad(0.51))
    prepared = found.image(image)
    assert (
        np.abs(prepared - prepared[:, ::-1]).mean() < 0.25 * max(np.abs(head() - head(5)[:, ::-1]).mean(), 0.05) + 0.02
    )


def test_a_head_beside_its_box_is_shifted_to_the_middle():
    image = head()
    beside = image.copy()
    where = image > 0
    where[50:60, 18:30] = True  # the box reaches further to one side than the head
    warp = upright(box_warp(where, (1.0, 1.0), (64, 64), 0.06), beside)
    prepared = warp.image(beside)
    columns = np.flatnonzero(prepared.max(axis=0) > 0.3)
    assert (columns[0] + columns[-1]) / 2 == pytest.approx(31.5, abs=2.5)


def test_of_what_is_the_same_all_round_the_smallest_turn_is_taken():
    y, x = np.indices((80, 80)) - 39.5
    disk = (y**2 + x**2 < 900).astype(np.float32)
    warp = upright(box_warp(disk > 0, (1.0, 1.0), (32, 32), 0.0), disk)
    assert abs(np.rad2deg(warp.angle)) <= 14
    assert warp.centre_mm[0] == 40
    blank = upright(box_warp(disk > 0, (1.0, 1.0), (32, 32), 0.0), np.zeros_like(disk))
    assert (blank.angle, blank.centre_mm) == (0, (40, 40))


@pytest.mark.parametrize("degrees", [0, -6, 9])
def test_a_large_slice_is_turned_as_the_same_at_fewer_pixels(monkeypatch, degrees):
    """Each pixel as a block of 3 x 3 in a third of the spacing: the same picture, so the same crop in millimetres."""
    image = head(degrees)
    side = image.shape[0]
    box = box_warp(image > 0, (1.0, 1.0), (32, 32), 0.1)
    expected = upright(box, image)
    monkeypatch.setattr(framing, "_LONGEST_SIDE", side)
    assert upright(box, image) == expected  # within the limit nothing is shrunk
    blocks = np.kron(image, np.ones((3, 3), np.float32))
    fine = upright(box_warp(blocks > 0, (1 / 3, 1 / 3), (32, 32), 0.1), blocks)
    assert fine.shape == (3 * side, 3 * side)
    assert fine.angle == expected.angle
    np.testing.assert_allclose(fine.centre_mm, expected.centre_mm, atol=1e-9)
    np.testing.assert_allclose(fine.step_mm, expected.step_mm)

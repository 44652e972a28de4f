"""An overlay outlines what is above the threshold, marks the sides, and says which slice it is."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from anomae.reports.overlay_picture import _ticks, draw_overlay, threshold_of
from anomae.reports.overlays import heat_top

GREY = np.full((40, 40), 120, dtype=np.float32)
HEAT = np.zeros((40, 40), dtype=np.float32)
HEAT[8:16, 24:34] = 0.9


def drawn(path: Path, **given: object) -> np.ndarray:
    draw_overlay(path, GREY, HEAT, grey=(0, 255), heat_top=1.0, title="$scan_1", map_name="share", **given)
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB")).astype(int)


def turquoise(seen: np.ndarray) -> np.ndarray:
    return np.argwhere((seen[..., 1] - seen[..., 0] > 100) & (seen[..., 2] > 150))


def test_what_is_above_the_threshold_is_outlined_where_it_is(tmp_path):
    bare = drawn(tmp_path / "bare.png")
    assert len(turquoise(bare)) == 0
    seen = drawn(tmp_path / "outlined.png", threshold=0.5)
    assert seen.shape == bare.shape
    in_panel = turquoise(seen)
    in_panel = in_panel[(in_panel[:, 0] < seen.shape[0] * 0.85) & (in_panel[:, 1] < seen.shape[1] * 0.88)]
    assert len(in_panel) > 100
    assert (in_panel[:, 1] > seen.shape[1] * 0.5).all()  # in the right panel alone
    assert in_panel[:, 0].mean() < seen.shape[0] * 0.4
    assert threshold_of(tmp_path / "outlined.png") == "0.5"
    assert threshold_of(tmp_path / "bare.png") == "none"


def test_why_there_are_no_findings_is_written_where_their_threshold_would_be(tmp_path):
    bare, seen = drawn(tmp_path / "bare.png"), drawn(tmp_path / "without.png", without="none were looked for")
    changed = np.argwhere(np.abs(seen - bare).sum(axis=2) > 0)
    assert len(changed) > 50
    assert (changed[:, 0] > seen.shape[0] - 32).all()
    assert (drawn(tmp_path / "a.png", threshold=0.5, without="x") == drawn(tmp_path / "b.png", threshold=0.5)).all()


def test_sides_and_the_slice_are_drawn_where_they_are_known(tmp_path):
    bare, seen = drawn(tmp_path / "bare.png"), drawn(tmp_path / "sides.png", sides=True, slice_of=(30, 40))
    changed = np.argwhere(np.abs(seen - bare).sum(axis=2) > 60)
    middle = changed[np.abs(changed[:, 0] - seen.shape[0] * 0.5) < seen.shape[0] * 0.1]
    assert len(np.unique(middle[:, 1] // 100)) >= 3  # R and L in both panels
    assert (changed[:, 0] > seen.shape[0] * 0.93).any()  # the line from feet to head


def test_the_colour_scale_reaches_the_threshold():
    assert heat_top(np.zeros((4, 4), dtype=np.float32)) == 1.0
    assert heat_top(np.full((4, 4), 0.2, dtype=np.float32), 0.5) == 0.5
    assert heat_top(np.full((4, 4), 0.7, dtype=np.float32), 0.5) > 0.69


def panels(seen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The pixels of the left and the right panel, without title, foot and colour bar."""
    inside = seen[40 : seen.shape[0] - 37]
    return inside[:, 5:415], inside[:, 425:835]


def test_the_scan_is_drawn_between_black_and_white_and_the_map_over_it_alone_on_the_right(tmp_path):
    image, heat = np.zeros((40, 40), np.float32), np.zeros((40, 40), np.float32)
    image[:, 20:], heat[:20] = 300, 0.9
    draw_overlay(tmp_path / "a.png", image, heat, grey=(100, 200), heat_top=1.0, title="t", map_name="m")
    with Image.open(tmp_path / "a.png") as picture:
        left, right = panels(np.asarray(picture.convert("RGB")).astype(int))
    assert (left[:, :200] == 0).all()
    assert (left[:, 210:] == 255).all()
    np.testing.assert_array_equal(right[210:], left[210:])
    assert (right[:200, :200].max(axis=2) > 60).all()


@pytest.mark.parametrize(("shape", "aspect"), [((40, 40), 2.0), ((40, 80), 1.0), ((30, 90), 0.5), ((200, 20), 1.0)])
def test_pixels_keep_their_shape(tmp_path, shape, aspect):
    image = np.full(shape, 255, np.float32)
    draw_overlay(tmp_path / "a.png", image, image * 0, grey=(0, 255), heat_top=1, title="", map_name="", aspect=aspect)
    with Image.open(tmp_path / "a.png") as picture:
        width, height = picture.size
        seen = np.asarray(picture.convert("RGB")).astype(int)
    draw_overlay(
        tmp_path / "b.png", image * 0, image * 0, grey=(0, 255), heat_top=1, title="", map_name="", aspect=aspect
    )
    with Image.open(tmp_path / "b.png") as picture:
        changed = np.abs(np.asarray(picture.convert("RGB")).astype(int) - seen).sum(axis=2) > 0
    rows, columns = (np.flatnonzero(changed[:, : width // 2 - 50].any(axis=axis)) for axis in (1, 0))
    drawn_shape = (rows[-1] - rows[0] + 1) / (columns[-1] - columns[0] + 1)
    assert drawn_shape == pytest.approx(shape[0] * aspect / shape[1], rel=0.02)
    assert rows[-1] < height - 32


@pytest.mark.parametrize("corner", [(0, 0), (1999, 1499), (1000, 0)])
def test_a_finding_of_one_pixel_of_a_large_picture_is_outlined_at_the_edge_too(tmp_path, corner):
    image, heat = np.full((2000, 1500), 90, np.float32), np.zeros((2000, 1500), np.float32)
    heat[corner] = 1
    draw_overlay(tmp_path / "a.png", image, heat, grey=(0, 255), heat_top=1.0, title="t", map_name="m", threshold=0.5)
    with Image.open(tmp_path / "a.png") as picture:
        found = turquoise(np.asarray(picture.convert("RGB")).astype(int)[40:-37, :835])
    assert len(found)
    assert abs(found[:, 0].mean() / (picture.height - 77) - corner[0] / 2000) < 0.02
    assert abs((found[:, 1].mean() - 425) / 410 - corner[1] / 1500) < 0.02


@pytest.mark.parametrize("top", [1e-9, 3e-4, 0.0314, 0.34, 1.0, 1.25, 7.0, 99.0, 4096.0, 3e7])
def test_the_colour_bar_is_marked_at_round_numbers_up_to_its_end(top):
    ticks, labels = _ticks(top)
    assert 3 <= len(ticks) <= 9
    assert ticks[0] == 0
    assert top * 0.6 < ticks[-1] <= top * (1 + 1e-6)
    assert len(set(labels)) == len(labels)
    np.testing.assert_allclose([float(label) for label in labels], ticks, rtol=1e-2)


def test_any_title_and_name_of_a_map_can_be_drawn(tmp_path):
    words = "a" * 300 + "\n<b>$x_1$ é 頭部 \x07"
    draw_overlay(tmp_path / "a.png", GREY, HEAT, grey=(3, 3), heat_top=0.0, title=words, map_name=words)
    with Image.open(tmp_path / "a.png") as picture:
        assert picture.size == (940, 487)

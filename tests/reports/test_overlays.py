"""An overlay outlines what is above the threshold, marks the sides, and says which slice it is."""

from pathlib import Path

import numpy as np
from PIL import Image

from anomae.reports.overlays import _threshold_of, draw_overlay, heat_top

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
    assert _threshold_of(tmp_path / "outlined.png") == "0.5"
    assert _threshold_of(tmp_path / "bare.png") == "none"


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

"""What overlays are drawn from is small however large the picture, and nothing that is marked gets lost."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anomae.runs.scoring_outputs import LONGEST_SIDE, shrunk, write_highest


@given(st.integers(1, 30), st.integers(1, 30), st.integers(1, 9), st.integers(1, 9))
def test_blocks_become_their_mean_or_their_highest(height, width, rows, columns):
    image = np.random.default_rng(0).integers(0, 255, (2, height, width)).astype(np.uint8)
    mean, highest = shrunk(image, (rows, columns)), shrunk(image, (rows, columns), highest=True)
    assert mean.shape == highest.shape == (2, -(-height // rows), -(-width // columns))
    for y, x in np.ndindex(mean.shape[1:]):
        block = image[1, y * rows : (y + 1) * rows, x * columns : (x + 1) * columns]
        assert mean[1, y, x] == pytest.approx(block.mean(), rel=1e-5)
        assert highest[1, y, x] == block.max()


def written(path, image, heat):
    facts = {"slices": np.zeros(1, np.int64), "scores": np.zeros(1), "spacing_mm": (2.0, 1.0)}
    write_highest(path, image if image.ndim == 4 else image[:, None], heat, black_and_white=(0.0, 255.0), **facts)
    with np.load(path) as kept:
        return kept["grey"], kept["heat"], float(kept["aspect"])


def test_an_ordinary_slice_is_kept_as_it_is(tmp_path):
    image = np.random.default_rng(0).integers(0, 255, (1, LONGEST_SIDE, 7)).astype(np.uint8)
    grey, heat, aspect = written(tmp_path / "a.npz", image, image.astype(np.float32))
    np.testing.assert_array_equal(grey, image)
    np.testing.assert_array_equal(heat, image)
    assert aspect == 2.0


def test_a_large_one_is_shrunk_and_keeps_its_form_and_its_hot_spot(tmp_path):
    image, heat = np.full((1, 3000, 500), 9, np.uint8), np.zeros((1, 3000, 500), np.float32)
    heat[0, 1234, 321] = 5.0
    grey, small, aspect = written(tmp_path / "a.npz", image, heat)
    assert grey.shape == small.shape == (1, 1000, 500)
    assert (grey == 9).all()
    assert aspect == 6.0
    assert small.max() == 5.0


@pytest.mark.parametrize("height", [8, 3 * LONGEST_SIDE])
def test_colours_are_shrunk_before_their_mean_is_taken(height, tmp_path):
    colours = np.random.default_rng(0).integers(0, 255, (2, 3, height, 8)).astype(np.uint8)
    heat = np.zeros((2, height, 8), np.float32)
    by = (-(-height // LONGEST_SIDE), 1)
    expected = shrunk(colours.mean(axis=1), by).astype(np.float32)
    grey, _, _ = written(tmp_path / "a.npz", colours, heat)
    assert np.abs(grey - np.floor(expected)).max() <= (1 if height > LONGEST_SIDE else 0)

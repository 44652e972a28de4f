"""Positions equal the plain formula, element by element."""

import math

import pytest
import torch

from anomae.models.transformer.masked_autoencoder import sincos_positions


@pytest.mark.parametrize(("grid", "width"), [((3, 5), 8), ((4, 2), 12), ((1, 1), 4)])
def test_positions_equal_the_formula(grid: tuple[int, int], width: int) -> None:
    given = sincos_positions(grid, width, class_token=False)
    quarter = width // 4
    assert given.shape == (1, grid[0] * grid[1], width)
    for row in range(grid[0]):
        for column in range(grid[1]):
            for i in range(quarter):
                frequency = 10000 ** (-i / quarter)
                expected = [f(p * frequency) for p in (column, row) for f in (math.sin, math.cos)]
                found = given[0, row * grid[1] + column, i::quarter].tolist()
                assert found == pytest.approx(expected, abs=1e-6)


def test_the_class_token_stands_first_at_zero() -> None:
    without, with_token = sincos_positions((3, 4), 8, False), sincos_positions((3, 4), 8, True)
    assert torch.equal(with_token[:, 1:], without)
    assert not with_token[:, 0].any()


def test_every_patch_has_positions_of_its_own() -> None:
    positions = sincos_positions((14, 14), 768, False)[0]
    assert (torch.cdist(positions, positions) + 9 * torch.eye(196)).min() > 0.5


def test_a_width_that_four_does_not_divide_is_refused() -> None:
    with pytest.raises(ValueError, match="multiple of 4"):
        sincos_positions((2, 2), 6, True)

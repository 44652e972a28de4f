"""Perlin noise: by its definition, 0 at the corners of its lattice, bounded, smooth, and decided by the generator."""

import math

import numpy as np
import pytest
import torch

from anomae.models.perlin import perlin_noise


def noise(count: int, size: tuple[int, int], cells: tuple[int, int], seed: int = 0) -> torch.Tensor:
    return perlin_noise(count, size, cells, torch.Generator().manual_seed(seed))


def test_it_is_perlins_noise_by_definition() -> None:
    """Against a loop over the pixels, from the same gradients."""
    angles = 2 * math.pi * torch.rand(1, 4, 6, generator=torch.Generator().manual_seed(0)).double().numpy()[0]
    expected = np.zeros((12, 35))
    for row in range(12):
        for column in range(35):
            y, x = row * 3 / 12, column * 5 / 35
            top, left = math.floor(y), math.floor(x)
            for at_y in (top, top + 1):
                for at_x in (left, left + 1):
                    away_y, away_x = y - at_y, x - at_x
                    if max(abs(away_y), abs(away_x)) >= 1:
                        continue
                    weights = [1 - (6 * d**5 - 15 * d**4 + 10 * d**3) for d in (abs(away_y), abs(away_x))]
                    slope = math.sin(angles[at_y, at_x]) * away_y + math.cos(angles[at_y, at_x]) * away_x
                    expected[row, column] += math.sqrt(2) * math.prod(weights) * slope
    np.testing.assert_allclose(noise(1, (12, 35), (3, 5))[0].numpy(), expected, atol=1e-5)


def test_the_generator_decides() -> None:
    assert torch.equal(noise(3, (16, 24), (2, 3)), noise(3, (16, 24), (2, 3)))
    one, two, three = noise(3, (16, 24), (2, 3))
    assert not torch.equal(one, two)
    assert not torch.equal(two, three)
    assert not torch.equal(one, noise(1, (16, 24), (2, 3), seed=1)[0])


@pytest.mark.parametrize("cells", [(1, 1), (2, 8), (8, 8), (16, 4)])
def test_it_is_0_at_the_corners_and_has_the_same_range_at_every_coarseness(cells: tuple[int, int]) -> None:
    images = noise(200, (32, 64), cells)
    assert images.shape == (200, 32, 64)
    assert images.dtype == torch.float32
    assert float(images[:, :: 32 // cells[0], :: 64 // cells[1]].abs().max()) == 0.0
    assert 0.7 < float(images.abs().max()) <= 1.0
    assert abs(float(images.mean())) < 0.05


def test_it_is_smooth_across_the_cells_too() -> None:
    """Slope and curvature are bounded in units of a cell; a jump of either at the border of a cell would show."""
    images, step = noise(50, (256, 256), (2, 2)), 2 / 256
    for axis in (1, 2):
        assert float(images.diff(dim=axis).abs().max()) < 7 * step
        assert float(images.diff(n=2, dim=axis).abs().max()) < 25 * step**2


@pytest.mark.parametrize("cells", [(0, 2), (2, 17)])
def test_cells_that_do_not_go_in_are_refused(cells: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="do not go into 16x16 pixels"):
        noise(1, (16, 16), cells)

"""Maps of disagreement: against scipy, and against cases worked out by hand."""

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter, uniform_filter

from anomae.models.anomaly_maps import (
    box_mean,
    combined_map,
    cosine_distance,
    gaussian_smooth,
    highest_mean,
    upsampled,
)


@pytest.mark.parametrize(("height", "width", "sigma"), [(64, 48, 4.0), (33, 20, 1.5), (7, 5, 4.0), (2, 3, 6.0)])
def test_smoothing_is_that_of_scipy(height: int, width: int, sigma: float, rng: torch.Generator) -> None:
    maps = torch.rand(2, height, width, generator=rng)
    expected = gaussian_filter(maps.double().numpy(), (0, sigma, sigma))
    assert np.allclose(gaussian_smooth(maps, sigma).numpy(), expected, atol=1e-6)


def test_no_smoothing_leaves_the_map(rng: torch.Generator) -> None:
    maps = torch.rand(2, 5, 5, generator=rng)
    assert torch.equal(gaussian_smooth(maps, 0), maps)


def test_cosine_distance_by_hand() -> None:
    one = torch.tensor([[1.0, 0.0], [3.0, 4.0], [1.0, 2.0]]).T[None, :, :, None]  # three positions, two channels
    other = torch.tensor([[0.0, 2.0], [6.0, 8.0], [-1.0, -2.0]]).T[None, :, :, None]
    assert torch.allclose(cosine_distance(one, other), torch.tensor([[[1.0], [0.0], [2.0]]]), atol=1e-6)


def test_levels_are_upsampled_with_aligned_corners_and_added_or_multiplied() -> None:
    coarse, fine = torch.tensor([[[0.0, 2.0], [4.0, 6.0]]]), torch.full((1, 3, 3), 2.0)
    large = torch.tensor([[[0.0, 1.0, 2.0], [2.0, 3.0, 4.0], [4.0, 5.0, 6.0]]])
    assert torch.allclose(combined_map([coarse, fine], (3, 3), "sum"), large + 2)
    assert torch.allclose(combined_map([coarse, fine], (3, 3), "product"), large * 2)


@pytest.mark.parametrize("at", [(1, 1), (3, 6), (6, 2)])
def test_without_aligned_corners_a_value_lies_in_the_middle_of_its_part(at: tuple[int, int]) -> None:
    one = torch.zeros(1, 8, 8)
    one[0, at[0], at[1]] = 1.0
    large = upsampled(one, (64, 64), "bilinear")[0]
    pixels = torch.arange(64.0)
    for axis, index in enumerate(at):
        centroid = float((large.sum(1 - axis) * pixels).sum() / large.sum())
        assert centroid == pytest.approx(8 * index + 3.5, abs=1e-3)
    assert torch.allclose(upsampled(one.flip(1, 2), (64, 64), "bilinear")[0], large.flip(0, 1), atol=1e-6)


def test_bicubic_overshoot_does_not_go_below_nothing() -> None:
    step = torch.zeros(1, 4, 4)
    step[:, 2:] = 1.0
    large = upsampled(step, (32, 32), "bicubic")
    assert float(large.min()) == 0.0
    assert float(large.max()) > 1.0


@pytest.mark.parametrize("side", [1, 3, 11])
def test_the_mean_over_a_box_is_that_of_scipy(side: int, rng: torch.Generator) -> None:
    maps = torch.rand(2, 12, 20, generator=rng)
    expected = uniform_filter(maps.double().numpy(), (0, side, side), mode="constant")
    assert np.allclose(box_mean(maps, side).numpy(), expected, atol=1e-6)


def test_the_mean_of_the_highest_share(rng: torch.Generator) -> None:
    maps = torch.rand(3, 10, 20, generator=rng)
    highest = np.sort(maps.numpy().reshape(3, -1), axis=1)[:, ::-1]
    for share, count in ((1.0, 200), (0.05, 10), (0.0001, 1)):
        assert np.allclose(highest_mean(maps, share).numpy(), highest[:, :count].mean(axis=1), atol=1e-6)

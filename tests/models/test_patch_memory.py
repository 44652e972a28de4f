"""The memory of patches: features by hand, distances against scikit-learn, and what a coreset is for."""

import numpy as np
import pytest
import torch
from sklearn.neighbors import NearestNeighbors

from anomae.models.patch_memory import greedy_coreset, nearest_distance, patch_features


def test_features_are_averaged_over_neighbours_with_nothing_beyond_the_border_and_concatenated() -> None:
    fine = torch.arange(16.0).reshape(1, 1, 4, 4)
    coarse = torch.full((1, 2, 2, 2), 7.0)
    features = patch_features([fine, coarse])
    assert features.shape == (1, 3, 4, 4)
    assert float(features[0, 0, 0, 0]) == pytest.approx((0 + 1 + 4 + 5) / 9)
    assert float(features[0, 0, 2, 1]) == pytest.approx(9.0)
    assert torch.allclose(features[0, 1:], torch.full((2, 4, 4), 7.0 * 4 / 9))  # each of four positions has four


def test_distances_are_those_of_scikit_learn(rng: torch.Generator) -> None:
    memory = 50 + torch.randn(300, 20, generator=rng)  # far from the origin: products cancel
    patches = torch.cat([50 + torch.randn(1500, 20, generator=rng), memory[:5]])
    expected, _ = NearestNeighbors(n_neighbors=1).fit(memory.double()).kneighbors(patches.double())
    assert np.allclose(nearest_distance(patches, memory), expected[:, 0], atol=1e-3)
    assert float(nearest_distance(memory, memory).max()) == 0.0


def test_a_coreset_covers_better_than_chance_and_takes_nothing_twice(rng: torch.Generator) -> None:
    patches = torch.cat([torch.randn(950, 8, generator=rng), 6 + torch.randn(50, 8, generator=rng)])
    taken = greedy_coreset(patches, 60, torch.Generator().manual_seed(0))
    assert len(taken.unique()) == 60
    random = torch.randperm(1000, generator=rng)[:60]
    covered, by_chance = (float(nearest_distance(patches, patches[kept]).max()) for kept in (taken, random))
    assert covered < 0.8 * by_chance


def test_each_patch_taken_is_the_farthest_from_those_before(rng: torch.Generator) -> None:
    patches = torch.randn(200, 5, generator=rng)
    taken = greedy_coreset(patches, 12, torch.Generator().manual_seed(0))
    for turn in range(1, 12):
        away = nearest_distance(patches, patches[taken[:turn]])
        assert torch.isclose(away[taken[turn]], away.max(), atol=1e-4)


def test_equal_patches_are_kept_apart_by_place_only() -> None:
    assert sorted(greedy_coreset(torch.ones(6, 4), 6, torch.Generator().manual_seed(0)).tolist()) == list(range(6))

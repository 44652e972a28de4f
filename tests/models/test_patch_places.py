"""Where patches lie: which are near, that blocks keep within reach, and that shares are as even as can be."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from anomae.models.patch_memory import nearest_distance
from anomae.models.patch_places import blocks_of_places, even_shares, out_of_reach, spread_subset


@pytest.mark.parametrize("near", [0.0, 0.125, 0.3, 1.0])
@pytest.mark.parametrize("grid", [(4, 8), (7, 5)])
def test_near_by_definition_and_blocks_within_it(grid: tuple[int, int], near: float) -> None:
    found = ~out_of_reach(grid, near, torch.arange(grid[0] * grid[1]))
    blocks = blocks_of_places(grid, near)
    cells = [(row, column) for row in range(grid[0]) for column in range(grid[1])]
    for one, here in enumerate(cells):
        for other, there in enumerate(cells):
            apart = np.hypot(here[0] - there[0], here[1] - there[1]) / max(grid)
            assert bool(found[one, other]) == (apart <= near + 1e-9)
    same_block = blocks[:, None] == blocks
    assert bool((found | ~same_block).all())
    if near == 0.0:
        assert len(blocks.unique()) == len(cells)


def test_a_place_with_nothing_in_reach_is_given_everything() -> None:
    beyond = out_of_reach((1, 8), 0.125, torch.tensor([0, 1, 7]))
    assert beyond[0].tolist() == [False, False, True]
    assert beyond[2].tolist() == [True, False, True]
    assert beyond[4].tolist() == [False, False, False]
    assert beyond[6].tolist() == [True, True, False]


def test_only_what_is_in_reach_is_looked_at(rng: torch.Generator) -> None:
    patches, memory = torch.randn(1500, 6, generator=rng), torch.randn(40, 6, generator=rng)  # more than one chunk
    beyond = torch.rand(1500, 40, generator=rng) < 0.9
    beyond[torch.arange(1500), torch.randint(40, (1500,), generator=rng)] = False
    every = torch.cdist(patches.double(), memory.double()).masked_fill(beyond, torch.inf)
    assert torch.allclose(nearest_distance(patches, memory, beyond).double(), every.min(dim=1).values, atol=1e-4)
    nothing = torch.zeros_like(beyond)
    assert torch.equal(nearest_distance(patches, memory, nothing), nearest_distance(patches, memory))


@given(st.lists(st.integers(0, 30), min_size=1, max_size=12), st.integers(0, 200))
def test_shares_are_as_even_as_can_be(available: list[int], total: int) -> None:
    shares = even_shares(available, total)
    assert sum(shares) == min(total, sum(available))
    assert all(0 <= share <= most for share, most in zip(shares, available, strict=True))
    # Whoever could have had more has at most one less than anyone.
    cut = [share for share, most in zip(shares, available, strict=True) if share < most]
    assert not cut or min(cut) >= max(shares) - 1


@pytest.mark.parametrize("subset", ["coreset", "random"])
def test_each_block_keeps_its_share(subset: str, rng: torch.Generator) -> None:
    patches = torch.randn(100, 5, generator=rng)
    blocks = torch.tensor([0] * 60 + [1] * 38 + [2] * 2)
    kept = spread_subset(patches, blocks, 22, subset, torch.Generator().manual_seed(0))
    assert torch.equal(kept, kept.unique())
    assert torch.bincount(blocks[kept]).tolist() == [10, 10, 2]
    assert torch.equal(kept, spread_subset(patches, blocks, 22, subset, torch.Generator().manual_seed(0)))
    assert not torch.equal(kept, spread_subset(patches, blocks, 22, subset, torch.Generator().manual_seed(1)))
    assert len(spread_subset(patches, blocks, 500, subset, torch.Generator().manual_seed(0))) == 100

"""Masks for features: complementary ones hide every patch in one pass; those of training hide the wanted share."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from anomae.models.transformer.feature_masks import complementary_masks, training_masks
from anomae.models.transformer.masked_autoencoder import visible_count

GRIDS = st.tuples(st.integers(1, 9), st.integers(2, 9))


@given(
    seeds=st.lists(st.integers(0, 2**63 - 1), min_size=1, max_size=4),
    grid=GRIDS,
    passes=st.integers(2, 5),
    block=st.integers(1, 3),
)
def test_complementary_masks_hide_every_patch_once(
    seeds: list[int], grid: tuple[int, int], passes: int, block: int
) -> None:
    masks = complementary_masks(seeds, grid, passes, block)
    assert masks.shape == (passes, len(seeds), *grid)
    assert (masks.sum(dim=0) == 1).all()
    corners = masks[..., ::block, ::block]  # one patch of every square
    assert torch.equal(
        corners.repeat_interleave(block, -2).repeat_interleave(block, -1)[..., : grid[0], : grid[1]], masks
    )
    counts = corners.sum(dim=(2, 3))
    assert (counts.amax(dim=0) - counts.amin(dim=0) <= 1).all()
    for index, seed in enumerate(seeds):  # the same in any company
        assert torch.equal(complementary_masks([seed], grid, passes, block)[:, 0], masks[:, index])


def test_complementary_masks_are_unlike_for_unlike_seeds() -> None:
    masks = complementary_masks(list(range(2000)), (4, 4), 2)
    share = masks[0].float().mean(dim=0)
    assert ((share - 0.5).abs() < 0.06).all()  # 5 standard errors
    assert len({one.numpy().tobytes() for one in masks[0]}) > 1000


@given(grid=GRIDS, ratio=st.floats(0.01, 0.99), block=st.integers(1, 3), seed=st.integers(0, 2**31))
def test_training_masks_hide_the_share(grid: tuple[int, int], ratio: float, block: int, seed: int) -> None:
    squares = -(-grid[0] // block) * -(-grid[1] // block)
    if squares < 2:
        return
    masks = training_masks(3, grid, ratio, block, torch.Generator().manual_seed(seed))
    assert masks.shape == (3, *grid)
    shown = (~masks[:, ::block, ::block]).sum(dim=(1, 2))
    assert (shown == min(visible_count(squares, ratio), squares - 1)).all()
    assert torch.equal(masks, training_masks(3, grid, ratio, block, torch.Generator().manual_seed(seed)))

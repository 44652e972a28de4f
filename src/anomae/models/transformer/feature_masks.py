"""Which patches are hidden from the masked autoencoder of features: in squares, and each patch in turn."""

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from anomae.models.transformer.masked_autoencoder import training_visible, visible_count


def training_masks(
    batch: int, grid: tuple[int, int], mask_ratio: float, block: int, generator: torch.Generator
) -> Tensor:
    """(B, gh, gw) bool: which patches are hidden, drawn uniformly in squares of `block` patches a side.

    On the generator's device.  `visible_count` of the squares stay visible; one at least is hidden.
    """
    squares = math.prod(_squares(grid, block))
    shown = min(visible_count(squares, mask_ratio), squares - 1)
    visible = training_visible(batch, squares, shown, generator)
    hidden = torch.ones(batch, squares, dtype=torch.bool, device=visible.device).scatter_(1, visible, False)
    return _patches_of(hidden, grid, block)


def complementary_masks(seeds: Sequence[int], grid: tuple[int, int], passes: int, block: int = 1) -> Tensor:
    """(passes, B, gh, gw) bool: of each image every patch is hidden in exactly one pass, from the image's own seed.

    Squares of `block` patches a side are hidden together; no pass hides over one square more than another.
    """
    squares = math.prod(_squares(grid, block))
    turns = np.stack([np.random.Generator(np.random.Philox(seed)).permutation(squares) % passes for seed in seeds])
    hidden = torch.from_numpy(turns) == torch.arange(passes)[:, None, None]  # (passes, B, squares)
    return _patches_of(hidden, grid, block)


def _squares(grid: tuple[int, int], block: int) -> tuple[int, int]:
    """Rows and columns of squares that cover the grid; the last ones may stand out of it."""
    return -(-grid[0] // block), -(-grid[1] // block)


def _patches_of(squares: Tensor, grid: tuple[int, int], block: int) -> Tensor:
    """(..., squares) -> (..., gh, gw): each patch as its square."""
    cut = squares.reshape(*squares.shape[:-1], *_squares(grid, block))
    return cut.repeat_interleave(block, dim=-2).repeat_interleave(block, dim=-1)[..., : grid[0], : grid[1]]

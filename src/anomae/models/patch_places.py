"""Where in the image patches lie: which are near each other, and patches kept evenly over all of them."""

import math
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from anomae.models.patch_memory import greedy_coreset

CHUNK = 256  # positions at a time


def out_of_reach(grid: tuple[int, int], near: float, kept: Tensor) -> Tensor:
    """(N, m) bool: which patches of a memory, kept at positions (m,), are too far from each of N = rows * columns.

    Too far is more than `near` longer sides of `grid`; near 0: anywhere but at the position itself.  Positions are
    counted row by row.  A position that has none within reach is given all of them.
    """
    reach = (near * max(grid)) ** 2 + 1e-6
    rows, columns = torch.meshgrid(*(torch.arange(side) for side in grid), indexing="ij")
    positions = torch.stack([rows.flatten(), columns.flatten()], dim=1)  # (N, 2)
    parts = []
    for part in positions.split(CHUNK):  # type: ignore[no-untyped-call]
        beyond = (part[:, None] - positions[kept]).square().sum(dim=2) > reach  # (n, m)
        parts.append(beyond & ~beyond.all(dim=1, keepdim=True))
    return torch.cat(parts)


def blocks_of_places(grid: tuple[int, int], near: float) -> Tensor:
    """(N,) int64: the block of each position; blocks are squares so small that its positions lie within `near`."""
    side = 1 + math.floor(near * max(grid) / math.sqrt(2) + 1e-6)
    rows, columns = (torch.arange(count) // side for count in grid)
    return (rows[:, None] * (int(columns[-1]) + 1) + columns).flatten()


def even_shares(available: Sequence[int], total: int) -> list[int]:
    """How much to take of each part: as evenly as can be, `total` in all, or everything where there is less."""
    shares, left = [0] * len(available), total
    smallest_first = sorted(range(len(available)), key=lambda part: available[part])
    for done, part in enumerate(smallest_first):
        shares[part] = min(available[part], left // (len(available) - done))
        left -= shares[part]
    return shares


def spread_subset(
    patches: Tensor, blocks: Tensor, count: int, subset: Literal["coreset", "random"], generator: torch.Generator
) -> Tensor:
    """Positions (at most count,), rising, among patches (n, D) that lie in blocks (n,): an even share of each block.

    coreset: of each block greedily the farthest (`greedy_coreset`); random: any.  Drawn from `generator`, of the CPU.
    """
    members = [torch.nonzero(blocks == block)[:, 0] for block in torch.unique(blocks)]
    kept = []
    for inside, share in zip(members, even_shares([len(inside) for inside in members], count), strict=True):
        if share == len(inside):
            kept.append(inside)
        elif share and subset == "coreset":
            kept.append(inside[greedy_coreset(patches[inside], share, generator)])
        elif share:
            kept.append(inside[torch.randperm(len(inside), generator=generator)[:share].to(inside.device)])
    return torch.cat(kept).sort().values

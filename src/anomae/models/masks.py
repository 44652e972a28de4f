"""Which patches are visible: drawn here, given to the networks as an argument."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor


def visible_count(patches: int, mask_ratio: float) -> int:
    """How many of `patches` stay visible: int(N * (1 - alpha)) as in the reference MAE, at least 1."""
    return max(1, int(patches * (1.0 - mask_ratio)))


def training_visible(batch: int, patches: int, visible: int, generator: torch.Generator) -> Tensor:
    """(B, K) int64: for each sample, K patches drawn uniformly without repetition, on the generator's device."""
    noise = torch.rand(batch, patches, generator=generator, device=generator.device)
    return noise.argsort(dim=1)[:, :visible]


def random_visible(seeds: Sequence[int], patches: int, visible: int, passes: int, covering: bool = False) -> Tensor:
    """(B, passes, K) int64: the visible patches of each image in each pass, from a generator of the image's own seed.

    Independent draws (paper: "4 times with different masks"), or covering: one shuffled circle of all patches is cut
    into consecutive stretches, so that over the passes every patch is visible equally often (or, where N does not
    divide passes * K, at most once more than another).
    """
    drawn = np.empty((len(seeds), passes, visible), dtype=np.int64)
    for place, seed in enumerate(seeds):
        generator = np.random.Generator(np.random.Philox(seed))
        if covering:
            circle = np.resize(generator.permutation(patches), passes * visible)
            drawn[place] = circle.reshape(passes, visible)
        else:
            for turn in range(passes):
                drawn[place, turn] = generator.permutation(patches)[:visible]
    return torch.from_numpy(drawn)

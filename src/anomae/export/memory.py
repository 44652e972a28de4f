"""The source `memory` of the detector `anomae` as it is exported: products of blocks, the memory a constant in them."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from anomae.detectors.anomae.memory import Memory

FAR = 1e30  # squared distance to what lies outside the grid


class Recalled(nn.Module):
    """Features (B, C, gh, gw) -> how far each is from the nearest kept at like positions, (B, 1, gh, gw).

    As `Memory.of` has it for a new image, in fp32: distances are small differences of large sums.  What is looked for
    is shifted, not what is kept: an engine would make a copy of every shifted constant.  One product for each row that
    is reached: the memory of one row of shifts is what a batch needs beside it.
    """

    def __init__(self, source: Memory) -> None:
        super().__init__()
        scaled = ((source.kept - source.mean) / source.spread).float().cpu()  # (2, M, C, gh, gw)
        self.reach, self.images = source.reach, scaled.shape[1]
        stored = scaled.permute(3, 4, 2, 0, 1).flatten(3).flatten(0, 1)  # (gh * gw, C, 2 * M)
        self.mean: Tensor
        self.spread: Tensor
        self.stored: Tensor
        self.lengths: Tensor
        self.register_buffer("mean", source.mean.float().cpu())
        self.register_buffer("spread", source.spread.float().cpu())
        self.register_buffer("stored", stored.contiguous())
        self.register_buffer("lengths", stored.square().sum(dim=1, keepdim=True))  # (gh * gw, 1, 2 * M)

    def forward(self, features: Tensor) -> Tensor:
        """As the class says."""
        found = (features - self.mean) / self.spread
        batch, channels, height, width = found.shape
        down, right = self.reach
        padded = F.pad(found, (right, right, down, down))
        best: Tensor | None = None  # (2, B, gh, gw), without the length of what is looked for
        for y in range(-down, down + 1):
            moved = [
                padded[:, :, down - y : down - y + height, right - x : right - x + width]
                for x in range(-right, right + 1)
            ]
            asked = torch.stack(moved).permute(3, 4, 0, 1, 2)  # (gh, gw, shifts, B, C)
            flat = asked.reshape(height * width, len(moved) * batch, channels)
            relative = self.lengths - 2.0 * (flat @ self.stored)  # (gh * gw, shifts * B, 2 * M)
            nearest = relative.reshape(height, width, len(moved), batch, 2, self.images).amin(dim=5)
            by_shift = F.pad(nearest.permute(2, 4, 3, 0, 1), (right, right, down, down), value=FAR)
            for at, x in enumerate(range(-right, right + 1)):
                back = by_shift[at, :, :, down + y : down + y + height, right + x : right + x + width]
                best = back if best is None else torch.minimum(best, back)
        assert best is not None
        squared = (best + found.square().sum(dim=1)).clamp_min(0) / channels
        return squared.sqrt().mean(dim=0)[:, None]

"""The source `memory` of the detector `anomae` as it is exported: products of blocks, the memory a constant in them."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from anomae.detectors.anomae.memory import Memory

FAR = 1e30  # squared distance to what lies outside the grid


class Recalled(nn.Module):
    """Features (B, C, gh, gw) -> how far each is from the nearest kept at like positions, (B, 1, gh, gw).

    As `Memory.of` has it for a new image, in fp32: products of blocks say which is nearest, its difference how far it
    is.  What is looked for is shifted, not what is kept: an engine would make a copy of every shifted constant.  One
    product for each row that is reached: the memory of one row of shifts is what a batch needs beside it.
    """

    def __init__(self, source: Memory) -> None:
        super().__init__()
        scaled = ((source.kept - source.mean) / source.spread).float().cpu()  # (2, M, C, gh, gw)
        self.reach, self.images = source.reach, scaled.shape[1]
        stored = scaled.permute(3, 4, 0, 1, 2).flatten(2, 3).flatten(0, 1)  # (gh * gw, 2 * M, C)
        self.mean: Tensor
        self.spread: Tensor
        self.stored: Tensor
        self.lengths: Tensor
        self.first: Tensor
        self.register_buffer("mean", source.mean.float().cpu())
        self.register_buffer("spread", source.spread.float().cpu())
        self.register_buffer("stored", stored.contiguous())
        self.register_buffer("lengths", stored.square().sum(dim=2)[:, None])  # (gh * gw, 1, 2 * M)
        halves = torch.arange(0, len(stored) * 2 * self.images, self.images)  # row of the first image of each half
        self.register_buffer("first", halves.reshape(*scaled.shape[3:], 1, 1, 2))

    def forward(self, features: Tensor) -> Tensor:
        """As the class says."""
        found = (features - self.mean) / self.spread
        batch, channels, height, width = found.shape
        down, right = self.reach
        padded = F.pad(found, (right, right, down, down))
        best: Tensor | None = None  # (2, B, gh, gw), without the length of what is looked for
        row: Tensor | None = None  # of what is stored, cell after cell
        for y in range(-down, down + 1):
            moved = [
                padded[:, :, down - y : down - y + height, right - x : right - x + width]
                for x in range(-right, right + 1)
            ]
            asked = torch.stack(moved).permute(3, 4, 0, 1, 2)  # (gh, gw, shifts, B, C)
            flat = asked.reshape(height * width, len(moved) * batch, channels)
            relative = self.lengths - 2.0 * (flat @ self.stored.transpose(1, 2))  # (gh * gw, shifts * B, 2 * M)
            nearest = relative.reshape(height, width, len(moved), batch, 2, self.images).min(dim=5)
            away = self._shifted(nearest.values, FAR)
            rows = self._shifted(self.first + nearest.indices, 0)
            for at, x in enumerate(range(-right, right + 1)):
                here = at, slice(None), slice(None), *_from(down + y, height, right + x, width)
                if best is None or row is None:
                    best, row = away[here], rows[here]
                else:
                    nearer = away[here] < best
                    best, row = torch.where(nearer, away[here], best), torch.where(nearer, rows[here], row)
        assert row is not None
        apart = found.permute(0, 2, 3, 1) - self.stored.flatten(0, 1)[row]  # (2, B, gh, gw, C)
        return apart.square().mean(dim=4).sqrt().mean(dim=0)[:, None]

    def _shifted(self, of_cells: Tensor, beyond: float) -> Tensor:
        """(gh, gw, shifts, B, 2) -> (shifts, 2, B, gh and what is reached, gw and what is reached)."""
        down, right = self.reach
        return F.pad(of_cells.permute(2, 4, 3, 0, 1), (right, right, down, down), value=beyond)


def _from(top: int, height: int, left: int, width: int) -> tuple[slice, slice]:
    return slice(top, top + height), slice(left, left + width)

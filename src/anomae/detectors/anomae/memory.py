"""The source `memory`: how far the features of a patch are from those of healthy images at like positions."""

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from anomae.detectors.anomae.sources import Features, View

SMALLEST_SPREAD = 1e-4


class Memory:
    """Features of some healthy images; of each patch the distance to the nearest within a few patches of its position.

    The images stand in two halves.  A training image looks into the other half, since its own holds it; a new image has
    the mean of both distances.
    """

    def __init__(self, features: Features, kept: Tensor, near: float) -> None:
        """kept: (2, M, C, gh, gw), raw features of M images of each half.  near: reach, share of the image's side."""
        self.features, self.near = features, near
        # Sums round differently in another layout: what was read from disk is laid out as the backbone gave it.
        kept = kept.permute(0, 1, 3, 4, 2).contiguous().permute(0, 1, 4, 2, 3)
        self.mean = kept.mean(dim=(0, 1, 3, 4))[:, None, None]  # (C, 1, 1)
        self.spread = kept.std(dim=(0, 1, 3, 4)).clamp_min(SMALLEST_SPREAD)[:, None, None]
        self.kept = kept
        self._scaled = ((kept - self.mean) / self.spread).float()
        self.reach = [max(1, round(near * side)) for side in kept.shape[3:]]

    def of(self, view: View) -> Tensor:
        """1 channel: the root of the mean squared distance over the channels."""
        found = (self.features.of(view) - self.mean.to(view.shown.device)) / self.spread.to(view.shown.device)
        halves = [self._nearest(found, self._scaled[half].to(found.device)) for half in (0, 1)]
        if view.half is None:
            return torch.stack(halves).mean(dim=0)[:, None]
        first = (view.half == 0).to(found.device)[:, None, None]
        return torch.where(first, halves[1], halves[0])[:, None]

    def _nearest(self, found: Tensor, kept: Tensor) -> Tensor:
        """(B, gh, gw) from features (B, C, gh, gw) and kept ones (M, C, gh, gw).

        Which is nearest is seen by products of blocks; how far it is, without their cancellation.
        """
        down, right = self.reach
        height, width = found.shape[2:]
        with torch.autocast(found.device.type, enabled=False):
            cells = found.permute(2, 3, 0, 1).float()  # (gh, gw, B, C)
            stored = kept.permute(2, 3, 1, 0).contiguous()  # (gh, gw, C, M)
            lengths = kept.square().sum(1).permute(1, 2, 0)[..., None, :]  # (gh, gw, 1, M)
            best = torch.full((height, width, len(found)), torch.inf, device=found.device)
            row = torch.zeros(best.shape, dtype=torch.int64, device=found.device)  # of kept, cell after cell
            cell = torch.arange(height * width, device=found.device).reshape(height, width, 1) * len(kept)
            for y in range(-down, down + 1):
                for x in range(-right, right + 1):
                    here, there = _overlap(height, width, y, x)
                    # |a - b|^2 less |a|^2, which is the same for all b
                    relative, image = (lengths[there] - 2 * (cells[here] @ stored[there])).min(dim=-1)  # (h', w', B)
                    nearer = relative < best[here]
                    best[here] = torch.where(nearer, relative, best[here])
                    row[here] = torch.where(nearer, cell[there] + image, row[here])
            rows = kept.permute(2, 3, 0, 1).reshape(-1, kept.shape[1])  # (gh * gw * M, C)
            apart = cells - rows[row]
            return apart.square().mean(dim=-1).sqrt().permute(2, 0, 1)


def half_of(indices: npt.NDArray[np.int64], images: int) -> npt.NDArray[np.int64]:
    """The half, 0 or 1, of so many training images that each at `indices` (k,) belongs to."""
    return (indices >= images // 2).astype(np.int64)


def _overlap(height: int, width: int, y: int, x: int) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """Cells that have a neighbour y below and x to the right, and these neighbours."""
    rows = slice(max(0, -y), height - max(0, y)), slice(max(0, y), height - max(0, -y))
    columns = slice(max(0, -x), width - max(0, x)), slice(max(0, x), width - max(0, -x))
    return (rows[0], columns[0]), (rows[1], columns[1])

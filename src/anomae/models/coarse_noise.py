"""Noise drawn at a coarse resolution and enlarged (Kascenas et al. 2022): blobs, where pixel noise would be grain."""

import torch
import torch.nn.functional as F
from torch import Tensor

from anomae.models.crops import roll_random


def coarse_noise(
    count: int, channels: int, size: tuple[int, int], cells: int, std: float, generator: torch.Generator
) -> Tensor:
    """(count, C, H, W) float32: N(0, std^2), one number a cell and channel, enlarged bilinearly, rolled at random.

    The cells lie alike in all channels of an image, and all are rolled by the same shift.

    cells: along the longer side; the other side has as many as are as large, at least one.  All is drawn from
    `generator`, on its device.
    """
    longer = max(size)
    grid = tuple(max(1, round(cells * side / longer)) for side in size)
    drawn = std * torch.randn(count, channels, *grid, generator=generator, device=generator.device)
    return roll_random(F.interpolate(drawn, size, mode="bilinear", align_corners=False), generator=generator)

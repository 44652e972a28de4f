"""Scores of an image from what is left of it after its reconstruction is taken away."""

import torch
import torch.nn.functional as F
from torch import Tensor

RESIDUALS = ("mae", "mse", "positive", "peak")
MEDIAN = 5  # pixels


def residual_scores(images: Tensor, reconstructions: Tensor) -> Tensor:
    """(B, 4) in the order of RESIDUALS; (B, C, H, W) each.

    Means over pixels and channels of |x - x^|, of its square, and of what is brighter than its reconstruction; and the
    highest |x - x^| after a 5x5 median filter of each channel, which no lone pixel can raise, and the mean over them.
    """
    residual = images - reconstructions
    peak = median_filtered(residual.abs(), MEDIAN).mean(dim=1).amax(dim=(1, 2))
    positive = residual.clamp(min=0)
    means = [measured.mean(dim=(1, 2, 3)) for measured in (residual.abs(), residual.square(), positive)]
    return torch.stack([*means, peak], dim=1)


def median_filtered(images: Tensor, side: int) -> Tensor:
    """(B, C, H, W): of each pixel the median of the square of `side` pixels (odd) around it, mirrored at the border."""
    margin = side // 2
    padded = F.pad(images, (margin,) * 4, mode="reflect")
    windows = padded.unfold(2, side, 1).unfold(3, side, 1)  # (B, C, H, W, side, side)
    return windows.flatten(4).median(dim=4).values

"""Scores of an image from what is left of it after its reconstruction is taken away."""

import torch
import torch.nn.functional as F
from torch import Tensor

RESIDUALS = ("mae", "mse", "positive", "peak")
MEDIAN = 5  # pixels


def residual_scores(images: Tensor, reconstructions: Tensor) -> Tensor:
    """(B, 4) in the order of RESIDUALS; (B, H, W) each.

    Means over the pixels of |x - x^|, of its square, and of what is brighter than its reconstruction; and the highest
    |x - x^| after a 5x5 median filter, which no lone pixel can raise.
    """
    residual = images - reconstructions
    peak = median_filtered(residual.abs(), MEDIAN).amax(dim=(1, 2))
    positive = residual.clamp(min=0)
    means = [part.mean(dim=(1, 2)) for part in (residual.abs(), residual.square(), positive)]
    return torch.stack([*means, peak], dim=1)


def median_filtered(images: Tensor, side: int) -> Tensor:
    """(B, H, W): of each pixel the median of the square of `side` pixels (odd) around it, mirrored at the border."""
    margin = side // 2
    padded = F.pad(images[:, None], (margin,) * 4, mode="reflect")
    windows = padded[:, 0].unfold(1, side, 1).unfold(2, side, 1)  # (B, H, W, side, side)
    return windows.flatten(3).median(dim=3).values

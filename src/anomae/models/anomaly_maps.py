"""Levels of disagreement brought to one map: cosine distance, upsampling, smoothing with a Gaussian or a box."""

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

TRUNCATE = 4.0


def cosine_distance(one: Tensor, other: Tensor) -> Tensor:
    """1 - cosine over the channels at each position, 0..2: (B, C, H, W) twice -> (B, H, W) float32."""
    return 1.0 - F.cosine_similarity(one.float(), other.float(), dim=1)


def combined_map(maps: Sequence[Tensor], size: tuple[int, int], combine: Literal["sum", "product"]) -> Tensor:
    """Maps (B, h, w) of several levels, each brought to `size` (bilinear, corners aligned), in one (B, H, W)."""
    large = torch.stack([upsampled(level, size, "bilinear", corners=True) for level in maps])
    return large.sum(dim=0) if combine == "sum" else large.prod(dim=0)


def upsampled(
    maps: Tensor, size: tuple[int, int], mode: Literal["bilinear", "bicubic"], corners: bool = False
) -> Tensor:
    """(B, h, w) -> (B, H, W) float32; bicubic never below 0.

    A value lies in the middle of its part of the image; corners: the outer ones lie on the outermost pixels, and all
    others are stretched outwards with them.
    """
    large = F.interpolate(maps[:, None].float(), size, mode=mode, align_corners=corners)[:, 0]
    return large.clamp(min=0) if mode == "bicubic" else large


def gaussian_smooth(maps: Tensor, sigma: float) -> Tensor:
    """(B, H, W) smoothed with a Gaussian of `sigma` pixels: scipy.ndimage.gaussian_filter with its defaults.

    Cut off at 4 sigma; beyond the border the map is mirrored, its edge pixel repeated.  sigma 0: as it is.
    """
    if sigma == 0:
        return maps
    rows, columns = (gaussian_matrix(side, sigma).to(maps.device) for side in maps.shape[1:])
    with torch.autocast(maps.device.type, enabled=False):
        return rows @ maps.float() @ columns.T


def box_mean(maps: Tensor, side: int) -> Tensor:
    """(B, H, W): of each pixel the mean over the square of `side` pixels (odd) around it; 0 beyond the border."""
    return F.avg_pool2d(maps[:, None], side, stride=1, padding=side // 2)[:, 0]


def highest_mean(maps: Tensor, share: float) -> Tensor:
    """(B,): the mean of the highest `share` (0..1] of the pixels of each map (B, H, W), at least of one."""
    flat = maps.flatten(1)
    return flat.topk(max(1, round(share * flat.shape[1])), dim=1).values.mean(dim=1)


def gaussian_matrix(side: int, sigma: float) -> Tensor:
    """(side, side): what each pixel of a line becomes made of."""
    radius = int(TRUNCATE * sigma + 0.5)
    offsets = torch.arange(-radius, radius + 1)
    weights = torch.exp(-0.5 * (offsets.double() / sigma) ** 2)
    weights = weights / weights.sum()
    sources = (torch.arange(side)[:, None] + offsets) % (2 * side)  # the line and its mirror image, over and over
    sources = torch.where(sources < side, sources, 2 * side - 1 - sources)
    matrix = torch.zeros(side, side, dtype=torch.float64)
    return matrix.scatter_add_(1, sources, weights.expand(side, -1)).float()

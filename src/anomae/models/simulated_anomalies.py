"""Simulated anomalies (Zavrtanik et al., DRAEM, ICCV 2021): irregular areas filled with a foreign texture.

The original takes its textures from the DTD pictures, which are not at hand here; they are replaced by other healthy
images (a crop of any size brought to the image's, mirrored, inverted and rolled at random) and by Perlin noise of any
coarseness, both at any grey and contrast.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from anomae.models.crops import random_resized_crops, roll_random
from anomae.models.perlin import perlin_noise

MOST_DOUBLINGS = 5  # of the lattice of Perlin noise: 1 to 32 cells along a side
SMALLEST_CELL = 4  # pixels
THRESHOLD = 0.5
CROPPED = (0.1, 1.0)  # share of the other image's area
MOST_CONTRAST = 0.3  # standard deviation, images being in 0..1


def simulated_anomalies(
    images: Tensor, others: Tensor, allowed: Tensor, *, share: float, most_seen: float, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Images (B, C, H, W) in 0..1 with anomalies, and where they are, (B, H, W) bool: alike in all channels.

    others: healthy images (B, C, H, W) to take textures from.  allowed: (B, H, W) bool, where an anomaly may be.
    share: of the images that get one, by chance; the rest stay as they are.  most_seen: the image shines through by
    beta, uniform from 0 up to it.  All is drawn from `generator`.
    """
    batch, size = len(images), (images.shape[2], images.shape[3])
    device = images.device
    drawn = torch.rand(2, batch, 1, 1, generator=generator, device=device)
    masks = anomaly_masks(batch, size, generator) & allowed & (drawn[0] < share)
    beta = (drawn[1] * most_seen)[:, None]  # (B, 1, 1, 1)
    textures = foreign_textures(others, generator)
    return torch.where(masks[:, None], beta * images + (1 - beta) * textures, images), masks


def anomaly_masks(count: int, size: tuple[int, int], generator: torch.Generator) -> Tensor:
    """(count, H, W) bool: where Perlin noise of random coarseness, turned by up to 90 degrees, is above 0.5."""
    noise = _any_coarseness(count, size, generator)
    angles = math.pi * (torch.rand(count, generator=generator, device=generator.device) - 0.5)
    cosines, sines, none = angles.cos(), angles.sin(), torch.zeros_like(angles)
    turns = torch.stack([cosines, -sines, none, sines, cosines, none], dim=1).view(count, 2, 3)
    grid = F.affine_grid(turns, [count, 1, *size], align_corners=False)
    return F.grid_sample(noise[:, None], grid, padding_mode="reflection", align_corners=False)[:, 0] > THRESHOLD


def foreign_textures(others: Tensor, generator: torch.Generator) -> Tensor:
    """(B, C, H, W) in 0..1: by even chances made of another image, or of Perlin noise, the same in all channels.

    Either is brought to a grey uniform in 0..1 and a deviation uniform in 0..0.3, drawn for each channel, then cut to
    0..1: another image as it is would hardly be seen in one of its own kind.
    """
    batch, channels = others.shape[:2]
    drawn = torch.rand(3 + 2 * channels, batch, generator=generator, device=generator.device)
    upside_down, inverted, noisy = drawn[:3, :, None, None, None]  # (B, 1, 1, 1) each
    grey, contrast = drawn[3:].view(2, channels, batch, 1, 1).transpose(1, 2)  # (B, C, 1, 1) each
    crops = random_resized_crops(others, generator=generator, scale=CROPPED, flip=True)
    crops = roll_random(torch.where(upside_down < 0.5, crops.flip(2), crops), generator=generator)
    noise = _any_coarseness(batch, (others.shape[2], others.shape[3]), generator)[:, None]
    patterns = torch.where(noisy < 0.5, noise, crops)
    deviation, mean = torch.std_mean(patterns, dim=(2, 3), keepdim=True)
    signs = torch.where(inverted < 0.5, -1.0, 1.0)
    textures: Tensor = grey + signs * contrast * MOST_CONTRAST * (patterns - mean) / (deviation + 1e-4)
    return textures.clamp(0, 1)


def _any_coarseness(count: int, size: tuple[int, int], generator: torch.Generator) -> Tensor:
    """(count, H, W) Perlin noise, each of 1, 2, 4 ... cells along a side, drawn by side; no cell below 4 pixels."""
    most = [max(0, min(MOST_DOUBLINGS, int(math.log2(side / SMALLEST_CELL)))) for side in size]
    drawn = torch.rand(count, 2, generator=generator, device=generator.device).tolist()
    cells = [tuple(2 ** int(one * (top + 1)) for one, top in zip(pair, most, strict=True)) for pair in drawn]
    return torch.cat([perlin_noise(1, size, (rows, columns), generator) for rows, columns in cells])

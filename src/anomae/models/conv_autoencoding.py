"""Encoder, generator and patch critic of 5x5 convolutions: AnoVAEGAN, the unified f-AnoGAN, a plain autoencoder.

Written from a description of the comparison of autoencoders by Baur et al. (2021) and its released code (DEN, in
docstrings below).  Where this stands apart from it: the encoder's batch norm, which there is never in training mode
and so does nothing but scale, is left out; padding is symmetric, so maps lie one pixel elsewhere.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from anomae.models.backbones.random_weights import draw_weights

SLOPE = 0.3  # of the leaky ReLU
SMALLEST = 8  # pixels; the maps in the middle are at least so large


def halvings(image_size: tuple[int, int]) -> int:
    """How often (h, w) pixels are halved: until the shorter side would fall below 8, or a side would be odd."""
    most = math.floor(math.log2(min(image_size) / SMALLEST)) if min(image_size) >= SMALLEST else 0
    while most and any(side % 2**most for side in image_size):
        most -= 1
    return most


def fits(image_size: tuple[int, int]) -> bool:
    """Whether these networks can be built for (h, w) pixels: even sides of at least 16."""
    return halvings(image_size) > 0


def middle_shape(image_size: tuple[int, int], width: int) -> tuple[int, int, int]:
    """(C, h, w) of the maps in the middle."""
    times = halvings(image_size)
    return _widths(times, width)[-1], image_size[0] // 2**times, image_size[1] // 2**times


def _widths(times: int, width: int) -> list[int]:
    return [min(4, 2**i) * width for i in range(times)]


class ConvEncoder(nn.Module):
    """Halves the image until 8 pixels are left, then gives one or more vectors (`heads`): mu and log sigma, or z."""

    def __init__(
        self, image_size: tuple[int, int], width: int, latent: int, heads: int, generator: torch.Generator | None
    ) -> None:
        """`width`: channels of the first convolution (32 in DEN, at most 4 times as many follow)."""
        super().__init__()
        channels, height, across = middle_shape(image_size, width)
        widths = _widths(halvings(image_size), width)
        self.blocks = nn.ModuleList(_halving(a, b) for a, b in zip([1, *widths], widths, strict=False))
        self.squeeze = nn.Conv2d(channels, channels // 8, 1)
        flat = channels // 8 * height * across
        self.heads = nn.ModuleList(nn.Linear(flat, latent) for _ in range(heads))
        draw_weights(self, generator)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """(B, H, W) -> `heads` times (B, Z)."""
        maps = images[:, None]
        for block in self.blocks:
            maps = F.leaky_relu(block(maps), SLOPE)  # (B, C, H/2^i, W/2^i)
        flat = self.squeeze(maps).flatten(1)
        return tuple(head(flat) for head in self.heads)


class ConvGenerator(nn.Module):
    """From a vector to an image, doubling from the maps in the middle."""

    def __init__(
        self,
        image_size: tuple[int, int],
        width: int,
        latent: int,
        generator: torch.Generator | None,
        squash: bool = False,
    ) -> None:
        """`width`: channels before the last convolution.  squash: images in 0..1 by a sigmoid, else any numbers."""
        super().__init__()
        self.squash = squash
        channels, height, across = middle_shape(image_size, width)
        self.small = (channels // 8, height, across)
        self.dense = nn.Linear(latent, math.prod(self.small))
        self.spread = nn.Conv2d(channels // 8, channels, 1)
        self.norm = _spatial_norm(height, across)
        widths = [max(1, 4 // 2**i) * width for i in range(halvings(image_size))]
        self.blocks = nn.ModuleList(
            nn.ConvTranspose2d(a, b, 5, stride=2, padding=2, output_padding=1)
            for a, b in zip([channels, *widths], widths, strict=False)
        )
        sizes = [(height * 2**i, across * 2**i) for i in range(1, len(widths) + 1)]
        self.norms = nn.ModuleList(_spatial_norm(*size) for size in sizes)
        self.last = nn.Conv2d(widths[-1], 1, 1)
        draw_weights(self, generator)

    def forward(self, latent: Tensor) -> Tensor:
        """(B, Z) -> (B, H, W)."""
        maps = self.spread(self.dense(latent).view(-1, *self.small))
        maps = F.relu(self.norm(maps))  # (B, C, h, w)
        for block, norm in zip(self.blocks, self.norms, strict=True):
            maps = F.leaky_relu(norm(block(maps)), SLOPE)
        images: Tensor = self.last(maps)[:, 0]
        return images.sigmoid() if self.squash else images


class ConvAutoencoder(nn.Module):
    """Encoder and generator in a row: no noise, no prior, no critic."""

    def __init__(self, image_size: tuple[int, int], width: int, latent: int, generator: torch.Generator | None) -> None:
        """`width` and `latent`: as of encoder and generator."""
        super().__init__()
        self.encoder = ConvEncoder(image_size, width, latent, 1, generator)
        self.decoder = ConvGenerator(image_size, width, latent, generator)

    def forward(self, images: Tensor) -> Tensor:
        """(B, H, W) -> reconstructions (B, H, W)."""
        return self.decoder(self.encoder(images)[0])  # type: ignore[no-any-return]


class PatchCritic(nn.Module):
    """A Wasserstein critic with one score for each position of its last maps; the image's score is their mean."""

    def __init__(self, image_size: tuple[int, int], width: int, generator: torch.Generator | None) -> None:
        """The encoder's convolutions with a norm after each."""
        super().__init__()
        widths = _widths(halvings(image_size), width)
        self.blocks = nn.ModuleList(_halving(a, b) for a, b in zip([1, *widths], widths, strict=False))
        self.norms = nn.ModuleList(
            _spatial_norm(image_size[0] // 2**i, image_size[1] // 2**i) for i in range(1, len(widths) + 1)
        )
        self.head = nn.Conv2d(widths[-1], 1, 1)
        draw_weights(self, generator)

    def features(self, images: Tensor) -> Tensor:
        """(B, H, W) -> (B, C, h, w): the last maps."""
        maps = images[:, None]
        for block, norm in zip(self.blocks, self.norms, strict=True):
            maps = F.leaky_relu(norm(block(maps)), SLOPE)
        return maps

    def forward(self, images: Tensor) -> Tensor:
        """(B, H, W) -> scores (B, h, w), higher for what looks real."""
        return self.head(self.features(images))[:, 0]  # type: ignore[no-any-return]


def _halving(channels: int, wider: int) -> nn.Conv2d:
    return nn.Conv2d(channels, wider, 5, stride=2, padding=2)


def _spatial_norm(height: int, width: int) -> nn.LayerNorm:
    """Each channel by its own mean and deviation over the pixels; gain and bias by pixel, shared by the channels."""
    return nn.LayerNorm((height, width), eps=1e-3)

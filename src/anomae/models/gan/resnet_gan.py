"""Generator, critic and encoder of residual blocks: f-AnoGAN as its own authors have it (Schlegl et al. 2019).

Written from a description of the paper and its released code, which is for 64 x 64 pixels.  Other sizes: the base grid
is (side / 2^n), n blocks; at 128 and 224 pixels the five blocks are those that later comparisons use.
"""

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from anomae.models.backbones.random_weights import draw_uniform, draw_weights

# Channels after the first convolution and after each halving, in units of the width (64 in the paper).
LAYOUTS = {2: (1, 2, 4), 3: (1, 2, 4, 8), 4: (1, 2, 4, 8, 8), 5: (1, 2, 4, 4, 8, 8)}
BASE = (3, 8)  # pixels; sides of the base grid


def halvings(image_size: tuple[int, int]) -> int:
    """How often (h, w) pixels are halved, at most 5 times, so that 3 to 8 pixels a side are left; 0: not possible."""
    for times in sorted(LAYOUTS, reverse=True):
        if all(side % 2**times == 0 and BASE[0] <= side >> times <= BASE[1] for side in image_size):
            return times
    return 0


def fits(image_size: tuple[int, int]) -> bool:
    """Whether these networks can be built for (h, w) pixels."""
    return halvings(image_size) > 0


class ResidualBlock(nn.Module):
    """Norm, ReLU, 3x3, norm, ReLU, 3x3, plus a 1x1 shortcut; doubles the maps ("up") or halves them ("down")."""

    def __init__(self, channels: int, wanted: int, turn: Literal["up", "down"], norm: Callable[[int], nn.Module]):
        """`norm`: makes a norm for so many channels."""
        super().__init__()
        self.turn = turn
        between = wanted if turn == "up" else channels
        self.norm1, self.norm2 = norm(channels), norm(between)
        self.conv1 = nn.Conv2d(channels, between, 3, padding=1, bias=False)
        self.conv2 = nn.Conv2d(between, wanted, 3, padding=1)
        self.shortcut = nn.Conv2d(channels, wanted, 1)

    def forward(self, maps: Tensor) -> Tensor:
        """(B, C, h, w) -> (B, C', 2h, 2w) or (B, C', h/2, w/2)."""
        inner = F.relu(self.norm1(maps))
        if self.turn == "up":
            inner = self.conv2(F.relu(self.norm2(self.conv1(_doubled(inner)))))
            shortcut = _doubled(self.shortcut(maps))  # the 1x1 before doubling: the same, at a quarter of the cost
        else:
            inner = F.avg_pool2d(self.conv2(F.relu(self.norm2(self.conv1(inner)))), 2)
            shortcut = self.shortcut(F.avg_pool2d(maps, 2))
        return inner + shortcut


class ResnetGenerator(nn.Module):
    """From z ~ N(0, 1) to an image in -1..1; batch norm."""

    def __init__(
        self, image_size: tuple[int, int], channels: int, width: int, latent: int, generator: torch.Generator | None
    ) -> None:
        """`channels`: of the images.  width: channels before the last convolution."""
        super().__init__()
        deepest, height, across = _base_shape(image_size, width)
        self.base = (deepest, height, across)
        self.dense = nn.Linear(latent, deepest * height * across)
        widths = [factor * width for factor in reversed(LAYOUTS[halvings(image_size)])]
        self.blocks = nn.Sequential(*(ResidualBlock(a, b, "up", nn.BatchNorm2d) for a, b in pairwise(widths)))
        self.norm = nn.BatchNorm2d(width)
        self.last = nn.Conv2d(width, channels, 3, padding=1)
        _draw(self, generator)

    def forward(self, latent: Tensor) -> Tensor:
        """(B, Z) -> (B, C, H, W)."""
        maps = self.blocks(self.dense(latent).view(-1, *self.base))
        return torch.tanh(self.last(F.relu(self.norm(maps))))


class _Halving(nn.Module):
    """A 3x3 convolution, then residual blocks down to the base grid."""

    def __init__(
        self, image_size: tuple[int, int], channels: int, width: int, norm: Callable[[int], nn.Module]
    ) -> None:
        super().__init__()
        widths = [factor * width for factor in LAYOUTS[halvings(image_size)]]
        self.first = nn.Conv2d(channels, width, 3, padding=1)
        self.blocks = nn.Sequential(*(ResidualBlock(a, b, "down", norm) for a, b in pairwise(widths)))

    def forward(self, images: Tensor) -> Tensor:
        return self.blocks(self.first(images))  # type: ignore[no-any-return]


class ResnetCritic(nn.Module):
    """A Wasserstein critic with one score an image; layer norm over channels and pixels, gain and bias by channel."""

    def __init__(
        self, image_size: tuple[int, int], channels: int, width: int, generator: torch.Generator | None
    ) -> None:
        """`channels`: of the images.  width: channels of the first convolution."""
        super().__init__()
        self.halving = _Halving(image_size, channels, width, lambda channels: nn.GroupNorm(1, channels, eps=1e-5))
        self.head = nn.Linear(math.prod(_base_shape(image_size, width)), 1)
        _draw(self, generator)

    def features(self, images: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C', h, w): the last maps."""
        return self.halving(images)  # type: ignore[no-any-return]

    def forward(self, images: Tensor) -> Tensor:
        """(B, C, H, W) -> scores (B, 1, 1), higher for what looks real."""
        return self.head(self.features(images).flatten(1))[:, None]  # type: ignore[no-any-return]


class ResnetEncoder(nn.Module):
    """From an image to a vector: the critic's layers with batch norm."""

    def __init__(
        self, image_size: tuple[int, int], channels: int, width: int, latent: int, generator: torch.Generator | None
    ) -> None:
        """`channels`: of the images.  width: channels of the first convolution."""
        super().__init__()
        self.halving = _Halving(image_size, channels, width, nn.BatchNorm2d)
        self.head = nn.Linear(math.prod(_base_shape(image_size, width)), latent)
        _draw(self, generator)

    def forward(self, images: Tensor) -> tuple[Tensor]:
        """(B, C, H, W) -> ((B, Z),)."""
        return (self.head(self.halving(images).flatten(1)),)


def _base_shape(image_size: tuple[int, int], width: int) -> tuple[int, int, int]:
    times = halvings(image_size)
    return LAYOUTS[times][-1] * width, image_size[0] >> times, image_size[1] >> times


def _doubled(maps: Tensor) -> Tensor:
    return F.interpolate(maps, scale_factor=2.0, mode="nearest")


def _draw(network: nn.Module, generator: torch.Generator | None) -> None:
    """Glorot everywhere; the 3x3 convolutions of residual blocks sqrt(2) times as wide, as He's for ReLU."""
    draw_weights(network, generator)
    for module in network.modules():
        if isinstance(module, ResidualBlock):
            draw_uniform(module.conv1.weight, generator, math.sqrt(2.0))
            draw_uniform(module.conv2.weight, generator, math.sqrt(2.0))

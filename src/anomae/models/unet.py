"""An encoder and decoder of 3x3 convolutions, with skip connections (a U-Net) or without."""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from anomae.models.initialisation import draw_convolutions

MOST_GROUPS, CHANNELS_OF_A_GROUP = 8, 4
Norm = Literal["group", "batch"]


class UNet(nn.Module):
    """Two convolutions a level, each followed by a norm and swish; the width doubles as the side is halved.

    Halving is max pooling, doubling a transposed 2x2 convolution (Ronneberger et al. 2015).
    """

    def __init__(
        self,
        channels: tuple[int, int],
        width: int,
        halvings: int,
        generator: torch.Generator | None,
        *,
        skips: bool = True,
        standardised: bool = False,
        norm: Norm = "group",
    ) -> None:
        """`channels`: of the input and the output.  width: channels of the first level, a multiple of 4.

        skips: each level of the decoder also sees that of the encoder; without, all has to pass the lowest level.
        standardised: weight standardisation (Qiao et al. 2019).  norm: of groups of channels, or of the batch.  Weights
        are drawn from `generator`.
        """
        super().__init__()
        self.skips = skips
        widths = [width * 2**level for level in range(halvings + 1)]
        self.down = nn.ModuleList(
            _convolutions(inputs, outputs, standardised, norm)
            for inputs, outputs in zip([channels[0], *widths], widths, strict=False)
        )
        self.doubling = nn.ModuleList(nn.ConvTranspose2d(2 * each, each, 2, stride=2) for each in widths[-2::-1])
        self.up = nn.ModuleList(
            _convolutions(2 * each if skips else each, each, standardised, norm) for each in widths[-2::-1]
        )
        self.last = nn.Conv2d(width, channels[1], 1)
        draw_convolutions(self, generator, "torch")

    def forward(self, images: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C', H, W); H and W are multiples of 2^halvings."""
        levels = [self.down[0](images)]
        for block in self.down[1:]:
            levels.append(block(F.max_pool2d(levels[-1], 2)))  # (B, width * 2^i, H/2^i, W/2^i)
        maps = levels.pop()
        for doubling, block in zip(self.doubling, self.up, strict=True):
            maps, beside = doubling(maps), levels.pop()
            maps = block(torch.cat([beside, maps], dim=1) if self.skips else maps)
        return self.last(maps)  # type: ignore[no-any-return]


class StandardisedConv2d(nn.Conv2d):
    """A convolution whose weights have mean 0 and deviation 1 for each channel that comes out."""

    def forward(self, maps: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C', H, W)."""
        deviation, mean = torch.std_mean(self.weight, dim=(1, 2, 3), keepdim=True)
        standard = (self.weight - mean) / (deviation + 1e-5)
        return F.conv2d(maps, standard, self.bias, self.stride, self.padding)


def fits(image_size: tuple[int, int], halvings: int) -> bool:
    """Whether (h, w) pixels can be halved so often, and leave at least 2x2."""
    return all(side % 2**halvings == 0 and side >= 2 ** (halvings + 1) for side in image_size)


def _convolutions(inputs: int, outputs: int, standardised: bool, norm: Norm) -> nn.Sequential:
    kind = StandardisedConv2d if standardised else nn.Conv2d
    groups = min(MOST_GROUPS, outputs // CHANNELS_OF_A_GROUP)
    layers: list[nn.Module] = []
    for width in (inputs, outputs):
        normed = nn.BatchNorm2d(outputs) if norm == "batch" else nn.GroupNorm(groups, outputs)
        layers += [kind(width, outputs, 3, padding=1), normed, nn.SiLU(inplace=True)]
    return nn.Sequential(*layers)

"""Wide residual networks as frozen feature extractors, under torchvision's parameter names.

He et al. 2016 (bottleneck with the stride in the 3x3 convolution, as torchvision has it), Zagoruyko & Komodakis 2016.
"""

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

EXPANSION = 4
STRIDES = (4, 8, 16, 32)


class Bottleneck(nn.Module):
    """Convolutions 1x1, 3x3 and 1x1 beside a shortcut; stride 2 halves, or with `up` doubles, the sides.

    up: the 3x3 convolution and the shortcut become transposed convolutions 2x2 of stride 2 (RD4AD's decoder).
    signed: what comes out is not cut off below 0.
    """

    def __init__(
        self, inputs: int, width: int, outputs: int, stride: int = 1, *, up: bool = False, signed: bool = False
    ) -> None:
        super().__init__()
        self.signed = signed
        self.conv1 = nn.Conv2d(inputs, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2: nn.Module = nn.Conv2d(width, width, 3, stride, 1, bias=False)
        shortcut: nn.Module = nn.Conv2d(inputs, outputs, 1, stride, bias=False)
        if up:
            self.conv2 = nn.ConvTranspose2d(width, width, 2, 2, bias=False)
            shortcut = nn.ConvTranspose2d(inputs, outputs, 2, 2, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, outputs, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(outputs)
        straight = stride == 1 and not up and inputs == outputs
        self.downsample = None if straight else nn.Sequential(shortcut, nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, H, W) -> (B, outputs, H', W')."""
        inner = F.relu(self.bn1(self.conv1(x)))
        inner = F.relu(self.bn2(self.conv2(inner)))
        kept = x if self.downsample is None else self.downsample(x)
        given: Tensor = self.bn3(self.conv3(inner)) + kept
        return given if self.signed else F.relu(given)


def bottlenecks(
    count: int, inputs: int, width: int, outputs: int, *, stride: int = 1, up: bool = False, signed: bool = False
) -> nn.Sequential:
    """So many bottlenecks one after the other; the first one changes channels and sides, the last one may be signed."""
    blocks = [Bottleneck(inputs, width, outputs, stride, up=up, signed=signed and count == 1)]
    for index in range(1, count):
        blocks.append(Bottleneck(outputs, width, outputs, signed=signed and index == count - 1))
    return nn.Sequential(*blocks)


class WideResNet(nn.Module):
    """The stages of a wide residual network up to the deepest stride wanted; gives the levels at `strides`."""

    def __init__(
        self, strides: Sequence[int], blocks: Sequence[int] = (3, 4, 6, 3), planes: int = 64, widening: int = 2
    ) -> None:
        """Strides out of 4, 8, 16, 32.  With the defaults it is WideResNet-50-2; each stage gives 4 * planes * 2^i."""
        super().__init__()
        self.strides = tuple(strides)
        self.conv1 = nn.Conv2d(3, planes, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(planes)
        self.stages = [f"layer{index + 1}" for index, stride in enumerate(STRIDES) if stride <= max(strides)]
        inputs = planes
        for index, name in enumerate(self.stages):
            inner, outputs = planes * widening * 2**index, planes * EXPANSION * 2**index
            stage = bottlenecks(blocks[index], inputs, inner, outputs, stride=1 if index == 0 else 2)
            self.add_module(name, stage)
            inputs = outputs

    def forward(self, images: Tensor) -> list[Tensor]:
        """(B, 3, H, W), normalised -> a level (B, C, H / stride, W / stride) for each of `strides`."""
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(images))), 3, 2, 1)
        levels = {}
        for stride, name in zip(STRIDES, self.stages, strict=False):
            x = self.get_submodule(name)(x)
            levels[stride] = x
        return [levels[stride] for stride in self.strides]

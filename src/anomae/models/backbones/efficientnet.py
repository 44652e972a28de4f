"""EfficientNets as frozen feature extractors: B5 and Lite0 from one plan, under torchvision's parameter names.

Tan & Le 2019.  The Lite variants (2020) have no squeeze-and-excitation, ReLU6 for SiLU, and TensorFlow's padding.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# Kernel, stride, expansion, channels, repeats of each stage at width and depth 1 (EfficientNet-B0).
STAGES = (
    (3, 1, 1, 16, 1),
    (3, 2, 6, 24, 2),
    (5, 2, 6, 40, 2),
    (3, 2, 6, 80, 3),
    (5, 1, 6, 112, 3),
    (5, 2, 6, 192, 4),
    (3, 1, 6, 320, 1),
)
# The last stage of each stride; stage 6 of B5 ends with block 35 of 39 (0-based), AST's features.
LEVELS = {4: 2, 8: 3, 16: 5, 32: 6}


@dataclass(frozen=True, slots=True)
class Plan:
    """Multipliers of channels and repeats; lite: no squeeze-and-excitation, ReLU6; same: TensorFlow's padding."""

    width: float
    depth: float
    lite: bool
    same: bool

    def channels(self, count: int) -> int:
        """`count` times the width, as the nearest multiple of 8 that is not more than a tenth less."""
        scaled = count * self.width
        rounded = max(8, int(scaled + 4) // 8 * 8)
        return rounded if rounded >= 0.9 * scaled else rounded + 8

    def repeats(self, count: int) -> int:
        """`count` times the depth, rounded up."""
        return math.ceil(count * self.depth)


B5 = Plan(1.6, 2.2, lite=False, same=False)
LITE0 = Plan(1.0, 1.0, lite=True, same=True)


class SamePadded(nn.Conv2d):
    """A convolution padded as TensorFlow's "same" is: where the padding is odd, the larger half is right and below."""

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C', ceil(H / stride), ceil(W / stride))."""
        pads: list[int] = []
        for axis in (1, 0):
            side, kernel, stride = x.shape[2 + axis], self.kernel_size[axis], self.stride[axis]
            total = max((math.ceil(side / stride) - 1) * stride + kernel - side, 0)
            pads += [total // 2, total - total // 2]
        return super().forward(F.pad(x, pads))


def _convolution(
    inputs: int, outputs: int, kernel: int, *, plan: Plan, stride: int = 1, groups: int = 1, active: bool = True
) -> nn.Sequential:
    """Convolution, batch norm, activation."""
    # At stride 1 both paddings are the same.
    kind, padding = (SamePadded, 0) if plan.same and stride > 1 else (nn.Conv2d, kernel // 2)
    convolution = kind(inputs, outputs, kernel, stride, padding, groups=groups, bias=False)
    layers: list[nn.Module] = [convolution, nn.BatchNorm2d(outputs, eps=1e-3, momentum=0.01)]
    if active:
        layers.append(nn.ReLU6() if plan.lite else nn.SiLU())
    return nn.Sequential(*layers)


class SqueezeExcitation(nn.Module):
    """Each channel times a number in 0..1 that depends on the means of all channels."""

    def __init__(self, channels: int, squeezed: int) -> None:
        super().__init__()
        self.fc1 = nn.Conv2d(channels, squeezed, 1)
        self.fc2 = nn.Conv2d(squeezed, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> the same shape."""
        means = x.mean(dim=(2, 3), keepdim=True)
        return x * torch.sigmoid(self.fc2(F.silu(self.fc1(means))))


class InvertedBottleneck(nn.Module):
    """Widen, convolve each channel alone, squeeze and excite, narrow; plus the input where the shapes agree."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int, plan: Plan) -> None:
        super().__init__()
        wide = inputs * expansion
        layers: list[nn.Module] = [_convolution(inputs, wide, 1, plan=plan)] if expansion > 1 else []
        layers.append(_convolution(wide, wide, kernel, plan=plan, stride=stride, groups=wide))
        if not plan.lite:
            layers.append(SqueezeExcitation(wide, max(1, inputs // 4)))
        layers.append(_convolution(wide, outputs, 1, plan=plan, active=False))
        self.block = nn.Sequential(*layers)
        self.adds = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, H, W) -> (B, outputs, H', W')."""
        given: Tensor = self.block(x)
        return x + given if self.adds else given


class EfficientNet(nn.Module):
    """The stages of an EfficientNet up to `last` (by default that of the deepest stride); gives levels at `strides`."""

    def __init__(self, strides: Sequence[int], plan: Plan, last: int | None = None) -> None:
        """Strides out of 4, 8, 16, 32; last: 7 builds all stages (the head is never built)."""
        super().__init__()
        self.strides = tuple(strides)
        inputs = plan.channels(32)
        stages: list[nn.Module] = [_convolution(3, inputs, 3, plan=plan, stride=2)]
        for kernel, stride, expansion, count, repeats in STAGES[: last or LEVELS[max(strides)]]:
            outputs, blocks = plan.channels(count), []
            for index in range(plan.repeats(repeats)):
                blocks.append(InvertedBottleneck(inputs, outputs, kernel, stride if index == 0 else 1, expansion, plan))
                inputs = outputs
            stages.append(nn.Sequential(*blocks))
        self.features = nn.Sequential(*stages)

    def forward(self, images: Tensor) -> list[Tensor]:
        """(B, 3, H, W), normalised -> a level (B, C, H / stride, W / stride) for each of `strides`."""
        given, x = [], images
        for stage in self.features:
            x = stage(x)
            given.append(x)
        return [given[LEVELS[stride]] for stride in self.strides]

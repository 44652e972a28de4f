"""Reverse distillation (Deng & Li, CVPR 2022): a bottleneck of the teacher's levels, and a decoder back to them."""

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from anomae.models.anomaly_maps import cosine_distance
from anomae.models.backbones.wide_resnet import bottlenecks
from anomae.models.initialisation import draw_convolutions


class ReverseDistillation(nn.Module):
    """The trained half of RD4AD: one-class bottleneck embedding (OCBE) and decoder ("student").

    All widths follow the teacher's three levels c1, c2, c3, such that those of WideResNet-50-2 (256, 512, 1024) give
    the original network: inner widths are half the outer ones, the embedding has 2 * c3 channels.
    """

    def __init__(self, channels: Sequence[int], generator: torch.Generator, *, signed: bool = False) -> None:
        """`channels`: c1, c2, c3, of levels whose sides halve from one to the next.  Weights from `generator`.

        signed: the teacher's levels have values below 0 (EfficientNets'; a residual network's come out of a ReLU), so
        what is decoded must not be cut off there either.
        """
        super().__init__()
        c1, c2, c3 = channels
        self.reduce1 = nn.Sequential(*_halving(c1, c2), *_halving(c2, c3))
        self.reduce2 = nn.Sequential(*_halving(c2, c3))
        self.embed = bottlenecks(3, 3 * c3, c3, 2 * c3, stride=2)
        self.decoder = nn.ModuleList(
            bottlenecks(count, inputs, outputs // 2, outputs, up=True, signed=signed)
            for count, inputs, outputs in ((3, 2 * c3, c3), (4, c3, c2), (6, c2, c1))
        )
        draw_convolutions(self, generator)

    def forward(self, levels: Sequence[Tensor]) -> list[Tensor]:
        """The teacher's levels (B, c1, H, W), (B, c2, H/2, W/2), (B, c3, H/4, W/4) -> the same three, as decoded.

        H and W are multiples of 8.
        """
        first, second, third = levels
        joined = torch.cat([self.reduce1(first), self.reduce2(second), third], dim=1)  # (B, 3 * c3, H/4, W/4)
        x = self.embed(joined)  # (B, 2 * c3, H/8, W/8)
        decoded = []
        for stage in self.decoder:
            x = stage(x)
            decoded.append(x)
        return decoded[::-1]


def _halving(inputs: int, outputs: int) -> list[nn.Module]:
    return [nn.Conv2d(inputs, outputs, 3, 2, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()]


def distillation_loss(
    taught: Sequence[Tensor], decoded: Sequence[Tensor], over: Literal["level", "position"]
) -> Tensor:
    """Sum over the levels of 1 - cosine, mean over the batch.

    over: "level", the cosine of a whole level as one vector (authors' released code); "position", the cosine over
    the channels at each position, then the mean over positions (the paper's text).
    """
    if over == "position":
        return torch.stack([cosine_distance(a, b).mean() for a, b in zip(taught, decoded, strict=True)]).sum()
    pairs = [(a.float().flatten(1), b.float().flatten(1)) for a, b in zip(taught, decoded, strict=True)]
    return torch.stack([(1.0 - F.cosine_similarity(a, b, dim=1)).mean() for a, b in pairs]).sum()

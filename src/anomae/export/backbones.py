"""A frozen backbone as it is exported: batch norms folded, grey pictures as one channel, in two parts."""

from typing import Any

import torch
from torch import Tensor, nn

from anomae.models.backbones.build import Backbone
from anomae.models.backbones.efficientnet import LEVELS, EfficientNet
from anomae.models.backbones.frozen_features import folded


class GreyBackbone(nn.Module):
    """Grey pictures (B, H, W) in 0..255 -> the network's levels.

    A grey picture is three equal channels.  Where all three are normalised alike, the first convolution is that of one
    channel with the sum of its weights: a third of its work, and the same numbers but for rounding.

    `begin` and `go_on` are its two parts, so that they may be computed in different precisions: in bf16 the first
    layers of an EfficientNet cost most of the agreement with fp32 (of ranks 0.9936, without them 0.9997), and a third
    of the time.  Other networks are not cut: `begin` normalises only.
    """

    def __init__(self, network: nn.Module, backbone: Backbone) -> None:
        """network: as the detector keeps it; it stays as it is."""
        super().__init__()
        self.network = folded(network).cpu().to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
        mean, std = (torch.tensor(values)[:, None, None] for values in backbone.normalisation)
        if len(set(backbone.normalisation[0])) == len(set(backbone.normalisation[1])) == 1:
            mean, std = mean[:1], std[:1]
            first = next(module for module in self.network.modules() if isinstance(module, nn.Conv2d))
            first.weight = nn.Parameter(first.weight.sum(dim=1, keepdim=True), requires_grad=False)
            first.in_channels = 1
        self.mean: Tensor
        self.std: Tensor
        self.register_buffer("mean", mean)
        self.register_buffer("std", std)

    @property
    def is_cut(self) -> bool:
        """Whether `begin` holds layers."""
        return isinstance(self.network, EfficientNet)

    def forward(self, pictures: Tensor) -> list[Tensor]:
        """Levels (B, C, H / stride, W / stride)."""
        return self.go_on(self.begin(pictures))

    def begin(self, pictures: Tensor) -> Tensor:
        """Pictures (B, H, W), normalised and seen by the layers up to the first block of stride 4."""
        x = (pictures[:, None] - self.mean) / self.std
        if isinstance(self.network, EfficientNet):
            stages: Any = self.network.features
            for layer in (*stages[:2], stages[2][0]):
                x = layer(x)
        return x

    def go_on(self, begun: Tensor) -> list[Tensor]:
        """What `begin` gave -> levels, as `forward` gives them."""
        if not isinstance(self.network, EfficientNet):
            levels: list[Tensor] = self.network(begun)
            return levels
        stages: Any = self.network.features
        given, x = [begun, begun], begun
        for number, stage in enumerate(stages[2:]):
            for block in stage[1:] if number == 0 else stage:
                x = block(x)
            given.append(x)
        return [given[LEVELS[stride]] for stride in self.network.strides]

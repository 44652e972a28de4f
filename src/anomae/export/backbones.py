"""A frozen backbone as it is exported: batch norms folded, one channel of a grey picture where all are alike."""

import torch
from torch import Tensor, nn

from anomae.models.backbones.build import Backbone
from anomae.models.backbones.frozen_features import folded


class GreyBackbone(nn.Module):
    """Grey pictures (B, H, W) in 0..255 -> the network's levels.

    A grey picture is three equal channels.  Where all three are normalised alike, the first convolution is that of one
    channel with the sum of its weights: a third of its work, and the same numbers but for rounding.
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

    def forward(self, pictures: Tensor) -> list[Tensor]:
        """Levels (B, C, H / stride, W / stride)."""
        levels: list[Tensor] = self.network((pictures[:, None] - self.mean) / self.std)
        return levels

"""Weights of convolutional networks, drawn from one generator."""

import math
from typing import Literal

import torch
from torch import nn


def draw_convolutions(
    network: nn.Module, generator: torch.Generator | None, rule: Literal["he", "torch"] = "he"
) -> None:
    """Draw every convolution's weights anew; batch norm becomes the identity.

    he: normal, variance 2 / fan-out, biases 0 (torchvision's residual networks); transposed convolutions, which
    these do not have, as under `torch`.  torch: what a torch layer draws for itself, uniform up to 1 / sqrt(fan-in).
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            if rule == "he" and isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu", generator=generator)
            else:
                nn.init.kaiming_uniform_(module.weight, a=math.sqrt(5), generator=generator)
            if module.bias is not None and rule == "he":
                nn.init.zeros_(module.bias)
            elif module.bias is not None:
                bound = 1 / math.sqrt(module.weight[0].numel())
                nn.init.uniform_(module.bias, -bound, bound, generator=generator)
        elif isinstance(module, nn.BatchNorm2d):
            module.reset_running_stats()
            nn.init.ones_(module.weight)
            nn.init.zeros_(module.bias)

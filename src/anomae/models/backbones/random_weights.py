"""First weights of convolutional networks and dropout, both from a given generator."""

import math

import torch
from torch import Tensor, nn


def draw_weights(network: nn.Module, generator: torch.Generator | None) -> None:
    """Glorot uniform weights and zero biases for every convolution and linear layer; norms keep their 1 and 0."""
    for module in network.modules():
        if isinstance(module, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            draw_uniform(module.weight, generator)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def draw_uniform(weight: Tensor, generator: torch.Generator | None, gain: float = 1.0) -> None:
    """Uniform with standard deviation gain * sqrt(2 / (fan in + fan out)); gain 1 is Glorot's."""
    fans = (weight.shape[0] + weight.shape[1]) * weight[0, 0].numel()
    bound = gain * math.sqrt(6.0 / fans)
    nn.init.uniform_(weight, -bound, bound, generator=generator)


def drawn_keep(shape: tuple[int, ...], rate: float, generator: torch.Generator) -> Tensor:
    """What dropout multiplies by: 0 with probability `rate`, else 1 / (1 - rate), so that the mean stays 1."""
    drawn = torch.rand(shape, generator=generator, device=generator.device)
    return (drawn >= rate).float() / (1.0 - rate)

"""Weights of convolutional networks and of transformers, drawn from one generator."""

import math
from typing import Literal

import torch
from torch import Tensor, nn


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


def initialise_transformer(network: nn.Module, generator: torch.Generator) -> None:
    """Draw all weights from `generator` alone, as the reference MAE does.

    Linear and patch embedding: Xavier uniform (the embedding on its flattened weight), biases 0; LayerNorm 1 and 0;
    tokens normal with standard deviation 0.02.
    """
    for module in network.modules():
        if isinstance(module, nn.Linear | nn.Conv2d):
            _xavier(module.weight, generator)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.LayerNorm):
            nn.init.ones_(module.weight)
            nn.init.zeros_(module.bias)
    for name, parameter in network.named_parameters():
        if name in ("cls_token", "mask_token"):
            nn.init.normal_(parameter, std=0.02, generator=generator)


def _xavier(weight: Tensor, generator: torch.Generator) -> None:
    flat = weight.flatten(1)
    bound = math.sqrt(6.0 / (flat.shape[0] + flat.shape[1]))
    nn.init.uniform_(weight, -bound, bound, generator=generator)

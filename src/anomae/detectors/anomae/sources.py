"""What is known of each patch of an image: a source of evidence gives channels on the grid of patches."""

from dataclasses import dataclass, field
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from anomae.models.backbones.build import BACKBONES, draw_backbone
from anomae.models.backbones.frozen_features import folded, on_grid
from anomae.models.backbones.weights import load_backbone

STRIDES = (4, 8, 16)


@dataclass(frozen=True, slots=True)
class View:
    """Images as the sources see them.

    images: (B, c, h, w), intensities 0..1, at the size they were prepared in.  shown: (B, c, H, W), resized; a patch is
    H / gh pixels of it.  grid: (gh, gw).  half: (B,) 0 or 1, the half of the training images that each is of; None:
    of neither.  beside: (B, 2, c, H, W), the slices below and above as `shown`; None: each stands for its own.  known:
    what one source made that another may use.
    """

    images: Tensor
    shown: Tensor
    grid: tuple[int, int]
    half: Tensor | None = None
    beside: Tensor | None = None
    known: dict[str, Tensor] = field(default_factory=dict)


class Source(Protocol):
    """One kind of evidence."""

    def of(self, view: View) -> Tensor:
        """(B, C, gh, gw) float32; of each image alone."""
        ...


class Features:
    """Levels of a frozen backbone at strides 4, 8 and 16, brought to the grid; of each channel as a grey picture."""

    def __init__(self, backbone: str, network: nn.Module, description: str) -> None:
        """network: as `make_backbone` gives it, weights loaded."""
        self.backbone, self.network, self.description = BACKBONES[backbone], network, description
        self._folded = folded(network).to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def of(self, view: View) -> Tensor:
        """24 + 40 + 112 with EfficientNet-Lite0 for each channel of the image, one channel after the other.

        In the precision that the caller computes in.
        """
        if "features" not in view.known:
            self._folded.to(view.shown.device)
            found = [self._of_one(channel, view.grid) for channel in view.shown.unbind(1)]
            view.known["features"] = torch.cat(found, dim=1)
        return view.known["features"]

    def _of_one(self, pictures: Tensor, grid: tuple[int, int]) -> Tensor:
        """One channel, (B, H, W): a pass of its own, so that memory does not grow with the number of channels."""
        shown = self.backbone.normalise(pictures * 255.0).contiguous(memory_format=torch.channels_last)
        return on_grid(self._folded(shown), grid)


class Pixels:
    """Mean, maximum, minus the minimum, and spread of the patch's own pixels."""

    def of(self, view: View) -> Tensor:
        """4 for each channel of the image."""
        image = view.shown
        side = (image.shape[2] // view.grid[0], image.shape[3] // view.grid[1])
        mean = F.avg_pool2d(image, side)
        spread = (F.avg_pool2d(image * image, side) - mean * mean).clamp_min(0).sqrt()
        return torch.cat([mean, F.max_pool2d(image, side), -F.max_pool2d(-image, side), spread], dim=1)


def make_backbone(name: str, weights: str, generator: torch.Generator, shown: Tensor) -> tuple[nn.Module, str]:
    """A frozen backbone with the weights that are wanted, and what tables call it.

    shown: some grey pictures (B, H, W) in 0..1, on which random weights get their batch statistics.  Raises
    MissingExtra or UserError where the weights are not to be had.
    """
    backbone = BACKBONES[name]
    network = empty_backbone(name)
    if weights == "random":
        draw_backbone(network, generator, backbone.normalise(shown * 255.0))
        return network, f"{backbone.title}, random frozen"
    return network, load_backbone(name, weights, network)


def empty_backbone(name: str) -> nn.Module:
    """The network without its weights."""
    return BACKBONES[name].build(STRIDES).requires_grad_(False).eval()

"""All evidence of an image at one size: its sources side by side, standardised over healthy images."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Self

import torch
import torch.nn.functional as F
from torch import Tensor

from anomae.detectors.anomae.neighbours import Neighbours, apart
from anomae.detectors.anomae.sources import Source, View

SMALLEST_SPREAD = 1e-4


@dataclass(frozen=True, slots=True)
class Evidence:
    """Sources at one size, and the mean and spread of each of their channels over healthy images.

    size: (H, W) at which images are shown, multiples of `patch`.  mean, spread: (1, C, 1, 1), or as they are here
    before `measured`.
    """

    sources: Sequence[Source]
    size: tuple[int, int]
    patch: int
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    mean: Tensor = field(default_factory=lambda: torch.zeros(1))
    spread: Tensor = field(default_factory=lambda: torch.ones(1))

    @property
    def grid(self) -> tuple[int, int]:
        """(gh, gw) patches."""
        return self.size[0] // self.patch, self.size[1] // self.patch

    @property
    def stacked(self) -> bool:
        """Whether neighbours are looked at."""
        return any(isinstance(source, Neighbours) for source in self.sources)

    def of(self, images: Tensor, half: Tensor | None = None) -> Tensor:
        """Images (B, c, h, w) of intensities 0..1, or stacks, -> (B, C, gh, gw) float32, standardised.

        Stacks: see anomae.detectors.anomae.neighbours.  half: as in `View`.
        """
        raw = self.raw(images, half)
        return (raw - self.mean.to(raw.device)) / self.spread.to(raw.device)

    def raw(self, images: Tensor, half: Tensor | None = None) -> Tensor:
        """The same as the sources give it."""
        view = self.view(images, half)
        return torch.cat([source.of(view).float() for source in self.sources], dim=1)

    def view(self, images: Tensor, half: Tensor | None = None) -> View:
        """Images (B, c, h, w) or stacks as the sources see them at this size."""
        slices, beside = apart(images)
        return View(slices, self._resized(slices), self.grid, half, None if beside is None else self._resized(beside))

    def _resized(self, images: Tensor) -> Tensor:
        """(B, ..., h, w) -> (B, ..., H, W)."""
        if images.shape[-2:] == self.size:
            return images
        pictures = images.flatten(1, -3)  # (B, K, h, w)
        resized = F.interpolate(pictures, self.size, mode="bicubic", antialias=True).clamp(0.0, 1.0)
        return resized.reshape(*images.shape[:-2], *self.size)

    def measured(self, raw: Tensor) -> Self:
        """The same with mean and spread of each channel, from raw evidence of healthy images (n, C, gh, gw)."""
        mean = raw.mean(dim=(0, 2, 3), keepdim=True)
        spread = raw.std(dim=(0, 2, 3), keepdim=True).clamp_min(SMALLEST_SPREAD)
        return replace(self, mean=mean, spread=spread)


def shown_size(image_size: tuple[int, int], longer: int, patch: int) -> tuple[int, int]:
    """(H, W) with the aspect kept as far as multiples of `patch` allow, the longer side `longer` pixels."""
    height, width = (max(2, round(longer * side / max(image_size) / patch)) * patch for side in image_size)
    return height, width

"""All evidence of an image at one size: its sources side by side, standardised over healthy images."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from anomae.detectors.anomae.neighbours import Neighbours, apart
from anomae.detectors.anomae.sources import Source, View

SMALLEST_SPREAD = 1e-4


class Evidence:
    """Sources at one size, and the mean and spread of each of their channels over healthy images."""

    def __init__(
        self, sources: Sequence[Source], size: tuple[int, int], patch: int, device: torch.device | None = None
    ) -> None:
        """size: (H, W) at which images are shown, multiples of `patch`.  device: None: the CPU."""
        self.device = device or torch.device("cpu")
        self.sources, self.size, self.grid = sources, size, (size[0] // patch, size[1] // patch)
        self.stacked = any(isinstance(source, Neighbours) for source in sources)  # neighbours are looked at
        self.mean, self.spread = torch.zeros(1), torch.ones(1)

    def of(self, images: Tensor, half: Tensor | None = None) -> Tensor:
        """Images (B, h, w) of intensities 0..1, or stacks (B, 3, h, w), -> (B, C, gh, gw) float32, standardised.

        half: as in `View`.
        """
        raw = self.raw(images, half)
        return (raw - self.mean.to(raw.device)) / self.spread.to(raw.device)

    def raw(self, images: Tensor, half: Tensor | None = None) -> Tensor:
        """The same as the sources give it."""
        view = self.view(images, half)
        return torch.cat([source.of(view).float() for source in self.sources], dim=1)

    def view(self, images: Tensor, half: Tensor | None = None) -> View:
        """Images (B, h, w) or stacks (B, 3, h, w) as the sources see them at this size."""
        slices, beside = apart(images)
        shown = self._resized(slices[:, None])[:, 0]
        return View(slices, shown, self.grid, half, None if beside is None else self._resized(beside))

    def _resized(self, images: Tensor) -> Tensor:
        if images.shape[2:] == self.size:
            return images
        return F.interpolate(images, self.size, mode="bicubic", antialias=True).clamp(0.0, 1.0)

    def measure(self, raw: Tensor) -> None:
        """Take mean and spread of each channel from raw evidence of healthy images (n, C, gh, gw)."""
        self.mean = raw.mean(dim=(0, 2, 3), keepdim=True)
        self.spread = raw.std(dim=(0, 2, 3), keepdim=True).clamp_min(SMALLEST_SPREAD)


def shown_size(image_size: tuple[int, int], longer: int, patch: int) -> tuple[int, int]:
    """(H, W) with the aspect kept as far as multiples of `patch` allow, the longer side `longer` pixels."""
    height, width = (max(2, round(longer * side / max(image_size) / patch)) * patch for side in image_size)
    return height, width

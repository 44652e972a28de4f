"""The source `denoised`: what a network that learned to take coarse noise away from healthy images would change.

The denoising autoencoder of the baseline `dae` (Kascenas et al. 2022), fitted on the same healthy images, reduced.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from anomae.detectors.anomae.sources import View
from anomae.detectors.anomae.window import Window
from anomae.detectors.dae.detector import FittedDenoisingAutoencoder
from anomae.detectors.protocol import HealthySlices, Images4

SMOOTHED_OVER = 3  # patches


@dataclass(frozen=True, slots=True)
class Reduced:
    """Healthy slices, each pixel the mean of what it stands for: what a denoiser is fitted on.

    image_size: (h, w) they are reduced to.
    """

    slices: HealthySlices
    image_size: tuple[int, int]

    def __len__(self) -> int:
        return len(self.slices)

    @property
    def channels(self) -> int:
        """How many, c."""
        return self.slices.channels

    def read(self, indices: Any) -> Images4:
        """(k, c, h, w)."""
        return self._of(self.slices.read(indices))

    def neighbours(self, indices: Any) -> npt.NDArray[np.float32]:
        """(k, 2, c, h, w)."""
        found = self.slices.neighbours(indices)
        return self._of(found.reshape(-1, *found.shape[2:])).reshape(*found.shape[:3], *self.image_size)

    def _of(self, images: Images4) -> Images4:
        return F.adaptive_avg_pool2d(torch.from_numpy(images), self.image_size).numpy()


def reduced_size(image_size: tuple[int, int], longer: int, halvings: int) -> tuple[int, int]:
    """(h, w), the longer side of `longer` pixels, or as it is if that is less; rounded to multiples of 2^halvings."""
    unit = 2**halvings
    share = min(1.0, longer / max(image_size))
    height, width = (max(1, round(side * share / unit)) * unit for side in image_size)
    return height, width


class Denoised:
    """Signed mean, absolute mean, maximum, minus the minimum and smoothed signed mean of the filtered x - x^."""

    def __init__(self, denoiser: FittedDenoisingAutoencoder, window: Window) -> None:
        """denoiser: of the prepared intensities, reduced; window: between them and 0..1."""
        self.denoiser, self.window = denoiser, window

    def of(self, view: View) -> Tensor:
        """5 for each channel of the image."""
        prepared = F.adaptive_avg_pool2d(self.window.prepared(view.images).float(), self.denoiser.fitted.image_size)
        residual = torch.from_numpy(self.denoiser.residuals(prepared.cpu().numpy())).to(view.images.device)
        mean = F.adaptive_avg_pool2d(residual, view.grid)
        around = F.avg_pool2d(mean, SMOOTHED_OVER, 1, SMOOTHED_OVER // 2, count_include_pad=False)
        highest, lowest = (F.adaptive_max_pool2d(signed, view.grid) for signed in (residual, -residual))
        return torch.cat([mean, F.adaptive_avg_pool2d(residual.abs(), view.grid), highest, lowest, around], dim=1)

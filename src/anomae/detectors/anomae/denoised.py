"""The source `denoised`: what a network that learned to take coarse noise away from healthy images would change.

The denoising autoencoder of the baseline `dae` (Kascenas et al. 2022), fitted on the same healthy images.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from anomae.detectors.anomae.sources import View
from anomae.detectors.anomae.window import Window
from anomae.detectors.dae.detector import FittedDenoisingAutoencoder

SMOOTHED_OVER = 3  # patches


class Denoised:
    """Signed mean, absolute mean, maximum, minus the minimum and smoothed signed mean of the filtered x - x^."""

    def __init__(self, denoiser: FittedDenoisingAutoencoder, window: Window) -> None:
        """denoiser: of the prepared intensities; window: between them and 0..1."""
        self.denoiser, self.window = denoiser, window

    def of(self, view: View) -> Tensor:
        """5 for each channel of the image."""
        prepared = self.window.prepared(view.images).float().cpu().numpy()
        residual = torch.from_numpy(self.denoiser.residuals(prepared)).to(view.images.device)  # (B, c, h, w)
        mean = F.adaptive_avg_pool2d(residual, view.grid)
        around = F.avg_pool2d(mean, SMOOTHED_OVER, 1, SMOOTHED_OVER // 2, count_include_pad=False)
        highest, lowest = (F.adaptive_max_pool2d(signed, view.grid) for signed in (residual, -residual))
        return torch.cat([mean, F.adaptive_avg_pool2d(residual.abs(), view.grid), highest, lowest, around], dim=1)

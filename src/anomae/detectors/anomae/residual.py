"""The source `residual`: what the run's own masked autoencoder could not rebuild."""

import torch
import torch.nn.functional as F
from torch import Tensor

from anomae.detectors.anomae.sources import View
from anomae.detectors.anomae.window import Window
from anomae.detectors.mae.detector import FittedMaskedAutoencoder

SMOOTHED_OVER = 3  # patches


class Residual:
    """Signed mean, absolute mean, largest absolute value and smoothed signed mean of x - x^ in each patch."""

    def __init__(self, autoencoder: FittedMaskedAutoencoder, window: Window) -> None:
        """autoencoder: of the prepared intensities; window: between them and 0..1."""
        self.autoencoder, self.window = autoencoder, window

    def of(self, view: View) -> Tensor:
        """4 for each channel of the image.  The masks of an image depend on the image and the fit's seed alone."""
        prepared = self.window.prepared(view.images).float().cpu().numpy()
        rebuilt = self.window.seen(torch.from_numpy(self.autoencoder.reconstruct(prepared)).to(view.images.device))
        residual = view.images - rebuilt  # (B, c, h, w)
        mean = F.adaptive_avg_pool2d(residual, view.grid)
        around = F.avg_pool2d(mean, SMOOTHED_OVER, 1, SMOOTHED_OVER // 2, count_include_pad=False)
        size = residual.abs()
        parts = [mean, F.adaptive_avg_pool2d(size, view.grid), F.adaptive_max_pool2d(size, view.grid), around]
        return torch.cat(parts, dim=1)

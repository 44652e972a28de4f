"""The range of prepared intensities that the detector sees as 0..1."""

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from anomae.detectors.anomae.settings import AnomaeSettings
from anomae.detectors.protocol import HealthySlices

ENOUGH_IMAGES = 512
BLOCK, BRIGHTER_THAN, ENOUGH_TISSUE = 256, 0.02, 0.01  # images read at once; of 0..1; share of the pixels


@dataclass(frozen=True, slots=True)
class Window:
    """Prepared intensities low..high stand for 0..1; what lies outside is cut off."""

    low: float
    high: float

    @classmethod
    def measured(cls, images: HealthySlices, settings: AnomaeSettings) -> Self:
        """`settings.window`; else from percentiles of at most 512 healthy images, with headroom above for lesions."""
        if settings.window is not None:
            return cls(*settings.window)
        indices = np.unique(np.linspace(0, len(images) - 1, ENOUGH_IMAGES).astype(np.int64))
        low, high = (float(value) for value in np.percentile(images.read(indices), settings.percentiles))
        high = low + settings.headroom * (high - low)
        return cls(low, high if high > low else low + 1.0)

    def seen(self, images: Tensor) -> Tensor:
        """Prepared images (any shape) as 0..1."""
        return ((images.float() - self.low) / (self.high - self.low)).clamp(0.0, 1.0)

    def prepared(self, images: Tensor) -> Tensor:
        """Images of 0..1 (any shape) in the scale of the prepared ones."""
        return self.low + images * (self.high - self.low)


def with_tissue(images: HealthySlices, window: Window) -> npt.NDArray[np.int64]:
    """Places of the images that show something, (m,), ascending: at least 1 % of the pixels above 0.02 of 0..1.

    A slice beyond the head holds nothing that a lesion could be laid into.  All places where no image shows anything.
    """
    shown = np.zeros(len(images), bool)
    for start in range(0, len(images), BLOCK):
        indices = np.arange(start, min(start + BLOCK, len(images)))
        seen = window.seen(torch.from_numpy(images.read(indices)))
        shown[indices] = (seen > BRIGHTER_THAN).flatten(1).float().mean(dim=1).numpy() >= ENOUGH_TISSUE
    return np.flatnonzero(shown) if shown.any() else np.arange(len(images))

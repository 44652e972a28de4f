"""The linear scale between prepared images and the range that a network sees, measured on the training images."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from torch import Tensor

from anomae.detectors.protocol import HealthySlices

ENOUGH_IMAGES = 512


@dataclass(frozen=True, slots=True)
class FittedScale:
    """Prepared intensities low..high stand for lowest..1 in the network's range; the rest is cut off."""

    low: float
    high: float
    lowest: float

    @classmethod
    def measured(cls, images: HealthySlices, percentiles: tuple[float, float], lowest: float) -> Self:
        """The scale whose low and high are percentiles over the pixels of at most 512 images, evenly spaced."""
        indices = np.unique(np.linspace(0, len(images) - 1, ENOUGH_IMAGES).astype(np.int64))
        low, high = (float(value) for value in np.percentile(images.read(indices), percentiles))
        return cls(low, high if high > low else low + 1.0, lowest)

    def shown(self, images: Tensor) -> Tensor:
        """Images (any shape) as the network sees them, in lowest..1."""
        return self.lowest + (1.0 - self.lowest) * ((images - self.low) / (self.high - self.low)).clamp(0.0, 1.0)

    def prepared(self, images: Tensor) -> Tensor:
        """Images (any shape) of the network in the scale of the prepared ones."""
        return self.low + (images - self.lowest) / (1.0 - self.lowest) * (self.high - self.low)

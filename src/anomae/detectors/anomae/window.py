"""The range of prepared intensities that the detector sees as 0..1."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from torch import Tensor

from anomae.detectors.anomae.settings import AnomaeSettings
from anomae.detectors.protocol import HealthySlices

ENOUGH_IMAGES = 512


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
        places = np.unique(np.linspace(0, len(images) - 1, ENOUGH_IMAGES).astype(np.int64))
        low, high = (float(value) for value in np.percentile(images.read(places), settings.percentiles))
        high = low + settings.headroom * (high - low)
        return cls(low, high if high > low else low + 1.0)

    def seen(self, images: Tensor) -> Tensor:
        """Prepared images (any shape) as 0..1."""
        return ((images.float() - self.low) / (self.high - self.low)).clamp(0.0, 1.0)

    def prepared(self, images: Tensor) -> Tensor:
        """Images of 0..1 (any shape) in the scale of the prepared ones."""
        return self.low + images * (self.high - self.low)

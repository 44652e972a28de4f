"""The range of prepared intensities that the detector sees as 0..1."""

from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from torch import Tensor

from anomae.detectors.anomae.settings import AnomaeSettings
from anomae.detectors.protocol import HealthySlices

ENOUGH_IMAGES = 512


@dataclass(frozen=True, slots=True)
class Window:
    """Prepared intensities low..high stand for 0..1; what lies outside is cut off.

    low, high: one for each channel, since modalities have ranges of their own; or one alone, for all of them.
    """

    low: tuple[float, ...]
    high: tuple[float, ...]

    @classmethod
    def measured(cls, images: HealthySlices, settings: AnomaeSettings) -> Self:
        """`settings.window`; else from percentiles of at most 512 healthy images, with headroom above for lesions."""
        if settings.window is not None:
            return cls((settings.window[0],), (settings.window[1],))
        indices = np.unique(np.linspace(0, len(images) - 1, ENOUGH_IMAGES).astype(np.int64))
        few, lows, highs = images.read(indices), [], []
        for channel in range(images.channels):
            low, high = (float(value) for value in np.percentile(few[:, channel], settings.percentiles))
            high = low + settings.headroom * (high - low)
            lows.append(low)
            highs.append(high if high > low else low + 1.0)
        return cls(tuple(lows), tuple(highs))

    def seen(self, images: Tensor) -> Tensor:
        """Prepared images (..., c, h, w) as 0..1; of one window, of any shape."""
        low, width = self._low_and_width(images.device)
        return ((images.float() - low) / width).clamp(0.0, 1.0)

    def prepared(self, images: Tensor) -> Tensor:
        """Images (..., c, h, w) of 0..1 in the scale of the prepared ones; of one window, of any shape."""
        low, width = self._low_and_width(images.device)
        return low + images * width

    def _low_and_width(self, device: torch.device) -> tuple[Tensor | float, Tensor | float]:
        """Numbers, or (c, 1, 1) each."""
        widths = [high - low for low, high in zip(self.low, self.high, strict=True)]
        if len(widths) == 1:
            return self.low[0], widths[0]
        low, width = (torch.tensor(values, device=device)[:, None, None] for values in (self.low, widths))
        return low, width

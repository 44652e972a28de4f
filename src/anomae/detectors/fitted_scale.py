"""The linear scale between prepared images and the range that a network sees, measured on the training images."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from torch import Tensor

from anomae.detectors.protocol import HealthySlices

ENOUGH_IMAGES = 512


@dataclass(frozen=True, slots=True)
class FittedScale:
    """Prepared intensities low..high of a channel stand for lowest..1 in the network's range; the rest is cut off."""

    low: tuple[float, ...]
    high: tuple[float, ...]
    lowest: float

    @classmethod
    def measured(cls, images: HealthySlices, percentiles: tuple[float, float], lowest: float) -> Self:
        """The scale whose low and high are percentiles over a channel's pixels in at most 512 images, evenly spaced."""
        indices = np.unique(np.linspace(0, len(images) - 1, ENOUGH_IMAGES).astype(np.int64))
        channels = np.moveaxis(images.read(indices), 1, 0)  # (C, k, H, W)
        found = [tuple(float(value) for value in np.percentile(channel, percentiles)) for channel in channels]
        return cls(
            tuple(low for low, _ in found), tuple(high if high > low else low + 1.0 for low, high in found), lowest
        )

    @property
    def spans(self) -> tuple[float, ...]:
        """High less low, of each channel."""
        return tuple(high - low for low, high in zip(self.low, self.high, strict=True))

    def shown(self, images: Tensor) -> Tensor:
        """Images (..., C, H, W) as the network sees them, in lowest..1."""
        return self._by_channel(
            images,
            lambda channel, low, span: self.lowest + (1.0 - self.lowest) * ((channel - low) / span).clamp(0.0, 1.0),
        )

    def prepared(self, images: Tensor) -> Tensor:
        """Images (..., C, H, W) of the network in the scale of the prepared ones."""
        return self._by_channel(
            images, lambda channel, low, span: low + (channel - self.lowest) / (1.0 - self.lowest) * span
        )

    def prepared_distances(self, distances: Tensor) -> Tensor:
        """Distances (..., C, H, W), from 0, in a network's range 0..1 in the scale of the prepared images."""
        return self._by_channel(distances, lambda channel, _, span: channel * span)

    def _by_channel(self, images: Tensor, function: Callable[[Tensor, float, float], Tensor]) -> Tensor:
        """With numbers, not tensors of them, since a GPU rounds a division by a tensor otherwise."""
        pairs = zip(images.unbind(dim=-3), self.low, self.spans, strict=True)
        return torch.stack([function(channel, low, span) for channel, low, span in pairs], dim=-3)

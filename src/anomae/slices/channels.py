"""The channels of a case: each brought to scale, one grey image of them all for the geometry, and neighbouring slices.

A modality has a scale of its own; the colours of a picture, and neighbouring slices, have one in common.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from anomae.cohorts.case import CaseSlices
from anomae.slices.intensity import IntensityScale, measure_scale
from anomae.slices.settings import PrepareSettings

_ROWS = 256  # of a slice, worked on at a time where several copies of them are needed


@dataclass(frozen=True, slots=True)
class ChannelScales:
    """The scale of each channel of a case, in order; `shared`: one and the same for all."""

    scales: tuple[IntensityScale, ...]
    shared: bool = False

    @property
    def outside(self) -> npt.NDArray[np.float32]:
        """What is darkest in each channel, at scale, (c,): what lies outside of a body is given this."""
        return np.concatenate([scale.apply(np.full(1, scale.fill)) for scale in self.scales])

    @property
    def non_finite(self) -> int:
        """How many voxels of all channels are no finite number."""
        return self.scales[0].non_finite if self.shared else sum(scale.non_finite for scale in self.scales)

    @property
    def outliers(self) -> int:
        """How many voxels of all channels are outliers."""
        return self.scales[0].outliers if self.shared else sum(scale.outliers for scale in self.scales)

    def apply(self, image: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        """A slice (c, h, w) at scale."""
        return np.stack([scale.apply(channel) for scale, channel in zip(self.scales, image, strict=True)])

    def mean(self, image: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        """The mean over the channels of a slice (c, h, w) at scale, (h, w); some rows are worked on at a time."""
        mean = np.empty(image.shape[1:], dtype=np.float32)
        for start in range(0, len(mean), _ROWS):
            rows = image[:, start : start + _ROWS]
            total = self.scales[0].apply(rows[0])
            for scale, channel in zip(self.scales[1:], rows[1:], strict=True):
                total += scale.apply(channel)
            mean[start : start + _ROWS] = total / np.float32(len(image))
        return mean

    def above_fill(self, images: npt.NDArray[Any], channel: int) -> npt.NDArray[np.float32]:
        """One channel of images (n, c, h, w) as read, less its smallest value, (n, h, w)."""
        scale = self.scales[channel]
        return scale.read(images[:, channel]) - np.float32(scale.fill)


def measure_channels(
    case: CaseSlices, settings: PrepareSettings, inside: npt.NDArray[np.bool_] | None = None
) -> ChannelScales:
    """The scale of each channel of a case; inside: (n, h, w), as of `measure_scale`.  Raises UnreadableScan as that."""
    count, channels, *shape = case.images.shape
    if case.one_scale and channels > 1:
        together = case.images.reshape(count * channels, *shape)
        within = None if inside is None else np.repeat(inside, channels, axis=0)
        return ChannelScales((measure_scale(together, settings, within),) * channels, shared=True)
    return ChannelScales(tuple(measure_scale(case.images[:, channel], settings, inside) for channel in range(channels)))


def grey_case(case: CaseSlices, scales: ChannelScales, settings: PrepareSettings) -> tuple[CaseSlices, IntensityScale]:
    """A case of one channel that shows where things are, and its scale: what brain, crop and middle are found from.

    Of one channel, that channel as it was read.  Of several, the mean of all, each scaled by its percentile, so that
    none outweighs the others whatever its unit.  Raises UnreadableScan as `measure_scale` does.
    """
    if case.channels == 1:
        return case, scales.scales[0]
    by_percentile = settings.model_copy(update={"intensity": "percentile"})
    alike = measure_channels(case, by_percentile)
    mean = np.zeros((len(case.images), *case.images.shape[2:]), dtype=np.float32)
    for index, image in enumerate(case.images):
        mean[index] = alike.mean(image)
    return replace(case, images=mean), measure_scale(mean, by_percentile)

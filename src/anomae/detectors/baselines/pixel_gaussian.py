"""A Gaussian at each pixel, all independent: what lies many deviations from a pixel's healthy mean is abnormal.

Where healthy slices hardly vary (air around the head) a deviation of its own would make the smallest difference count
without bound.  So each variance v is drawn to the mean variance over the pixels, V: (1 - s) v + s V with s = 0.1
(`shrinkage`), which leaves the mean variance as it is and bounds every deviation below by sqrt(s V).  Of several
channels each has Gaussians of its own, drawn to its own mean variance.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from anomae.detectors.baselines.fitted_arrays import FittedArrays, mean_of_values
from anomae.detectors.baselines.healthy_blocks import pixel_mean, pixel_variance
from anomae.detectors.baselines.settings import PixelGaussianSettings
from anomae.detectors.method import Method, by_scale
from anomae.detectors.protocol import Findings, HealthySlices, Images4
from anomae.errors import UserError
from anomae.slices.store import grey
from anomae.training.one_device import refuse_several_devices
from anomae.training.settings import DeviceSettings


@dataclass(frozen=True, slots=True, eq=False)
class FittedPixelGaussian:
    """The score is the mean over pixels and channels of z squared, z = (x - mean) / deviation, both of the pixel."""

    name: ClassVar[str] = "pixel-gaussian"
    map_name: ClassVar[str] = "absolute z-score, standard deviations of healthy slices"
    description: ClassVar[str] = ""
    settings: PixelGaussianSettings
    fitted: FittedArrays

    def inspect(self, images: Images4) -> Findings:
        """Images (n, c, h, w): score mean z^2 (about 1 for healthy ones), map |z|, reconstruction the mean.

        The map is the mean over the channels.
        """
        self.fitted.check(images)
        distances = np.abs(images - self.fitted.mean) / self.fitted.arrays["deviation"]
        return Findings(mean_of_values(np.square(distances)), grey(distances), self.fitted.means(len(images)))

    def save(self, folder: Path) -> None:
        """Write arrays.safetensors and, last, settings.json."""
        self.fitted.save(folder, self.name, self.settings)


class PixelGaussian:
    """Learns mean and deviation of each pixel."""

    name: ClassVar[str] = FittedPixelGaussian.name
    settings_type = PixelGaussianSettings
    one_device: ClassVar[bool] = True

    def __init__(self, settings: PixelGaussianSettings) -> None:
        """Keep the settings."""
        self.settings = settings

    def fit(self, healthy: HealthySlices, *, seed: int, folder: Path) -> FittedPixelGaussian:
        """Learn mean and deviation of each pixel; nothing is drawn.

        Raises UserError where there is no healthy slice, or none that differs from the others in some channel, or
        several devices are asked for.
        """
        refuse_several_devices(self.name, self.settings.device)
        mean = pixel_mean(healthy)
        variance = pixel_variance(healthy, mean)  # (c, h, w)
        constant = np.flatnonzero(~variance.any(axis=(1, 2)))
        if len(constant) == len(variance):
            raise UserError("All healthy slices are the same: there is no deviation to learn from them.")
        if len(constant):
            raise UserError(f"Channel {constant[0]} (from 0) is the same in all healthy slices: it has no deviation.")
        share = self.settings.shrinkage
        of_channels = np.stack([channel.mean() for channel in variance])[:, None, None]
        deviation = np.sqrt((1 - share) * variance + share * of_channels)
        arrays = {"mean": mean.astype(np.float32), "deviation": deviation.astype(np.float32)}
        return FittedPixelGaussian(self.settings, FittedArrays(arrays, seed))

    @classmethod
    def load(cls, folder: Path, device: DeviceSettings | None = None) -> FittedPixelGaussian:
        """Read what `save` wrote; no device is used.  Raises UserError where something is missing or broken."""
        return FittedPixelGaussian(*FittedArrays.load(folder, PixelGaussianSettings))


METHOD = Method(PixelGaussian, by_scale(PixelGaussianSettings, {}))

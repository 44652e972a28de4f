"""A Gaussian at each pixel, all independent: what lies many deviations from a pixel's healthy mean is abnormal.

Where healthy slices hardly vary (air around the head) a deviation of its own would make the smallest difference count
without bound.  So each variance v is drawn to the mean variance over the pixels, V: (1 - s) v + s V with s = 0.1
(`shrinkage`), which leaves the mean variance as it is and bounds every deviation below by sqrt(s V).
"""

from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt

from anomae.detectors.baselines.fitted_arrays import Arrays, load_arrays, save_arrays
from anomae.detectors.baselines.settings import PixelGaussianSettings
from anomae.detectors.healthy_blocks import pixel_mean, pixel_variance
from anomae.detectors.protocol import Findings, HealthySlices
from anomae.errors import UserError
from anomae.slices.measures import image_mean
from anomae.training.settings import DeviceSettings


class PixelGaussian:
    """The score is the mean over the pixels of z squared, z = (x - mean) / deviation, both of the pixel."""

    name = "pixel-gaussian"

    def __init__(self, settings: PixelGaussianSettings) -> None:
        """Keep the settings; nothing is learned before `fit` or `load`."""
        self.settings = settings
        self.seed = 0
        self.arrays: Arrays | None = None  # mean and deviation, (h, w) each

    def fit(self, healthy: HealthySlices, *, seed: int, folder: Path) -> Self:
        """Learn mean and deviation of each pixel; nothing is drawn.

        Raises UserError where there is no healthy slice, or none that differs from the others.
        """
        mean = pixel_mean(healthy)
        variance = pixel_variance(healthy, mean)
        if not variance.any():
            raise UserError("All healthy slices are the same: there is no deviation to learn from them.")
        share = self.settings.shrinkage
        deviation = np.sqrt((1 - share) * variance + share * variance.mean())
        self.seed = seed
        self.arrays = {"mean": mean.astype(np.float32), "deviation": deviation.astype(np.float32)}
        return self

    def inspect(self, images: npt.NDArray[np.float32]) -> Findings:
        """Judge images (n, h, w): score mean z^2 (about 1 for healthy ones), map |z|, reconstruction the mean."""
        mean, deviation = (self._fitted()[name] for name in ("mean", "deviation"))
        maps = np.abs(images - mean) / deviation
        return Findings(image_mean(np.square(maps)), maps, np.repeat(mean[None], len(images), axis=0))

    def save(self, folder: Path) -> None:
        """Write arrays.safetensors and, last, settings.json."""
        save_arrays(folder, self.name, self.seed, self.settings, self._fitted())

    @classmethod
    def load(cls, folder: Path, device: DeviceSettings | None = None) -> Self:
        """Read what `save` wrote; no device is used.  Raises UserError where something is missing or broken."""
        content, arrays = load_arrays(folder)
        detector = cls(PixelGaussianSettings.model_validate(content["settings"]))
        detector.seed, detector.arrays = int(content["seed"]), arrays
        return detector

    def _fitted(self) -> Arrays:
        if self.arrays is None:
            raise UserError("These Gaussians of the pixels were not fitted yet.")
        return self.arrays

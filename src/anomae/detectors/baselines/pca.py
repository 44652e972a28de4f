"""PCA as a detector: what the leading components of healthy slices cannot rebuild is abnormal.

The components are found by randomized subspace iteration (Halko, Martinsson & Tropp, SIAM Review 53, 2011, algorithm
4.4) on the covariance, which is never held: each pass reads the slices a block at a time.  In memory are a block and
twice pixels x (components + spare).
"""

from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt

from anomae.detectors.baselines.fitted_arrays import Arrays, load_arrays, save_arrays
from anomae.detectors.baselines.settings import PrincipalComponentsSettings
from anomae.detectors.healthy_blocks import Pixels, healthy_blocks, pixel_mean
from anomae.detectors.protocol import Findings, HealthySlices
from anomae.errors import UserError
from anomae.progress import progress
from anomae.seeds import generator
from anomae.slices.measures import image_mean
from anomae.training.settings import DeviceSettings

# Of the largest variance: a direction with less is rounding, not a component.
NO_VARIANCE = 1e-10


class PrincipalComponents:
    """The score is the mean squared residual that the leading components of healthy slices leave."""

    name = "pca"

    def __init__(self, settings: PrincipalComponentsSettings) -> None:
        """Keep the settings; nothing is learned before `fit` or `load`."""
        self.settings = settings
        self.seed = 0
        self.arrays: Arrays | None = None  # mean (h, w), components (k, h, w)

    def fit(self, healthy: HealthySlices, *, seed: int, folder: Path) -> Self:
        """Find the components; the slices are read `passes` + 2 times.  `seed` decides where the search starts.

        Nothing is written: a fit that was stopped starts again.  Raises UserError where there is no healthy slice.
        """
        settings, size = self.settings, healthy.image_size
        with progress(self.name, settings.passes + 2, "passes", 0) as bar:
            mean = pixel_mean(healthy)
            bar.advance()
            searched = min(settings.components + settings.spare, len(healthy), mean.size)
            directions = generator(seed, self.name, "start").normal(size=(mean.size, searched))
            for _ in range(settings.passes):
                directions = np.linalg.qr(_covariance_times(directions, healthy, mean))[0]
                bar.advance()
            small = directions.T @ _covariance_times(directions, healthy, mean)
            bar.advance()
        variances, rotation = np.linalg.eigh((small + small.T) / 2)  # smallest first
        leading = np.flatnonzero(variances > NO_VARIANCE * max(variances[-1], 0.0))[::-1][: settings.components]
        components = np.ascontiguousarray((directions @ rotation[:, leading]).T, dtype=np.float32)
        self.seed = seed
        self.arrays = {"mean": mean.astype(np.float32), "components": components.reshape(-1, *size)}
        return self

    def inspect(self, images: npt.NDArray[np.float32]) -> Findings:
        """Judge images (n, h, w): score mean (x - x^)^2, map |x - x^|, and the reconstruction x^."""
        arrays = self._fitted()
        mean = arrays["mean"].ravel()
        components = arrays["components"].reshape(-1, len(mean))  # (k, h * w)
        reconstructions = np.empty(images.shape, dtype=np.float32)
        for image, reconstruction in zip(images, reconstructions, strict=True):  # a product of many rounds otherwise
            weights = components @ (image.ravel() - mean)  # (k,)
            reconstruction[:] = (mean + weights @ components).reshape(image.shape)
        maps = np.abs(images - reconstructions)
        return Findings(image_mean(np.square(maps)), maps, reconstructions)

    def save(self, folder: Path) -> None:
        """Write arrays.safetensors and, last, settings.json."""
        save_arrays(folder, self.name, self.seed, self.settings, self._fitted())

    @classmethod
    def load(cls, folder: Path, device: DeviceSettings | None = None) -> Self:
        """Read what `save` wrote; no device is used.  Raises UserError where something is missing or broken."""
        content, arrays = load_arrays(folder)
        detector = cls(PrincipalComponentsSettings.model_validate(content["settings"]))
        detector.seed, detector.arrays = int(content["seed"]), arrays
        return detector

    def _fitted(self) -> Arrays:
        if self.arrays is None:
            raise UserError("These principal components were not fitted yet.")
        return self.arrays


def _covariance_times(directions: Pixels, healthy: HealthySlices, mean: Pixels) -> Pixels:
    """The covariance of the pixels times `directions` (h * w, m)."""
    product = np.zeros_like(directions)
    for block in healthy_blocks(healthy):
        centred = (block - mean).reshape(len(block), -1)  # (k, h * w)
        product += centred.T @ (centred @ directions)
    return product / len(healthy)

"""PCA as a detector: what the leading components of healthy slices cannot rebuild is abnormal.

The components are found by randomized subspace iteration (Halko, Martinsson & Tropp, SIAM Review 53, 2011, algorithm
4.4) on the covariance, which is never held: each pass reads the slices a block at a time.  In memory are a block and
twice pixels x channels x (components + spare).
"""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from anomae.detectors.baselines.fitted_arrays import FittedArrays, mean_of_values
from anomae.detectors.baselines.healthy_blocks import Pixels, healthy_blocks, pixel_mean
from anomae.detectors.baselines.settings import PrincipalComponentsSettings
from anomae.detectors.method import Method, by_scale
from anomae.detectors.protocol import Findings, HealthySlices, Images4
from anomae.progress import progress
from anomae.seeds import generator
from anomae.slices.store import grey
from anomae.training.one_device import refuse_several_devices
from anomae.training.settings import DeviceSettings

# Of the largest variance: a direction with less is rounding, not a component.
NO_VARIANCE = 1e-10


@dataclass(frozen=True, slots=True, eq=False)
class FittedPrincipalComponents:
    """The score is the mean squared residual that the leading components of healthy slices leave.

    fitted: arrays mean (c, h, w) and components (k, c, h, w).
    """

    name: ClassVar[str] = "pca"
    map_name: ClassVar[str] = "absolute residual, prepared intensity"
    description: ClassVar[str] = ""
    settings: PrincipalComponentsSettings
    fitted: FittedArrays

    def inspect(self, images: Images4) -> Findings:
        """Images (n, c, h, w): score mean (x - x^)^2, map |x - x^| (mean of the channels), reconstruction x^."""
        self.fitted.check(images)
        mean = self.fitted.mean.ravel()
        components = self.fitted.arrays["components"].reshape(-1, len(mean))  # (k, c * h * w)
        reconstructions = np.empty(images.shape, dtype=np.float32)
        for image, reconstruction in zip(images, reconstructions, strict=True):  # a product of many rounds otherwise
            weights = components @ (image.ravel() - mean)  # (k,)
            reconstruction[:] = (mean + weights @ components).reshape(image.shape)
        residuals = np.abs(images - reconstructions)
        return Findings(mean_of_values(np.square(residuals)), grey(residuals), reconstructions)

    def save(self, folder: Path) -> None:
        """Write arrays.safetensors and, last, settings.json."""
        self.fitted.save(folder, self.name, self.settings)


class PrincipalComponents:
    """Finds the leading components of healthy slices, all channels together."""

    name: ClassVar[str] = FittedPrincipalComponents.name
    settings_type = PrincipalComponentsSettings
    one_device: ClassVar[bool] = True

    def __init__(self, settings: PrincipalComponentsSettings) -> None:
        """Keep the settings."""
        self.settings = settings

    def fit(self, healthy: HealthySlices, *, seed: int, folder: Path) -> FittedPrincipalComponents:
        """Find the components; the slices are read `passes` + 2 times.  `seed` decides where the search starts.

        Nothing is written: a fit that was stopped starts again.  Raises UserError where there is no healthy slice, or
        several devices are asked for.
        """
        settings = self.settings
        refuse_several_devices(self.name, settings.device)
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
        arrays = {"mean": mean.astype(np.float32), "components": components.reshape(-1, *mean.shape)}
        return FittedPrincipalComponents(settings, FittedArrays(arrays, seed))

    @classmethod
    def load(cls, folder: Path, device: DeviceSettings | None = None) -> FittedPrincipalComponents:
        """Read what `save` wrote; no device is used.  Raises UserError where something is missing or broken."""
        return FittedPrincipalComponents(*FittedArrays.load(folder, PrincipalComponentsSettings))


def _covariance_times(directions: Pixels, healthy: HealthySlices, mean: Pixels) -> Pixels:
    """The covariance of the values times `directions` (c * h * w, m)."""
    product = np.zeros_like(directions)
    for block in healthy_blocks(healthy):
        centred = (block - mean).reshape(len(block), -1)  # (k, c * h * w)
        product += centred.T @ (centred @ directions)
    return product / len(healthy)


METHOD = Method(PrincipalComponents, by_scale(PrincipalComponentsSettings, {"tiny": {"components": 16}}))

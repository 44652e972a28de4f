"""The mean image as a detector: what is unlike the average healthy slice is abnormal."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from anomae.detectors.baselines.fitted_arrays import FittedArrays, mean_of_values
from anomae.detectors.baselines.healthy_blocks import pixel_mean
from anomae.detectors.baselines.settings import MeanImageSettings
from anomae.detectors.method import Method, by_scale
from anomae.detectors.protocol import Findings, HealthySlices, Images4
from anomae.slices.store import grey
from anomae.training.one_device import refuse_several_devices
from anomae.training.settings import DeviceSettings


@dataclass(frozen=True, slots=True, eq=False)
class FittedMeanImage:
    """The score is the mean absolute difference from the mean of the healthy slices."""

    name: ClassVar[str] = "mean-image"
    map_name: ClassVar[str] = "absolute residual, prepared intensity"
    description: ClassVar[str] = ""
    settings: MeanImageSettings
    fitted: FittedArrays

    def inspect(self, images: Images4) -> Findings:
        """Images (n, c, h, w): score mean |x - mean|, map |x - mean|, mean of the channels, reconstruction the mean."""
        self.fitted.check(images)
        residuals = np.abs(images - self.fitted.mean)
        return Findings(mean_of_values(residuals), grey(residuals), self.fitted.means(len(images)))

    def save(self, folder: Path) -> None:
        """Write arrays.safetensors and, last, settings.json."""
        self.fitted.save(folder, self.name, self.settings)


class MeanImage:
    """Averages the healthy slices."""

    name: ClassVar[str] = FittedMeanImage.name
    settings_type = MeanImageSettings
    one_device: ClassVar[bool] = True

    def __init__(self, settings: MeanImageSettings) -> None:
        """Keep the settings."""
        self.settings = settings

    def fit(self, healthy: HealthySlices, *, seed: int, folder: Path) -> FittedMeanImage:
        """Average the healthy slices; nothing is drawn.

        Raises UserError where there is none, or several devices are asked for.
        """
        refuse_several_devices(self.name, self.settings.device)
        mean = pixel_mean(healthy).astype(np.float32)
        return FittedMeanImage(self.settings, FittedArrays({"mean": mean}, seed))

    @classmethod
    def load(cls, folder: Path, device: DeviceSettings | None = None) -> FittedMeanImage:
        """Read what `save` wrote; no device is used.  Raises UserError where something is missing or broken."""
        return FittedMeanImage(*FittedArrays.load(folder, MeanImageSettings))


METHOD = Method(MeanImage, by_scale(MeanImageSettings, {}))

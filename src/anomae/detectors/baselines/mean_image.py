"""The mean image as a detector: what is unlike the average healthy slice is abnormal."""

from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt

from anomae.detectors.baselines.fitted_arrays import load_arrays, save_arrays
from anomae.detectors.baselines.settings import MeanImageSettings
from anomae.detectors.healthy_blocks import pixel_mean
from anomae.detectors.protocol import Findings, HealthySlices
from anomae.errors import UserError
from anomae.slices.measures import image_mean
from anomae.training.settings import DeviceSettings


class MeanImage:
    """The score is the mean absolute difference from the mean of the healthy slices."""

    name = "mean-image"

    def __init__(self, settings: MeanImageSettings) -> None:
        """Keep the settings; nothing is learned before `fit` or `load`."""
        self.settings = settings
        self.seed = 0
        self.mean: npt.NDArray[np.float32] | None = None  # (h, w)

    def fit(self, healthy: HealthySlices, *, seed: int, folder: Path) -> Self:
        """Average the healthy slices; nothing is drawn.  Raises UserError where there is none."""
        self.seed, self.mean = seed, pixel_mean(healthy).astype(np.float32)
        return self

    def inspect(self, images: npt.NDArray[np.float32]) -> Findings:
        """Judge images (n, h, w): score mean |x - mean|, map |x - mean|, reconstruction the mean itself."""
        mean = self._fitted()
        maps = np.abs(images - mean)
        return Findings(image_mean(maps), maps, np.repeat(mean[None], len(images), axis=0))

    def save(self, folder: Path) -> None:
        """Write arrays.safetensors and, last, settings.json."""
        save_arrays(folder, self.name, self.seed, self.settings, {"mean": self._fitted()})

    @classmethod
    def load(cls, folder: Path, device: DeviceSettings | None = None) -> Self:
        """Read what `save` wrote; no device is used.  Raises UserError where something is missing or broken."""
        content, arrays = load_arrays(folder)
        detector = cls(MeanImageSettings.model_validate(content["settings"]))
        detector.seed, detector.mean = int(content["seed"]), arrays["mean"]
        return detector

    def _fitted(self) -> npt.NDArray[np.float32]:
        if self.mean is None:
            raise UserError("This mean image was not fitted yet.")
        return self.mean

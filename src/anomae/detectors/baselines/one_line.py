"""A measure of a single line as a detector: brightness, area of tissue, brightest spot, contrast of the centre.

The measures, and the direction in which each is held to be abnormal, are those that stand as trivial baselines in every
report (anomae.statistics.trivial_baselines), to the last bit; the area is taken here of the prepared image, there of
the raw scan.
The place of a slice in its scan is no function of its image, so no detector can give it: it stands in every report on
slices whose place is known (`position_rarity`, `position_centre`), and `anomae evaluate --scores` judges any column.
"""

from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt

from anomae.detectors.baselines.settings import OneLineSettings
from anomae.detectors.protocol import Findings, HealthySlices
from anomae.errors import UserError
from anomae.files import read_json, write_json
from anomae.slices.intensity import measure_scale
from anomae.slices.measures import MEASURES, tissue_area
from anomae.slices.settings import PrepareSettings
from anomae.training.settings import DeviceSettings

ENOUGH_IMAGES = 512


class OneLine:
    """The score is one measure of the image (`settings.measure`): nothing is learned but where tissue begins."""

    name = "one-line"

    def __init__(self, settings: OneLineSettings) -> None:
        """Keep the settings."""
        self.settings = settings
        self.seed = 0
        self.level: float | None = None

    def fit(self, healthy: HealthySlices, *, seed: int, folder: Path) -> Self:
        """Learn above which intensity tissue lies, from at most 512 healthy slices, evenly spaced; nothing is drawn.

        The rule is that of the preparation of MRI.  Raises UserError where there is no healthy slice.
        """
        if len(healthy) == 0:
            raise UserError("There is no healthy slice to learn from.")
        self.seed, self.level = seed, self.settings.level
        if self.level is None:
            indices = np.unique(np.linspace(0, len(healthy) - 1, ENOUGH_IMAGES).astype(np.int64))
            self.level = measure_scale(healthy.read(indices), PrepareSettings(intensity="percentile")).body_level
        return self

    def inspect(self, images: npt.NDArray[np.float32]) -> Findings:
        """Judge images (n, h, w): the score alone; such a measure has no map."""
        level, measure = self._fitted(), self.settings.measure
        return Findings(tissue_area(images, level) if measure == "area" else MEASURES[measure](images))

    def save(self, folder: Path) -> None:
        """Write settings.json."""
        content = {"level": self._fitted(), "settings": self.settings.model_dump(mode="json")}
        write_json(folder / "settings.json", {"detector": self.name, "seed": self.seed, **content})

    @classmethod
    def load(cls, folder: Path, device: DeviceSettings | None = None) -> Self:
        """Read what `save` wrote; no device is used.  Raises UserError where it is missing."""
        content = read_json(folder / "settings.json")
        detector = cls(OneLineSettings.model_validate(content["settings"]))
        detector.seed, detector.level = int(content["seed"]), float(content["level"])
        return detector

    def _fitted(self) -> float:
        if self.level is None:
            raise UserError("This measure was not fitted yet.")
        return self.level

"""A measure of a single line as a detector: brightness, area of tissue, brightest spot, contrast of the centre.

The measures, and the direction in which each is held to be abnormal, are those that stand as trivial baselines in every
report (anomae.statistics.trivial_baselines), to the last bit; the area is taken here of the prepared image, there of
the raw scan.  Of several channels their mean is measured.
The position of a slice in its scan is no function of its image, so no detector can give it: it stands in every report
on slices whose position is known (`position_rarity`, `position_centre`), and `anomae evaluate --scores` takes any
column.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from anomae.detectors.baselines.settings import OneLineSettings
from anomae.detectors.fitted_networks import saved_shape
from anomae.detectors.inference import check_images
from anomae.detectors.method import Method, by_scale
from anomae.detectors.protocol import Findings, HealthySlices, Images4
from anomae.errors import UserError
from anomae.files import read_json, write_json
from anomae.slices.intensity import measure_scale
from anomae.slices.measures import MEASURES, tissue_area
from anomae.slices.settings import PrepareSettings
from anomae.slices.store import grey
from anomae.training.one_device import refuse_several_devices
from anomae.training.settings import DeviceSettings

ENOUGH_IMAGES = 512


@dataclass(frozen=True, slots=True, eq=False)
class FittedOneLine:
    """The score is one measure of the image (`settings.measure`): nothing is learned but where tissue begins (`level`).

    level: in prepared intensity.  image_size: (h, w).  channels: c.
    """

    name: ClassVar[str] = "one-line"
    map_name: ClassVar[str] = ""
    description: ClassVar[str] = ""
    settings: OneLineSettings
    level: float
    image_size: tuple[int, int]
    channels: int
    seed: int

    def inspect(self, images: Images4) -> Findings:
        """Images (n, c, h, w): the score alone; such a measure has no map."""
        check_images(images, self.channels, self.image_size)
        pictures, measure = grey(images), self.settings.measure  # (n, h, w)
        return Findings(tissue_area(pictures, self.level) if measure == "area" else MEASURES[measure](pictures))

    def save(self, folder: Path) -> None:
        """Write settings.json."""
        shape = {"image_size": list(self.image_size), "channels": self.channels}
        content = {"seed": self.seed, **shape, "level": self.level, "settings": self.settings.model_dump(mode="json")}
        write_json(folder / "settings.json", {"detector": self.name, **content})


class OneLine:
    """Learns where tissue begins, if the settings do not say it."""

    name: ClassVar[str] = FittedOneLine.name
    settings_type = OneLineSettings
    one_device: ClassVar[bool] = True

    def __init__(self, settings: OneLineSettings) -> None:
        """Keep the settings."""
        self.settings = settings

    def fit(self, healthy: HealthySlices, *, seed: int, folder: Path) -> FittedOneLine:
        """Learn above which intensity tissue lies, from at most 512 healthy slices, evenly spaced; nothing is drawn.

        The rule is that of the preparation of MRI.  Raises UserError where there is no healthy slice, or
        several devices are asked for.
        """
        refuse_several_devices(self.name, self.settings.device)
        if len(healthy) == 0:
            raise UserError("There is no healthy slice to learn from.")
        level = self.settings.level
        if level is None:
            indices = np.unique(np.linspace(0, len(healthy) - 1, ENOUGH_IMAGES).astype(np.int64))
            pictures = grey(healthy.read(indices))
            level = measure_scale(pictures, PrepareSettings(intensity="percentile")).body_level
        return FittedOneLine(self.settings, float(level), healthy.image_size, healthy.channels, seed)

    @classmethod
    def load(cls, folder: Path, device: DeviceSettings | None = None) -> FittedOneLine:
        """Read what `save` wrote; no device is used.  Raises UserError where it is missing."""
        content = read_json(folder / "settings.json")
        settings = OneLineSettings.model_validate(content["settings"])
        channels, image_size = saved_shape(folder, content)
        return FittedOneLine(settings, float(content["level"]), image_size, channels, int(content["seed"]))


METHOD = Method(OneLine, by_scale(OneLineSettings, {}))

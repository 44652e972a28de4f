"""A detector on trial: made-up images to learn from and to look at, and what the checks of its contract share."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from anomae.detectors.protocol import Detector, FittedDetector, HealthySlices, Images4
from anomae.errors import UserError
from anomae.slices.store import Slices
from anomae.training.settings import DeviceSettings

SIDE, HEALTHY, NEW, A_SCAN = 32, 40, 21, 5


def made_up_images(count: int, seed: int, channels: int = 1) -> npt.NDArray[np.float16]:
    """Striped discs in 0..1, (count, channels, 32, 32): as a store would hold them.  Stripes differ by channel."""
    generator = np.random.default_rng(seed)
    y, x = np.mgrid[:SIDE, :SIDE] / SIDE - 0.5
    radius = generator.uniform(0.25, 0.4, (count, 1, 1))
    drawn = []
    for _ in range(channels):
        stripes = np.sin(generator.uniform(8, 20, (count, 1, 1)) * x) * 0.2 + 0.6
        drawn.append(np.where(np.hypot(x, y)[None] < radius, stripes, 0.0))
    return np.stack(drawn, axis=1).astype(np.float16)


def made_up_slices(channels: int = 1, count: int = HEALTHY) -> Slices:
    """Healthy slices to learn from: of scans of five slices each."""
    rows = np.arange(count)
    return Slices(made_up_images(count, 0, channels), order=(rows // A_SCAN, rows % A_SCAN))


@dataclass(frozen=True)
class DetectorTrial:
    """A detector on trial; what is fitted is kept from one check of anomae.detectors.contract to the next.

    make: gives a detector that is not fitted, small enough to learn from 40 images of 32 x 32 pixels in seconds.
    folder: where it may write.  draws: False for one that draws nothing, or nothing but where a search begins: another
    seed then gives nearly the same scores.  channels: how many are tried beside one; 1: it takes one channel only.
    refusals: what it may raise for images that it cannot take and files that it cannot load.  device: for loading.
    """

    make: Callable[[], Detector]
    folder: Path
    draws: bool = True
    channels: int = 3
    refusals: tuple[type[Exception], ...] = (UserError, ValueError, OSError)
    device: DeviceSettings = field(default_factory=lambda: DeviceSettings(accelerator="cpu"))

    def fit(self, name: str, channels: int = 1, seed: int = 3, healthy: HealthySlices | None = None) -> FittedDetector:
        """Fit in the folder `name`."""
        folder = self.folder / name
        folder.mkdir(parents=True, exist_ok=True)
        return self.make().fit(made_up_slices(channels) if healthy is None else healthy, seed=seed, folder=folder)

    @cached_property
    def fitted(self) -> FittedDetector:
        """Fitted on one channel."""
        return self.fit("fitted")

    @cached_property
    def of_channels(self) -> FittedDetector:
        """Fitted on several channels."""
        return self.fit("channels", self.channels)

    @cached_property
    def images(self) -> Images4:
        """New images (21, 1, 32, 32)."""
        return made_up_images(NEW, 1).astype(np.float32)

    def refuses(self, what: str, function: Callable[[], Any]) -> None:
        """Raises AssertionError unless `function` raises one of `refusals`, with one clear sentence."""
        try:
            function()
        except self.refusals as error:
            text = str(error)
            if not 10 < len(text) < 500 or not text.isprintable():
                raise AssertionError(f"{what}: {text!r} is not one clear sentence.") from error
            return
        raise AssertionError(f"{what} must be refused.")

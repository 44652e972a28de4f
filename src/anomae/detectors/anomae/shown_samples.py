"""What training samples look like, family by family, for an eye to see: see `anomae pseudo`."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from anomae.detectors.anomae.samples import altered_by, distracted_by, distractors_of, families_of
from anomae.detectors.anomae.settings import AnomaeSettings
from anomae.detectors.anomae.window import Window
from anomae.detectors.protocol import HealthySlices
from anomae.models.pseudo_lesions.apply import changed_area
from anomae.seeds import derive_seed

NAME, ENSEMBLE = "anomae", "ensemble"


@dataclass(frozen=True, slots=True)
class ShownSamples:
    """Healthy images (n, c, h, w) in 0..1 after one change each; changed: (n, h, w) bool, None where there is none.

    normal: the samples count as healthy, whatever was drawn into them.
    """

    title: str
    images: Tensor
    changed: Tensor | None
    normal: bool


def shown_samples(
    healthy: HealthySlices, chosen: npt.NDArray[np.int64], settings: AnomaeSettings, seed: int
) -> Iterator[ShownSamples]:
    """The healthy images at `chosen`, untouched, with what healthy samples are drawn with, and with every family.

    healthy: what the range of intensities is measured on.  Families that are not learned from are marked.
    """
    window = Window.measured(healthy, settings)
    images = window.seen(torch.from_numpy(healthy.read(chosen)))  # (n, c, h, w)
    yield ShownSamples("healthy", images, None, normal=True)
    for name in distractors_of(settings.lesions):
        drawn = distracted_by(images, name, _generator(seed, name))
        yield ShownSamples(f"normal: {name}", drawn, changed_area(images, drawn), normal=True)
    for family in families_of(settings.lesions, every=True):
        drawn, _ = altered_by(images, family, _generator(seed, family))
        title = family if family in families_of(settings.lesions) else f"{family} (not used)"
        yield ShownSamples(title, drawn, changed_area(images, drawn), normal=False)


def settings_among(detector: str, settings: Mapping[str, Any]) -> AnomaeSettings | None:
    """The settings of `anomae` in those of a run's detector, itself or an ensemble of it and others; else None."""
    of_members = settings["settings"] if detector == ENSEMBLE else {detector: settings}
    return AnomaeSettings.model_validate(of_members[NAME]) if NAME in of_members else None


def _generator(seed: int, drawn: str) -> torch.Generator:
    return torch.Generator().manual_seed(derive_seed(seed, "contact sheet", drawn))

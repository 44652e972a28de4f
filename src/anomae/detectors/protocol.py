"""What a detector is: anything that learns what healthy looks like and then says how far an image is from it.

Structural: a stranger's class needs no import of ours.  `Detector` learns and gives a `FittedDetector`, which never
changes.  Images are (n, c, h, w) float32 in the scale that the preparation gave them; c is 1 unless the store says
otherwise.  anomae.testing.check_detector tries all that is said here.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel

from anomae.training.settings import DeviceSettings

Images4 = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Findings:
    """What a fitted detector says about n images.

    scores: (n,) float64, higher is more anomalous.  maps: (n, h, w) float32, 0 and more, or None: where; what the
    numbers mean is the detector's `map_name`.  reconstructions: (n, c, h, w) float32 or None: what healthy would look
    like, in the scale of the prepared images.  other_scores: name -> (n,) float64, further scores that came for free,
    higher is more anomalous.  The name `neighbours` is taken: by the score smoothed over neighbouring slices, which is
    no one image's.
    """

    scores: npt.NDArray[np.float64]
    maps: npt.NDArray[np.float32] | None = None
    reconstructions: npt.NDArray[np.float32] | None = None
    other_scores: Mapping[str, npt.NDArray[np.float64]] = field(default_factory=dict)


class Images(Protocol):
    """Images that are read by index."""

    def __len__(self) -> int: ...

    @property
    def image_size(self) -> tuple[int, int]:
        """(h, w) in pixels."""
        ...

    @property
    def channels(self) -> int:
        """C."""
        ...

    def read(self, indices: Any) -> Images4:
        """Images at these indices (an array or a slice), (k, c, h, w) float32."""
        ...


class HealthySlices(Images, Protocol):
    """What `fit` reads: anomae.slices.store.Slices, or anything like it."""

    def neighbours(self, indices: Any) -> Images4:
        """The slices below and above those at these indices, (k, 2, c, h, w); the slice itself where none is."""
        ...


class FittedDetector(Protocol):
    """Unchangeable; says how far an image is from healthy.

    A score depends on the image and on what was fitted alone: not on the batch it came in, its order, the number of
    workers, or a global generator.

    May have, and need not: `needs_neighbours`, true where `inspect` (and `pretext`) take a second argument `neighbours`
    (n, 2, c, h, w), see `with_neighbours`; without it each slice stands for its own.  `pretext(images)`: family of
    pseudo-lesions -> scores (n,) of these healthy images with one of it each, NaN where it changes nothing, for the
    pretext figure of the report, and `trained_families`, those that it learned from.  `at_once`, how many calls of
    `inspect` from threads of one process pay; without it there is one at a time.  `inspect_training(healthy, indices)`:
    as `inspect`, of images that it was fitted on, where it keeps some of them and would find these too near; an
    ensemble measures its scale so.
    """

    @property
    def name(self) -> str:
        """As users type it."""
        ...

    @property
    def map_name(self) -> str:
        """What a map's numbers are, with unit, such as "absolute residual, prepared intensity"; "" without maps."""
        ...

    @property
    def description(self) -> str:
        """What a table must say of it beside its name, such as which pre-trained network it uses; "" for nothing."""
        ...

    def inspect(self, images: Images4) -> Findings:
        """Judge images (n, c, h, w) of the prepared scale.

        Raises UserError (a class that imports nothing of ours: ValueError), one clear sentence, for another rank,
        number of channels or size than was fitted, for no image at all, and for values that are not finite.
        """
        ...

    def save(self, folder: Path) -> None:
        """Write everything `load` needs into `folder`, which exists: settings.json last, its key "detector" the name.

        No pickle.
        """
        ...


class Detector(Protocol):
    """Not fitted: settings, and how to learn.

    May have, and need not, so that an ensemble refuses what a member does before any other is fitted: `one_device`, an
    attribute of the class, true where `fit` refuses several devices; `refuse_size(image_size)`, which raises what `fit`
    does for images of (h, w) pixels that cannot be learned from.
    """

    @property
    def name(self) -> str:
        """As users type it; an attribute of the class."""
        ...

    @property
    def settings_type(self) -> type[BaseModel]:
        """Of the settings; an attribute of the class.

        `--set` changes its fields, which in another package's class all need a default.
        """
        ...

    def __init__(self, settings: Any) -> None:
        """Keep the settings, of `settings_type`; build nothing."""
        ...

    def fit(self, healthy: HealthySlices, *, seed: int, folder: Path) -> FittedDetector:
        """Learn from healthy slices; `folder` takes journal and checkpoints, and a stopped fit goes on there.

        Raises UserError where there is nothing to learn from.
        """
        ...

    @classmethod
    def load(cls, folder: Path, device: DeviceSettings | None = None) -> FittedDetector:
        """Read what `save` wrote; device: where it is to compute, None: the best there is.

        Raises UserError where something is missing or broken.
        """
        ...


class LabelledValidation(Protocol):
    """A detector whose checkpoint may be chosen by labelled validation images, if its settings say so.

    `fit` then takes `validation`: images (as for `healthy`) and labels (n,) int8, 0 healthy, 1 abnormal.  The report
    says that labels were seen.
    """

    def chooses_by_labels(self) -> bool:
        """Whether these settings want it."""
        ...


def with_neighbours(detector: Any, images: Images4, neighbours: Callable[[], Images4]) -> tuple[Images4, ...]:
    """What `inspect` and `pretext` of a fitted detector take: images (n, c, h, w), and neighbours if it wants them.

    neighbours: gives them, (n, 2, c, h, w); called for such a detector only.
    """
    return (images, neighbours()) if getattr(detector, "needs_neighbours", False) else (images,)


def at_once(detector: Any) -> int:
    """How many calls of its `inspect` may be under way at the same time; 1 unless it says otherwise."""
    return int(getattr(detector, "at_once", 1))


def own_calibration_of(detector: Any) -> Path | None:
    """The folder with what an exported model in bf16 or int8 itself gives to healthy people; None: torch's holds."""
    return getattr(detector, "own_calibration", None)


def engine_of(detector: Any) -> str:
    """What computes its scores: "torch", or the engine of an exported model with version and precision."""
    return str(getattr(detector, "engine", "torch"))

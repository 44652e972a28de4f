"""What a detector is: anything that learns what healthy looks like and then says how far an image is from it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, Self

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, slots=True)
class Findings:
    """What a detector says about n slices.

    scores: (n,) float64, higher is more anomalous.  maps: (n, h, w) float32 or None: where.
    reconstructions: (n, h, w) float32 or None: what healthy would look like, in the scale of the prepared images.
    other_scores: name -> (n,) float64, further scores that came for free, higher is more anomalous.  The name
    `neighbours` is taken: by the score smoothed over neighbouring slices, which is no one image's.
    """

    scores: npt.NDArray[np.float64]
    maps: npt.NDArray[np.float32] | None = None
    reconstructions: npt.NDArray[np.float32] | None = None
    other_scores: Mapping[str, npt.NDArray[np.float64]] = field(default_factory=dict)


class Images(Protocol):
    """Images that are read by place."""

    def __len__(self) -> int: ...

    @property
    def image_size(self) -> tuple[int, int]:
        """(h, w) in pixels."""
        ...

    def read(self, indices: Any) -> npt.NDArray[np.float32]:
        """Images at these places, (k, h, w) float32."""
        ...


class HealthySlices(Images, Protocol):
    """What `fit` reads: anomae.slices.store.Slices, or anything like it."""

    def neighbours(self, indices: Any) -> npt.NDArray[np.float32]:
        """The slices below and above those at these places, (k, 2, h, w) float32; the slice itself where none is."""
        ...


class Detector(Protocol):
    """Learns what healthy looks like, then says how far a slice is from it.

    Structural: a class of a stranger needs no import of ours.  A score depends on the image and on what was fitted
    alone: not on the batch it came in, its order, the number of workers, or a global generator.

    One with an attribute `needs_neighbours` that is true looks at the slices below and above too: its `inspect`, and
    its `pretext` where it has one, take a second argument `neighbours` (n, 2, h, w), see `with_neighbours`.  Without
    it, each slice stands for its own neighbours.
    """

    def fit(self, healthy: HealthySlices, *, seed: int, folder: Path) -> Self:
        """Learn from healthy slices; `folder` takes journal and checkpoints, and a stopped fit goes on there."""
        ...

    def inspect(self, images: npt.NDArray[np.float32]) -> Findings:
        """Judge images (n, h, w) of the prepared scale."""
        ...

    def save(self, folder: Path) -> None:
        """Write everything `load` needs; no pickle."""
        ...

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote."""
        ...


def with_neighbours(
    detector: Any, images: npt.NDArray[np.float32], neighbours: Callable[[], npt.NDArray[np.float32]]
) -> tuple[npt.NDArray[np.float32], ...]:
    """What `inspect` and `pretext` of `detector` take: images (n, h, w), and their neighbours if it wants them.

    neighbours: gives them, (n, 2, h, w); called for such a detector only.
    """
    return (images, neighbours()) if getattr(detector, "needs_neighbours", False) else (images,)

"""Healthy slices with a pseudo-lesion each, and what a detector scores them: the pretext task."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from anomae.detectors.protocol import Findings, Images4


@dataclass(frozen=True, slots=True)
class AlteredSlices:
    """Healthy images (n, c, h, w) with one lesion of a family each, as `pretext_images` of a fitted detector gives.

    neighbours: (n, 2, c, h, w), the lesions in them too; None where the detector looks at none.  seen: (n,) bool,
    whether the lesion is to be seen: where it finds no tissue, or tissue like itself, it changes nothing.
    """

    family: str
    images: Images4
    neighbours: Images4 | None
    seen: npt.NDArray[np.bool_]


def pretext_scores(
    inspect: Callable[[Images4, Images4 | None], Findings], altered: Iterable[AlteredSlices]
) -> dict[str, npt.NDArray[np.float64]]:
    """Family -> scores (n,) of slices with one lesion of it each, NaN where it is not to be seen."""
    return {one.family: np.where(one.seen, inspect(one.images, one.neighbours).scores, np.nan) for one in altered}

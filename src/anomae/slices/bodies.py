"""Where the brain or the body is in a scan: what a preparation leaves, and what it makes black."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from anomae.cohorts.brain_files import read_given_brain
from anomae.cohorts.case import CaseSlices
from anomae.errors import UnreadableScan
from anomae.slices.intensity import IntensityScale
from anomae.slices.settings import PrepareSettings

# Of a skull-stripped scan so much at least is background of one value, and of the rest so little is as dark as this
# share of its 99th percentile.  Measured: 0.82 and 0.04 or less in BraTS; 0.35 and more dark voxels in every LGG scan.
STRIPPED_BACKGROUND, STRIPPED_DARK, DARK = 0.10, 0.15, 0.10


@dataclass(frozen=True, slots=True)
class Body:
    """Where the brain or body is, (n, h, w), and how that was found: "given", "nonzero", "extracted" or "level"."""

    where: npt.NDArray[np.bool_]
    found: str

    @property
    def note(self) -> str:
        """A sentence for the notes of the case."""
        return {
            "given": "the brain mask was given in a file beside the scan",
            "nonzero": "the brain is what the skull-stripped scan shows",
            "extracted": "the brain mask was extracted by deepbet 1.0.2",
            "level": "the body is the largest piece above the level of tissue, its holes filled",
        }[self.found]


def find_body(case: CaseSlices, settings: PrepareSettings, scale: IntensityScale) -> Body:
    """The brain or body of a case, as settings.preparation and settings.brain_mask say.  Raises UnreadableScan."""
    if settings.preparation == "body":
        return Body(_largest_filled(scale.body(case.images)), "level")
    wanted = settings.brain_mask
    if wanted in ("auto", "given"):
        given = read_given_brain(case)
        if given is not None:
            return Body(given, "given")
        if wanted == "given":
            raise UnreadableScan("no brain mask lies beside it (named like it, with _brain, _brainmask or _bet_mask).")
    if wanted == "nonzero" or (wanted == "auto" and is_stripped(case.images, scale)):
        shown = scale.read(case.images) != background_of(case.images, scale)
        return Body(_largest_filled(shown), "nonzero")
    if len(case.images) < 2:
        raise UnreadableScan("it is a single picture, in which no brain can be searched; use preparation=body.")
    from anomae.slices.brain_extraction import extract_brain

    return Body(extract_brain(scale.read(case.images)), "extracted")


def background_of(images: npt.NDArray[Any], scale: IntensityScale) -> float:
    """The value that is most frequent along the edges of the slices (n, h, w)."""
    edges = [images[:, [0, -1], :].ravel(), images[:, :, [0, -1]].ravel()]
    values, counts = np.unique(scale.read(np.concatenate(edges)), return_counts=True)
    return float(values[np.argmax(counts)])


def is_stripped(images: npt.NDArray[Any], scale: IntensityScale) -> bool:
    """Whether a scan (n, h, w) shows a brain without its skull: much of one background, hardly any dark voxel beside.

    A scan of a head has noise in the air around it and bone within it, both darker than tissue.
    """
    voxels = scale.read(images)
    shown = voxels[voxels != background_of(images, scale)]
    if shown.size < 1000 or shown.size > (1 - STRIPPED_BACKGROUND) * voxels.size:
        return False
    lowest = min(float(shown.min()), scale.fill)
    dark = lowest + DARK * (float(np.percentile(shown, 99)) - lowest)
    return bool((shown < dark).mean() < STRIPPED_DARK)


def _largest_filled(where: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """The largest connected piece of (n, h, w), the holes of each of its slices filled."""
    from scipy.ndimage import binary_fill_holes, label

    numbered, count = label(where)
    if count > 1:
        sizes = np.bincount(numbered.ravel())
        sizes[0] = 0
        where = numbered == sizes.argmax()
    return np.stack([binary_fill_holes(one) for one in where]) if count else where

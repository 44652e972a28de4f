"""Where the brain or the body is in a scan: what a preparation leaves, and what it makes black."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from anomae.cohorts.brain_files import read_brain_file
from anomae.cohorts.case import CaseSlices
from anomae.errors import UnreadableScan
from anomae.slices.given_brain import where_brain
from anomae.slices.holes import largest_filled
from anomae.slices.intensity import IntensityScale
from anomae.slices.settings import PrepareSettings
from anomae.slices.skull import background_of, is_stripped


@dataclass(frozen=True, slots=True)
class Body:
    """Where the brain or body is, (n, h, w), and how that was found: "given", "nonzero", "extracted" or "level".

    remarks: what was noticed on the way, a sentence each.
    """

    where: npt.NDArray[np.bool_]
    found: str
    remarks: tuple[str, ...] = ()

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences for the notes of the case."""
        return (_FOUND[self.found], *self.remarks)


GIVEN = "the brain mask was given in a file beside the scan"
APART = "the brain mask of its subject does not lie on it and was not used"
_FOUND = {
    "given": GIVEN,
    "nonzero": "the brain is what the skull-stripped scan shows",
    "extracted": "the brain mask was extracted by deepbet 1.0.2",
    "level": "the body is the largest piece above the level of tissue, its holes filled",
}


_NOT_STRIPPED = "it does not look skull-stripped, as brain_mask=nonzero takes it to be: what was prepared is no brain"


def find_body(case: CaseSlices, settings: PrepareSettings, scale: IntensityScale) -> Body:
    """The brain or body of a case of one channel, as settings.preparation and settings.brain_mask say.

    Raises UnreadableScan where there is none, or a mask that was asked for is missing or broken.
    """
    images = case.images[:, 0]
    if settings.preparation == "body":
        return Body(largest_filled(scale.body(images)), "level")
    wanted = settings.brain_mask
    remarks: tuple[str, ...] = ()
    if settings.seeks_brain_file:
        given = read_brain_file(case)
        if given is not None and not given.apart:
            return Body(where_brain(given), "given")
        if wanted == "given":
            missing = "no brain mask lies beside it (named like it, with _brain, _brainmask or _bet_mask)."
            raise UnreadableScan(given.apart if given is not None else missing)
        remarks = (APART,) if given is not None else ()
    stripped = wanted != "extract" and is_stripped(images, scale)
    if wanted == "nonzero" or stripped:
        shown = scale.read(images) != background_of(images, scale)
        return Body(largest_filled(shown), "nonzero", remarks if stripped else (*remarks, _NOT_STRIPPED))
    if len(images) < 2:
        raise UnreadableScan("it is a single picture, in which no brain can be searched; use preparation=body.")
    from anomae.slices.brain_extraction import extract_brain

    brain, swapped = extract_brain(scale.read(images))
    return Body(brain, "extracted", (*remarks, swapped) if swapped else remarks)

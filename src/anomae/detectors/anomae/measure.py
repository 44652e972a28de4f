"""A measure of the image that joins the score of the heads, each on the scale of healthy images; without torch.

On FLAIR and T2 most lesions are brighter than healthy tissue, which one line of code sees (the brightest spot of a
prepared slice); where it says something, a detector should say no less.  docs/results.md has both and the two together.
"""

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt

from anomae.detectors.member_scale import MemberScale, judged_together, measured_blocks
from anomae.detectors.protocol import Findings, Images4
from anomae.errors import UserError
from anomae.slices.measures import LOWEST, MEASURES
from anomae.slices.store import grey

HEADS = "heads"


def joined(found: Findings, images: Images4, measure: str, scales: Mapping[str, MemberScale]) -> Findings:
    """What the heads found in images (n, c, h, w), its score the mean with that of `measure`, both standardised.

    An image in which there is nothing to measure counts as the middle of healthy ones by the measure.  The maps stay
    those of the heads.  The score of the heads and the measure stand beside, as `heads` and by its name.
    """
    measured = MEASURES[measure](grey(images))
    counted = np.where(measured > LOWEST, measured, scales[measure].usual)
    together = judged_together({HEADS: Findings(found.scores), measure: Findings(counted)}, scales)
    return Findings(together.scores, found.maps, None, {**found.other_scores, HEADS: found.scores, measure: measured})


def healthy_scales(
    inspect: Callable[[npt.NDArray[np.int64]], Findings],
    read: Callable[[npt.NDArray[np.int64]], Images4],
    images: int,
    measure: str,
) -> dict[str, MemberScale]:
    """The scales of the heads and of `measure` over at most 512 healthy images, evenly spaced.

    inspect, read: indices (k,) -> what the heads find in these images, and the images (k, c, h, w).  images: how many
    there are.  Raises UserError where there is nothing to measure in any.
    """
    blocks = measured_blocks(images)
    by_heads = np.concatenate([inspect(block).scores for block in blocks])
    measured = np.concatenate([MEASURES[measure](grey(read(block))) for block in blocks])
    there = measured[measured > LOWEST]
    if not len(there):
        raise UserError(f"No healthy image has enough tissue for {measure}; set measure=none.")
    return {HEADS: MemberScale.measured(by_heads, []), measure: MemberScale.measured(there, [])}

"""A measure of the image that joins the score of the heads, each on the scale of healthy images; without torch.

On FLAIR and T2 most lesions are brighter than healthy tissue, which one line of code sees (the brightest spot of a
prepared slice); where it says something, a detector should say no less.  docs/results.md has both and the two together.
"""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from anomae.detectors.member_scale import MemberScale, judged_together
from anomae.detectors.protocol import Findings, Images4
from anomae.slices.measures import MEASURES
from anomae.slices.store import grey

HEADS = "heads"
Numbers = npt.NDArray[np.float64]


def joined(found: Findings, images: Images4, measure: str, scales: Mapping[str, MemberScale]) -> Findings:
    """What the heads found in images (n, c, h, w), its score the mean with that of `measure`, both standardised.

    The maps stay those of the heads.  The score of the heads and the measure stand beside, as `heads` and by its name.
    """
    both = {HEADS: Findings(found.scores), measure: Findings(MEASURES[measure](grey(images)))}
    together = judged_together(both, scales)
    return Findings(together.scores, found.maps, None, {**found.other_scores, **together.other_scores})


def healthy_scales(by_heads: Numbers, measured: Numbers, measure: str) -> dict[str, MemberScale]:
    """The scales of the heads and of `measure` from what healthy images (n,) have of each."""
    return {HEADS: MemberScale.measured(by_heads, []), measure: MemberScale.measured(measured, [])}

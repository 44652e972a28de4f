"""What healthy slices with little tissue score above those with much, taken off the score; without torch.

Where a healthy slice shows little of the brain, heads may find it less healthy than one that shows much, though there
is less that could be abnormal: that is a fault of theirs, which is measured on healthy slices and taken off.  Where
the score of healthy slices does not fall with the tissue, nothing is.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from anomae.detectors.protocol import Findings, Images4
from anomae.slices.measures import tissue_area
from anomae.slices.store import grey

HIGHEST = "highest_patches"  # the score as the heads gave it
GROUPS, FEWEST = 12, 20  # of healthy slices by their tissue, and slices in each at least
_NEAR_NONE = 1e-6

Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class AreaExcess:
    """Log odds by which healthy slices of a tissue area score above the largest.

    areas: the tissue's share of the image, rising.  excess: at each of these, falling to 0 at the last; between them
    as on a line, beyond them as at the ends.
    """

    areas: tuple[float, ...]
    excess: tuple[float, ...]

    @classmethod
    def measured(cls, scores: Numbers, areas: Numbers) -> "AreaExcess":
        """From healthy images' scores, probabilities (n,), and their tissue areas (n,); those without tissue are left.

        The mean log odds of groups of like area, as close to them as a function can come that never rises with the
        area; nothing is taken off where there are too few slices to tell two groups.
        """
        from scipy.optimize import isotonic_regression

        seen = areas > 0
        order = np.argsort(areas[seen], kind="stable")
        groups = min(GROUPS, len(order) // FEWEST)
        if groups < 2:
            return cls((0.0,), (0.0,))
        chances = np.clip(scores[seen], _NEAR_NONE, 1 - _NEAR_NONE)
        odds = np.log(chances) - np.log1p(-chances)
        parts = np.array_split(order, groups)
        sizes = np.array([len(part) for part in parts], dtype=np.float64)
        falling = isotonic_regression([odds[part].mean() for part in parts], weights=sizes, increasing=False).x
        return cls(
            tuple(float(areas[seen][part].mean()) for part in parts), tuple(float(one - falling[-1]) for one in falling)
        )

    def lowered(self, scores: Numbers, areas: Numbers) -> Numbers:
        """Scores (n,) of images of these tissue areas (n,), less the log odds; where these are 0, as they were."""
        excess = np.interp(areas, self.areas, self.excess)
        return np.where(excess > 0, scores / (scores + (1 - scores) * np.exp(excess)), scores)

    def taken_off(self, found: Findings, images: Images4) -> Findings:
        """The findings of images (n, c, h, w), with that score; the one of the heads stands beside."""
        scores = self.lowered(found.scores, areas_of(images))
        return Findings(scores, found.maps, found.reconstructions, {**found.other_scores, HIGHEST: found.scores})


def areas_of(images: Images4) -> Numbers:
    """The share of pixels above 0 of images (n, c, h, w), (n,)."""
    return tissue_area(grey(images), 0.0)

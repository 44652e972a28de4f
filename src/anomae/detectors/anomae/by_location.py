"""What heads say of healthy patches at a location, taken off what they say of others there; without torch.

Heads find some locations of a healthy brain less healthy than others, and slices with little of it less than those with
much, though there is less in them that could be abnormal.  That is a fault of theirs: it is measured on healthy slices
and taken off.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from anomae.detectors.protocol import Images4
from anomae.slices.measures import tissue_area
from anomae.slices.store import grey

Numbers = npt.NDArray[np.float64]

GROUPS, FEWEST = 4, 20  # of healthy slices by their tissue area, and slices in each at least
TISSUE = 0.3  # share of a patch that is tissue where it counts
STEADY = 10.0  # patches like the mean that are counted in at every location
_SPREAD = 1.0  # of neighbouring patches that are counted in, patches
_NEAR_NONE = 1e-6


@dataclass(frozen=True, slots=True, eq=False)
class HealthyOdds:
    """Log odds of healthy patches by location, above the mean over all locations.

    areas: the tissue's share of the image, one of each group of slices, rising.  odds: (groups, gh, gw); between two
    groups as on a line, beyond them as at the ends.
    """

    areas: tuple[float, ...]
    odds: Numbers

    @classmethod
    def measured(
        cls, patches: npt.NDArray[np.float32], tissue: npt.NDArray[np.float32], areas: Numbers
    ) -> "HealthyOdds":
        """From what heads say of healthy images' patches, probabilities (n, gh, gw).

        tissue: the share of each patch that is tissue, 0..1 (n, gh, gw).  areas: of the images (n,); those without
        tissue are left.  Slices are parted by their area into groups of one size, and groups of one and the same area
        are one; patches with little tissue do not count, those beside do, and a location that few healthy patches say
        anything of is like the mean.  Where there are too few slices for one group, nothing is taken off.
        """
        from scipy.ndimage import gaussian_filter

        seen = np.flatnonzero(areas > 0)
        order = seen[np.argsort(areas[seen], kind="stable")]
        groups = min(GROUPS, len(order) // FEWEST)
        counted = tissue > TISSUE
        if groups == 0 or not counted[order].any():
            return cls((0.0,), np.zeros((1, *patches.shape[1:])))
        chances = np.clip(patches.astype(np.float64), _NEAR_NONE, 1 - _NEAR_NONE)
        odds = np.where(counted, np.log(chances) - np.log1p(-chances), 0.0)
        mean = odds[order].sum() / counted[order].sum()
        parts: list[npt.NDArray[np.int64]] = []
        for part in np.array_split(order, groups):
            if parts and areas[parts[-1][0]] == areas[part[-1]]:  # there is no line between them
                parts[-1] = np.concatenate([parts[-1], part])
            else:
                parts.append(part)
        spread = (0, _SPREAD, _SPREAD)
        sums = gaussian_filter(np.stack([odds[part].sum(axis=0) for part in parts]), spread)
        counts = gaussian_filter(np.stack([counted[part].sum(axis=0).astype(np.float64) for part in parts]), spread)
        found = (sums + STEADY * mean) / (counts + STEADY) - mean
        return cls(tuple(float(areas[part].mean()) for part in parts), found)

    @classmethod
    def read(cls, content: Mapping[str, Any]) -> "HealthyOdds":
        """From what `content` gave."""
        return cls(tuple(content["areas"]), np.array(content["odds"], dtype=np.float64))

    def content(self) -> dict[str, Any]:
        """As JSON holds it."""
        return {"areas": list(self.areas), "odds": self.odds.tolist()}

    def factors(self, areas: Numbers) -> npt.NDArray[np.float32]:
        """Of images of these tissue areas (n,): what the odds of each patch are to be divided by, (n, gh, gw)."""
        at = np.interp(areas, self.areas, np.arange(len(self.areas)))
        below = at.astype(np.int64)
        above = np.minimum(below + 1, len(self.areas) - 1)
        share = (at - below)[:, None, None]
        return np.exp(self.odds[below] * (1 - share) + self.odds[above] * share).astype(np.float32)


def areas_of(images: Images4) -> Numbers:
    """The share of pixels above 0 of images (n, c, h, w), (n,)."""
    return tissue_area(grey(images), 0.0)

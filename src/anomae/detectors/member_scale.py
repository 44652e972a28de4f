"""What healthy images score with one member of an ensemble, and what all members say on that scale; without torch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from anomae.detectors.protocol import Findings

MEASURED_IMAGES, BLOCK = 512, 32
_SMALLEST = 1e-12
_SPREAD = (15.87, 84.13)  # percentiles a standard deviation below and above the middle of a normal distribution
_MAP = 99.0


@dataclass(frozen=True, slots=True)
class MemberScale:
    """logarithm: scores are compared by their logarithm, as all healthy ones are above 0.

    middle, spread: median of the healthy scores (or of their logarithms), and half of the span of their middle 68 %.
    unit: the 99th percentile of healthy map values above 0; 0 where the member has no maps.
    """

    logarithm: bool
    middle: float
    spread: float
    unit: float

    @classmethod
    def measured(cls, scores: npt.NDArray[np.float64], maps: Sequence[npt.NDArray[np.float32]]) -> "MemberScale":
        """From the scores (n,) of healthy images, and their maps in blocks (k, h, w), none where there are none."""
        logarithm = bool((scores > 0).all())
        values = np.log(np.maximum(scores, _SMALLEST)) if logarithm else scores
        low, high = np.percentile(values, _SPREAD)
        values_of_maps = np.concatenate([block[block > 0] for block in maps]) if maps else np.zeros(0, np.float32)
        unit = 0.0 if not maps else float(np.percentile(values_of_maps, _MAP)) if len(values_of_maps) else 1.0
        return cls(logarithm, float(np.median(values)), max(float(high - low) / 2, _SMALLEST), unit)

    @property
    def usual(self) -> float:
        """The score in the middle of healthy images."""
        return float(np.exp(self.middle)) if self.logarithm else self.middle

    def standardised(self, scores: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """How many spreads above the middle of healthy images these scores (n,) are."""
        values = np.log(np.maximum(scores, _SMALLEST)) if self.logarithm else scores
        return (values - self.middle) / self.spread


def measured_blocks(images: int) -> list[npt.NDArray[np.int64]]:
    """Indices (k,) of at most 512 of so many healthy images, evenly spaced, in blocks: what scales are measured on."""
    indices = np.unique(np.linspace(0, images - 1, MEASURED_IMAGES).astype(np.int64))
    return [indices[start : start + BLOCK] for start in range(0, len(indices), BLOCK)]


def judged_together(found: Mapping[str, Findings], scales: Mapping[str, MemberScale]) -> Findings:
    """The mean standardised score and the mean map of the members, by name; each member's own score beside.

    Reconstructions are those of the first member that has some.
    """
    scores = np.mean([scales[name].standardised(one.scores) for name, one in found.items()], axis=0)
    maps = [one.maps / np.float32(scales[name].unit) for name, one in found.items() if one.maps is not None]
    rebuilt = next((one.reconstructions for one in found.values() if one.reconstructions is not None), None)
    others = {name: one.scores for name, one in found.items()}
    return Findings(scores, np.mean(maps, axis=0, dtype=np.float32) if maps else None, rebuilt, others)

"""Scores of healthy people that a detector did not learn from: what every threshold and every share is taken from."""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

Scores = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class HealthyScores:
    """What a fitted detector gives to healthy people that it did not learn from; kept beside it, naming nobody.

    scores: (m,) float64, of m slices.  smoothed: (m,), each smoothed over the neighbouring slices among them; None
    where no slice has a neighbour, or an earlier version kept them.  map_tops: (m,), the highest value of each slice's
    map; None where the detector draws none.  person: (m,) which patient each slice is of, 0..p-1.  unit: "patient", or
    "file" or "cluster" where patients are unknown.  source: a phrase, "240 normal slices of 9 patients of the
    validation split".  doubts: why the bounds may not hold, a sentence each.  computed_on: kind of device and
    precision, "" where not known.
    """

    scores: Scores
    map_tops: Scores | None
    person: npt.NDArray[np.int64]
    unit: str
    source: str
    doubts: tuple[str, ...] = ()
    computed_on: str = ""
    smoothed: Scores | None = None

    @property
    def people(self) -> int:
        """How many patients (or files) there are."""
        return len(np.unique(self.person))

    def over_neighbours(self) -> "HealthyScores | None":
        """The same with the smoothed scores as its scores; None where there are none."""
        return None if self.smoothed is None else replace(self, scores=self.smoothed)

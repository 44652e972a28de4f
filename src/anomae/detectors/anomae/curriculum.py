"""The curriculum towards subtle: early steps see the strongest pseudo-lesions only, later ones all of them."""

import numpy as np
import numpy.typing as npt

FIRST = 0.25  # share of the lesions, the strongest, that the first step draws from


class Curriculum:
    """Which samples take the place of those whose turn it is; depends on their strengths and the step alone."""

    def __init__(self, strength: npt.NDArray[np.float32], abnormal: npt.NDArray[np.bool_], steps: int) -> None:
        """strength: (n,) of the samples.  abnormal: (n,), which have a lesion.  steps: after so many, all take part."""
        rows = np.flatnonzero(abnormal)
        self.steps, self.abnormal = steps, abnormal
        self.by_strength = rows[np.argsort(-strength[rows], kind="stable")]
        self.rank = np.zeros(len(abnormal), np.int64)
        self.rank[self.by_strength] = np.arange(len(rows))

    def exchanged(self, indices: npt.NDArray[np.int64], step: int) -> npt.NDArray[np.int64]:
        """For each sample (b,) itself, or a stronger lesion at the same share of those that are drawn from at `step`.

        What is drawn from grows from the strongest quarter to all, evenly.  Healthy samples stay.
        """
        if step >= self.steps:
            return indices
        drawn_from = FIRST + (1 - FIRST) * step / self.steps
        rank = (self.rank[indices] * drawn_from).astype(np.int64)
        exchanged = indices.copy()
        lesion = self.abnormal[indices]
        exchanged[lesion] = self.by_strength[rank[lesion]]
        return exchanged

"""How often each patient is drawn in each resample: the same numbers whoever asks, in whatever portions."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from anomae.seeds import generator

MOST_KEPT = 64_000_000  # bytes of draws kept in memory; more are drawn anew each time
AT_ONCE = 64  # resamples drawn together


class PatientDraws:
    """`resamples` resamples of `patients` patients, with replacement; the same seed and numbers give the same ones."""

    def __init__(self, patients: int, resamples: int, seed: int) -> None:
        """Nothing is drawn yet."""
        self.patients, self.resamples, self.seed = patients, resamples, seed
        self._kept: npt.NDArray[np.uint16] | None = None

    def batches(self, size: int) -> Iterator[npt.NDArray[np.uint16]]:
        """How often each patient is drawn, (k, patients) at a time, k at most `size`."""
        if self._kept is None and 2 * self.resamples * self.patients <= MOST_KEPT:
            self._kept = np.concatenate([np.empty((0, self.patients), np.uint16), *self._drawn(AT_ONCE)])
        if self._kept is None:
            yield from self._drawn(size)
        else:
            for start in range(0, self.resamples, size):
                yield self._kept[start : start + size]

    def _drawn(self, size: int) -> Iterator[npt.NDArray[np.uint16]]:
        rng = generator(self.seed, "bootstrap", self.patients)
        for start in range(0, self.resamples, size):
            count = min(size, self.resamples - start)
            drawn = rng.integers(0, self.patients, (count, self.patients))
            drawn += np.arange(count)[:, None] * self.patients
            times = np.bincount(drawn.ravel(), minlength=count * self.patients)
            yield times.reshape(count, self.patients).astype(np.uint16)

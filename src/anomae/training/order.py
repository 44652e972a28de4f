"""Which samples make up which step: a stream of shuffled epochs, computable from the step alone."""

import numpy as np
import numpy.typing as npt

from anomae.seeds import generator


class SampleOrder:
    """An endless stream of permutations of `count` samples; step s takes its elements s * batch to (s + 1) * batch.

    Nothing is dropped and no batch is short, so it serves any count; resuming needs the step number only.
    """

    def __init__(self, count: int, batch: int, seed: int, name: str) -> None:
        """`name` keeps the streams of different trainings of one seed apart."""
        self.count, self.batch, self.seed, self.name = count, batch, seed, name
        self._epochs: dict[int, npt.NDArray[np.int64]] = {}

    def step(self, step: int) -> npt.NDArray[np.int64]:
        """The samples of this step, (batch,) int64."""
        first = step * self.batch
        indices = np.arange(first, first + self.batch)
        epochs = indices // self.count
        taken = [self._epoch(int(epoch))[indices[epochs == epoch] % self.count] for epoch in np.unique(epochs)]
        return np.concatenate(taken)

    def _epoch(self, epoch: int) -> npt.NDArray[np.int64]:
        if epoch not in self._epochs:
            if len(self._epochs) > 2:
                self._epochs.clear()
            self._epochs[epoch] = generator(self.seed, self.name, "order", epoch).permutation(self.count)
        return self._epochs[epoch]

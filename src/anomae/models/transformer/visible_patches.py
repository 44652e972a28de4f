"""Which patches of an image are visible in use, drawn from the image's own seed; numpy alone, so also without torch."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt


def drawn_visible(
    seeds: Sequence[int], patches: int, visible: int, passes: int, covering: bool = False
) -> npt.NDArray[np.int64]:
    """(B, passes, K) int64: the visible patches of each image in each pass, from a generator of the image's own seed.

    Independent draws (paper: "4 times with different masks"), or covering: one shuffled circle of all patches is cut
    into consecutive stretches, so that over the passes every patch is visible equally often (or, where N does not
    divide passes * K, at most once more than another).
    """
    drawn = np.empty((len(seeds), passes, visible), dtype=np.int64)
    for index, seed in enumerate(seeds):
        generator = np.random.Generator(np.random.Philox(seed))
        if covering:
            circle = np.resize(generator.permutation(patches), passes * visible)
            drawn[index] = circle.reshape(passes, visible)
        else:
            for turn in range(passes):
                drawn[index, turn] = generator.permutation(patches)[:visible]
    return drawn

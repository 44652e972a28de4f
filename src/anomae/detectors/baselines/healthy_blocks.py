"""All healthy slices read a block at a time, and their mean and variance, so that memory does not grow with them."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from anomae.detectors.protocol import HealthySlices
from anomae.errors import UserError

BLOCK = 128
Pixels = npt.NDArray[np.float64]


def healthy_blocks(healthy: HealthySlices) -> Iterator[Pixels]:
    """All slices in order, (k, c, h, w), at most BLOCK at a time.

    Raises UserError where there is none, or one holds a number that is not finite.
    """
    if len(healthy) == 0:
        raise UserError("There is no healthy slice to learn from.")
    for start in range(0, len(healthy), BLOCK):
        block = healthy.read(slice(start, start + BLOCK)).astype(np.float64)
        if not np.isfinite(block).all():
            raise UserError("A healthy image holds a number that is not finite; prepare its store again.")
        yield block


def pixel_mean(healthy: HealthySlices) -> Pixels:
    """The mean image (c, h, w)."""
    total = np.zeros((healthy.channels, *healthy.image_size))
    for block in healthy_blocks(healthy):
        total += block.sum(axis=0)
    return total / len(healthy)


def pixel_variance(healthy: HealthySlices, mean: Pixels) -> Pixels:
    """The variance of each value (c, h, w) around `mean`, over n, read once more: no difference of large numbers."""
    total = np.zeros((healthy.channels, *healthy.image_size))
    for block in healthy_blocks(healthy):
        total += np.square(block - mean).sum(axis=0)
    return total / len(healthy)

"""Images in batches over several threads: of one fixed size, so that no score depends on its batch, or as they come."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


def in_batches(
    images: Array, size: int, threads: int, function: Callable[[Array], dict[str, Array]], *, fixed: bool = True
) -> dict[str, Array]:
    """What `function` gives for batches of `images` (n, ...), joined: name -> (n, ...).

    fixed: the last batch is filled up with copies, as anomae.detectors.inference.in_fixed_batches does and for the same
    reason; False: it is as long as what is left.
    """
    starts = range(0, len(images), size)

    def one(start: int) -> dict[str, Array]:
        block = np.asarray(images[start : start + size], dtype=np.float32)
        short = size - len(block) if fixed else 0
        full = np.concatenate([block, np.repeat(block[-1:], short, axis=0)]) if short else block
        return {name: array[: len(block)] for name, array in function(np.ascontiguousarray(full)).items()}

    if threads == 1 or len(starts) == 1:
        parts = [one(start) for start in starts]
    else:
        with ThreadPoolExecutor(threads) as pool:
            parts = list(pool.map(one, starts))
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

"""Images in batches over several threads: of one fixed size, so that no score depends on its batch, or as they come."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


def in_batches(
    images: Array, size: int, threads: int, function: Callable[[Array], dict[str, Array]], *, fixed: bool = True
) -> dict[str, Array]:
    """What `function` gives for batches of `images` (n, ...), joined: name -> (n, ...).

    fixed: the last batch is filled up with copies, as anomae.detectors.inference.in_fixed_batches does and for the same
    reason; False: it is as long as what is left.  Callers at once share the threads; none may be called by `function`.
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
        parts = list(_pool(threads).map(one, starts))
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


@cache
def _pool(threads: int) -> ThreadPoolExecutor:
    """One for the whole process, so that of two blocks of images at once the second keeps no thread from the first."""
    return ThreadPoolExecutor(threads, thread_name_prefix="batches")


if hasattr(os, "register_at_fork"):  # a forked process has none of the threads
    os.register_at_fork(after_in_child=_pool.cache_clear)

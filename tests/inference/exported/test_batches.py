"""Batches over threads: the same whatever the threads, at once and in a forked process too."""

import multiprocessing
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from anomae.inference.exported.batches import in_batches

IMAGES = np.random.default_rng(0).random((21, 1, 4, 4), dtype=np.float32)


def sums(block: np.ndarray) -> dict[str, Any]:
    return {"sum": block.sum(axis=(1, 2, 3)), "rows": np.full(len(block), len(block))}


@pytest.mark.parametrize("threads", [1, 2, 5])
@pytest.mark.parametrize("size", [1, 4, 16, 40])
def test_each_image_has_what_was_made_of_it(size: int, threads: int) -> None:
    found = in_batches(IMAGES, size, threads, sums)
    assert np.array_equal(found["sum"], IMAGES.sum(axis=(1, 2, 3)))
    assert (found["rows"] == size).all()  # the last one is filled up
    as_they_come = in_batches(IMAGES, size, threads, sums, fixed=False)["rows"]
    assert as_they_come[-1] == (len(IMAGES) % size or size)


def test_several_callers_share_the_threads() -> None:
    names = set()

    def named(block: np.ndarray) -> dict[str, Any]:
        names.add(threading.current_thread().name)
        return sums(block)

    with ThreadPoolExecutor(4) as callers:
        found = list(callers.map(lambda _: in_batches(IMAGES, 2, 3, named)["sum"], range(8)))
    assert all(np.array_equal(each, IMAGES.sum(axis=(1, 2, 3))) for each in found)
    assert len(names) <= 3


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
def test_a_forked_process_has_threads_of_its_own() -> None:
    in_batches(IMAGES, 2, 2, sums)
    with multiprocessing.get_context("fork").Pool(1) as pool:
        found = pool.apply_async(in_batches, (IMAGES, 2, 2, sums)).get(timeout=60)
    assert np.array_equal(found["sum"], IMAGES.sum(axis=(1, 2, 3)))

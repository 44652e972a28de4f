"""Threads that work on batches of images side by side, each with its share of the processors.

A batch of 16 small images gains next to nothing from a second processor, a second batch does.  And where each has one
processor, what a batch comes to does not depend on how many torch may use.
"""

import os
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import TypeVar

import torch

from anomae.training.processors import use_processors

Asked = TypeVar("Asked")
Given = TypeVar("Given")

# At once, since each holds a network's activations: so many batches, and of all of them so many pixels of images.
MOST, MOST_PIXELS = 8, 8 * 16 * 256 * 256
_POOLS: dict[tuple[int, int], ThreadPoolExecutor] = {}
_BEGINNING = threading.Lock()


def each_at_once(
    work: Callable[[Asked], Given], asked: Sequence[Asked], device: torch.device, pixels: int
) -> Iterator[Given]:
    """What `work` gives for each, in order; on a CPU as many at once as there are processors and memory allows.

    pixels: of the images of one.  Each has one processor, or where memory allows fewer than there are, more of them.
    Within, gradients and autocast are as they are here.  On a GPU, and where one fills the memory, in turn.  What
    `work` raises is raised where its result would have been given.  Results that are not taken yet are few, however
    many are asked for.
    """
    processors = torch.get_num_threads()
    at_once = min(processors, MOST, MOST_PIXELS // max(pixels, 1))
    if device.type != "cpu" or at_once <= 1:
        return map(work, asked)
    gradients, inference = torch.is_grad_enabled(), torch.is_inference_mode_enabled()
    autocast, dtype = torch.is_autocast_enabled(device.type), torch.get_autocast_dtype(device.type)

    def as_here(one: Asked) -> Given:
        with (
            torch.inference_mode(inference),
            torch.set_grad_enabled(gradients),
            torch.autocast(device.type, dtype=dtype, enabled=autocast),
        ):
            return work(one)

    return _in_order(as_here, asked, at_once, processors // at_once)


def _in_order(
    work: Callable[[Asked], Given], asked: Sequence[Asked], count: int, processors_each: int
) -> Iterator[Given]:
    """With so many threads; no more than twice as many are begun and not yet taken."""
    threads, coming = _pool(count, processors_each), deque[Future[Given]]()
    try:
        for one in asked:
            coming.append(threads.submit(work, one))
            if len(coming) > 2 * count:
                yield coming.popleft().result()
        while coming:
            yield coming.popleft().result()
    finally:
        for left in coming:
            left.cancel()


def _pool(count: int, processors_each: int) -> ThreadPoolExecutor:
    """Threads that live as long as the process, so that what libraries keep for a thread is made once."""
    with _BEGINNING:
        if (count, processors_each) not in _POOLS:
            processors, begun = torch.get_num_threads(), threading.Barrier(count + 1)

            def begin() -> None:
                use_processors(processors_each)  # of this thread, and of those that begin later
                with suppress(threading.BrokenBarrierError):
                    begun.wait()

            pool = ThreadPoolExecutor(count, thread_name_prefix="batches", initializer=begin)
            try:
                for _ in range(count):
                    pool.submit(int)  # begins a thread, as none is idle before all have begun
                begun.wait()
            except BaseException:  # Ctrl-C: the next call begins others
                begun.abort()
                pool.shutdown(wait=False)
                raise
            finally:
                use_processors(processors)  # of this thread, and of those that begin later
            _POOLS[count, processors_each] = pool
        return _POOLS[count, processors_each]


def _forget() -> None:
    """A forked process has none of its parent's threads, and perhaps a lock that nobody will release."""
    global _BEGINNING
    _POOLS.clear()
    _BEGINNING = threading.Lock()


os.register_at_fork(after_in_child=_forget)

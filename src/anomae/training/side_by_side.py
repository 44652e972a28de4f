"""Trainings that do not depend on one another, side by side in threads, each with its share of the processors.

A step of a network as small as a head of `anomae` gains little from a second processor (1.1 to 1.5 times as fast); a
second network does.  What comes out is what comes out in turn on as many threads as each has: each training draws from
generators of its own, and is stopped and gone on with by itself.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from contextvars import copy_context

import torch

from anomae.progress import Progress, Reporter, progress, reporter, reporting

_PATIENCE_S = 1.0


def side_by_side(title: str, trainings: Sequence[Callable[[], None]], steps: int, device: torch.device) -> None:
    """Do all of `trainings`, no more at once than the processors that torch may use, and one.

    title: of the one bar that shows them all.  steps: of each.  device: on a GPU, and on a single processor, they are
    done in turn, each with a bar of its own.  Ctrl-C, or what one of them raises, stops the others after the step that
    they are at, and is raised.
    """
    processors = torch.get_num_threads()
    if device.type != "cpu" or processors == 1 or len(trainings) == 1:
        for training in trainings:
            training()
        return
    at_once = min(len(trainings), processors + 1)
    stopped = threading.Event()

    def one(training: Callable[[], None], bar: Progress) -> None:
        torch.set_num_threads(-(-processors // at_once))  # of this thread
        with reporting(_Shared(bar, stopped, reporter())):
            training()

    with progress(title, steps * len(trainings), "steps") as bar:
        shared = _Locked(bar)
        with ThreadPoolExecutor(at_once, thread_name_prefix="trained") as threads:
            under_way = [threads.submit(copy_context().run, one, training, shared) for training in trainings]
            try:
                while wait(under_way, _PATIENCE_S, FIRST_EXCEPTION).not_done and not any(map(_failed, under_way)):
                    pass  # a signal that the system gives another thread is heard of when waiting ends
            finally:
                stopped.set()  # those that are done have nothing to hear of it
                threads.shutdown(cancel_futures=True)
                torch.set_num_threads(processors)  # which is kept for threads that begin later, too
    failures = [training.exception() for training in under_way if not training.cancelled()]
    for failure in failures:
        if failure is not None and not isinstance(failure, _Stopped):
            raise failure


def _failed(training: Future[None]) -> bool:
    return training.done() and training.exception() is not None


class _Stopped(BaseException):
    """In a thread whose training is to end, since another one failed or the user pressed Ctrl-C."""


class _Locked:
    """A bar that several threads advance."""

    def __init__(self, bar: Progress) -> None:
        self._bar, self._lock = bar, threading.Lock()

    def advance(self, steps: int = 1, note: str = "") -> None:
        with self._lock:
            self._bar.advance(steps, note)


class _Shared:
    """A reporter whose bars are all the same one, and which ends the work that reports where it is to stop."""

    def __init__(self, bar: Progress, stopped: threading.Event, outer: Reporter) -> None:
        self._bar, self._stopped, self._outer = bar, stopped, outer

    @contextmanager
    def progress(self, title: str, total: int, unit: str, start: int) -> Iterator[Progress]:
        if start:
            self._bar.advance(start)
        yield self

    def say(self, sentence: str) -> None:
        self._outer.say(sentence)

    def advance(self, steps: int = 1, note: str = "") -> None:
        self._bar.advance(steps, note)
        if self._stopped.is_set():
            raise _Stopped

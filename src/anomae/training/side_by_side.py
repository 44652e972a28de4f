"""Trainings that do not depend on one another, side by side in threads.

A step of a network as small as a head of `anomae` gains little from a second processor (1.1 to 1.5 times as fast); a
second network does.  What comes out is what comes out in turn on as many threads as each has: each training draws from
generators of its own, and is stopped and gone on with by itself.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from contextvars import copy_context
from typing import TypeVar

import torch

from anomae.progress import Progress, Reporter, progress, reporter, reporting
from anomae.training.processors import use_processors

Made = TypeVar("Made")

_PATIENCE_S = 1.0


def side_by_side(title: str, trainings: Sequence[Callable[[], None]], steps: int, device: torch.device) -> None:
    """Do all of `trainings`, no more at once than the processors that torch may use, and one; each has its share.

    title: of the one bar that shows them all.  steps: of each.  device: on a GPU, and on a single processor, they are
    done in turn, each with a bar of its own.  Ctrl-C, or what one of them raises, stops the others after the step that
    they are at, and is raised.
    """
    processors = torch.get_num_threads()
    if _in_turn(trainings, device):
        for training in trainings:
            training()
        return
    at_once = min(len(trainings), processors + 1)
    with progress(title, steps * len(trainings), "steps") as bar:
        shared = _OneBar(_Locked(bar), reporter())
        with reporting(shared):
            _in_threads(trainings, at_once, -(-processors // at_once))


def beside_one_another(works: Sequence[Callable[[], Made]], device: torch.device) -> list[Made]:
    """What each of `works`, such as fits of whole detectors, gives; each has all processors and bars of its own.

    So each comes to what it comes to alone, to the bit.  They do not share the processors out, since the longest would
    be left with its share when the others have ended.  device: on a GPU, and on a single processor, they are done in
    turn.  Ctrl-C, or what one of them raises, stops the others where they next say how far they are, and is raised.
    """
    if _in_turn(works, device):
        return [work() for work in works]
    return _in_threads(works, len(works), torch.get_num_threads())


def _in_turn(works: Sequence[Callable[[], object]], device: torch.device) -> bool:
    return device.type != "cpu" or torch.get_num_threads() == 1 or len(works) == 1


def _in_threads(works: Sequence[Callable[[], Made]], at_once: int, processors_each: int) -> list[Made]:
    processors, stopped = torch.get_num_threads(), threading.Event()

    def one(work: Callable[[], Made]) -> Made:
        use_processors(processors_each)  # of this thread
        with reporting(_Stopping(stopped, reporter())):
            return work()

    with ThreadPoolExecutor(at_once, thread_name_prefix="trained") as threads:
        under_way: list[Future[Made]] = []
        try:  # from here on, since Ctrl-C may come before the last of them has begun
            for work in works:
                under_way.append(threads.submit(copy_context().run, one, work))
            while wait(under_way, _PATIENCE_S, FIRST_EXCEPTION).not_done and not any(map(_failed, under_way)):
                pass  # a signal that the system gives another thread is heard of when waiting ends
        finally:
            stopped.set()  # those that are done have nothing to hear of it
            threads.shutdown(cancel_futures=True)
            use_processors(processors)  # which is kept for threads that begin later, too
    failures = [failure for work in under_way if not work.cancelled() and (failure := work.exception()) is not None]
    for failure in sorted(failures, key=lambda failure: isinstance(failure, _Stopped)):
        raise failure  # one that was only stopped is the last to be blamed
    return [work.result() for work in under_way]


def _failed(training: Future[Made]) -> bool:
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


class _OneBar:
    """A reporter whose bars are all the same one."""

    def __init__(self, bar: Progress, outer: Reporter) -> None:
        self._bar, self._outer = bar, outer

    @contextmanager
    def progress(self, title: str, total: int, unit: str, start: int) -> Iterator[Progress]:
        if start:
            self._bar.advance(start)
        yield self._bar

    def say(self, sentence: str) -> None:
        self._outer.say(sentence)


class _Stopping:
    """A reporter that ends the work that reports to it where it is to stop."""

    def __init__(self, stopped: threading.Event, outer: Reporter) -> None:
        self._stopped, self._outer = stopped, outer

    @contextmanager
    def progress(self, title: str, total: int, unit: str, start: int) -> Iterator[Progress]:
        self._heed()
        with self._outer.progress(title, total, unit, start) as bar:
            yield _StoppingBar(bar, self._heed)

    def say(self, sentence: str) -> None:
        self._outer.say(sentence)

    def _heed(self) -> None:
        if self._stopped.is_set():
            raise _Stopped


class _StoppingBar:
    def __init__(self, bar: Progress, heed: Callable[[], None]) -> None:
        self._bar, self._heed = bar, heed

    def advance(self, steps: int = 1, note: str = "") -> None:
        self._bar.advance(steps, note)
        self._heed()

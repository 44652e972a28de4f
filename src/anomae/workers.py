"""Work shared by processes, its results in the order it was given, however many there are."""

import os
import signal
import sys
import threading
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import active_children, connection, get_context, parent_process, resource_tracker
from multiprocessing.process import BaseProcess
from multiprocessing.sharedctypes import RawArray
from typing import Any, TypeVar

from anomae.errors import UserError

Item = TypeVar("Item")
Result = TypeVar("Result")
# So many items wait, so that no worker has to.
AHEAD = 2


def leave_out_readers_warnings() -> None:
    """Print nothing of what pydicom and Pillow warn of while they read: it may quote patient data.

    It holds for the whole process, so only a program that owns its process calls it: the command line, and each worker.
    """
    warnings.filterwarnings("ignore", module=r"(pydicom|PIL|anomae\.(volumes|dicom_results))(\.|$)")


def usable_cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def in_order(
    function: Callable[[Item], Result], items: Sequence[Item], workers: int, name: Callable[[Item], str] = str
) -> Iterator[Result]:
    """`function` of every item, in order.  workers: processes that do it; 0: none beside this one.

    Few more items than workers are on their way at once, so memory does not grow with the number of items.  name:
    what an item is called.  Raises UserError where a worker is ended from outside, with the name of what it was at.
    """
    workers = min(workers, len(items))
    if workers == 0:
        yield from map(function, items)
        return
    waiting: deque[Future[Result]] = deque()
    context, at = get_context("spawn"), RawArray("q", len(items))
    processes: set[BaseProcess] = set()
    with ProcessPoolExecutor(workers, mp_context=context, initializer=_begin_noting, initargs=(at,)) as pool:
        try:
            for index, item in enumerate(items):
                with script_left_alone(), interrupts_kept():
                    waiting.append(pool.submit(_noted, function, index, item))
                processes.update(active_children())
                if len(waiting) >= workers + AHEAD:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        except BrokenProcessPool as error:
            ended = [items[index] for index in _ended_at(at, processes)]
            reading = " or ".join(name(item) for item in ended) or "scans"
            raise UserError(
                f"A process that was reading {reading} was ended from outside, mostly because memory ran out. Give the "
                f"same command again with fewer workers than {workers} (--workers 0 uses none); it goes on from here."
            ) from error
        finally:
            pool.shutdown(cancel_futures=True)


# Of a worker: for each item the process that is at it, 0 before and after; shared with the parent.
_at: Any = None


def _noted(function: Callable[[Item], Result], index: int, item: Item) -> Result:
    _at[index] = os.getpid()
    try:
        return function(item)
    finally:
        _at[index] = 0


def _ended_at(at: Any, processes: set[BaseProcess]) -> list[int]:
    """The items that a worker which was ended from outside was at: one, or where it cannot be told which, several."""
    for process in processes:
        process.join(5)  # the pool ends the others itself, with SIGTERM
    own = {process.pid for process in processes if process.exitcode not in (None, 0, -signal.SIGTERM)}
    begun = [index for index, pid in enumerate(at) if pid]
    return [index for index in begun if at[index] in own] or begun


def _begin_noting(at: Any) -> None:
    global _at
    _at = at
    begin_worker()


def begin_worker() -> None:
    """Of a worker: Ctrl-C is for the parent to act on, and one whose parent was killed must not stay behind."""
    leave_out_readers_warnings()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)


@contextmanager
def interrupts_kept() -> Iterator[None]:
    """Start processes that no Ctrl-C reaches, not even before `begin_worker`; this one's own comes just afterwards."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    resource_tracker.ensure_running()  # the standard library's helper, whose own start would let them through again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def script_left_alone() -> Iterator[None]:
    """Start processes without the caller's script.

    Each would otherwise run the script again to find what it defines; a script without a main guard, such as a few
    lines copied from the README, would then start itself over.  Nothing that is sent to a worker stands in a script.
    """
    main = sys.modules["__main__"].__dict__
    hidden: dict[str, Any] = {name: main[name] for name in ("__file__", "__spec__") if name in main}
    main.update(dict.fromkeys(hidden))
    try:
        yield
    finally:
        main.update(hidden)

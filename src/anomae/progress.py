"""How long work says how far it is: to the reporter of the context, which is silent unless someone sets another.

A program that wants to watch sets one: `with reporting(Console()): ...`.  The command line does; from Python, in a
server's threads and in worker processes nothing is shown.
"""

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from typing import Any, Protocol


class Progress(Protocol):
    """What long work calls to say how far it is."""

    def advance(self, steps: int = 1, note: str = "") -> None:
        """`steps` more are done; `note` is a few words such as the present loss."""
        ...


class Reporter(Protocol):
    """Who is told."""

    def progress(self, title: str, total: int, unit: str, start: int) -> AbstractContextManager[Progress]:
        """Work of `total` steps begins, of which `start` are done already."""
        ...

    def say(self, sentence: str) -> None:
        """Something that a person who watches wants to know at once, such as a scan that was skipped."""
        ...


class Silent:
    """Nobody watches."""

    def advance(self, steps: int = 1, note: str = "") -> None:
        """Nothing is shown."""

    def progress(self, title: str, total: int, unit: str, start: int) -> AbstractContextManager[Progress]:
        """Nothing is shown."""
        return nullcontext(self)

    def say(self, sentence: str) -> None:
        """Nothing is shown."""


_SILENT = Silent()
_REPORTER: ContextVar[Reporter] = ContextVar("reporter", default=_SILENT)


@contextmanager
def reporting(reporter: Reporter) -> Iterator[None]:
    """Within, `progress` and `say` go to this reporter; in this thread (and what takes its context) alone."""
    token = _REPORTER.set(reporter)
    try:
        yield
    finally:
        _REPORTER.reset(token)


def reporter() -> Reporter:
    """Who is told in this context."""
    return _REPORTER.get()


def progress(
    title: str, total: int, unit: str = "", start: int = 0, speaks: bool = True
) -> AbstractContextManager[Progress]:
    """Report the progress of `total` steps, of which `start` are done; speaks=False: another process does."""
    return (_REPORTER.get() if speaks else _SILENT).progress(title, total, unit, start)


def say(sentence: str) -> None:
    """Tell whoever watches."""
    _REPORTER.get().say(sentence)


class Console:
    """To standard error: rich bars with count, rate and time left on a terminal, sparse plain lines elsewhere.

    Bars that are under way at once, from several threads, stand one below the other.
    """

    def __init__(self) -> None:
        """Nothing is shown yet."""
        self._bars: Any = None
        self._under_way = 0
        self._lock = threading.Lock()

    def say(self, sentence: str) -> None:
        """A line of its own."""
        print(sentence, file=sys.stderr, flush=True)

    @contextmanager
    def progress(self, title: str, total: int, unit: str, start: int) -> Iterator[Progress]:
        """A bar, or lines."""
        if not sys.stderr.isatty():
            yield _Lines(title, total, unit, start)
            return
        bars = self._begun()
        try:
            yield _Bar(bars, bars.add_task(title, total=total, completed=start, unit=unit, note="", rate=""))
        finally:
            self._ended()

    def _begun(self) -> Any:
        from rich.console import Console as RichConsole
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bars

        with self._lock:
            if self._under_way == 0:
                columns = (
                    TextColumn("{task.description}", markup=False),  # files have any names
                    BarColumn(),
                    MofNCompleteColumn(),
                    TextColumn("{task.fields[unit]} {task.fields[rate]}"),
                    TimeRemainingColumn(),
                    TextColumn("{task.fields[note]}", markup=False),
                )
                self._bars = Bars(*columns, console=RichConsole(stderr=True), refresh_per_second=4)
                self._bars.start()
            self._under_way += 1
            return self._bars

    def _ended(self) -> None:
        with self._lock:
            self._under_way -= 1
            if self._under_way == 0:
                self._bars.stop()


class _Bar:
    def __init__(self, bars: Any, task: Any) -> None:
        self._bars, self._task, self._done, self._began = bars, task, 0, time.monotonic()

    def advance(self, steps: int = 1, note: str = "") -> None:
        self._done += steps
        rate = self._done / max(time.monotonic() - self._began, 1e-9)
        self._bars.update(self._task, advance=steps, note=note, rate=f"{rate:.1f}/s")


def duration(seconds: float) -> str:
    """A time as people say it: 40 s, 12 min, 3 h 20 min, 41 days."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 100:
        return f"{minutes} min"
    if minutes < 48 * 60:
        return f"{minutes // 60} h {minutes % 60} min"
    return f"{round(minutes / 1440)} days"


class _Lines:
    """For logs: a line at most every `every_s` seconds, and one at the end."""

    def __init__(self, title: str, total: int, unit: str, start: int, every_s: float = 30.0) -> None:
        self.title, self.total, self.unit, self.every_s = title, total, unit, every_s
        self.done, self.start = start, start
        self.began = self.said = time.monotonic()

    def advance(self, steps: int = 1, note: str = "") -> None:
        self.done += steps
        now = time.monotonic()
        if now - self.said >= self.every_s or self.done == self.total:
            self.said = now
            rate = (self.done - self.start) / max(now - self.began, 1e-9)
            left = duration((self.total - self.done) / rate) if rate > 0 else "unknown time"
            text = f"{self.title}: {self.done}/{self.total} {self.unit}, {rate:.1f}/s, {left} left  {note}"
            print(text.rstrip(), file=sys.stderr, flush=True)

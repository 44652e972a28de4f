"""A wish to stop, by SIGTERM or Ctrl-C, that is granted where nothing is half done."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from anomae.pacs.errors import Stopped
from anomae.progress import say


class Wish:
    """Whether somebody wants this to stop.  interrupted: whether by Ctrl-C."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self.interrupted = False

    def stop(self) -> None:
        """Somebody does."""
        self._event.set()

    @property
    def stopped(self) -> bool:
        """Whether somebody does."""
        return self._event.is_set()

    def wait(self, seconds: float) -> None:
        """Wait so long, or until somebody does."""
        self._event.wait(seconds)

    def go_on(self) -> None:
        """Raises Stopped if somebody does."""
        if self.stopped:
            raise Stopped


@contextmanager
def stopped_by_signals() -> Iterator[Wish]:
    """A wish that SIGTERM and Ctrl-C express; the second of them ends the program at once, as KeyboardInterrupt."""
    wish = Wish()

    def told(number: int, frame: FrameType | None) -> None:
        if wish.stopped:
            raise KeyboardInterrupt
        wish.interrupted = number == signal.SIGINT
        wish.stop()
        say("Stopping; what is begun is ended first. Ask again to stop at once.")

    earlier = {one: signal.signal(one, told) for one in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield wish
    finally:
        for one, action in earlier.items():
            signal.signal(one, action)

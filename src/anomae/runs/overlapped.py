"""Reading one step ahead, writing one step behind, and two things at once, each in a thread of its own."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import copy_context
from typing import Any, TypeVar

Asked = TypeVar("Asked")
Given = TypeVar("Given")


def read_ahead(read: Callable[[Asked], Given], asked: Sequence[Asked]) -> Iterator[Given]:
    """What `read` gives for each, in order; the next one is read while the caller works on this one.

    At most two are held.  What `read` raises is raised where its result would have been given.
    """
    with ThreadPoolExecutor(1, thread_name_prefix="read-ahead") as thread:
        coming: Future[Given] | None = None
        for number in range(len(asked)):
            here = coming or thread.submit(read, asked[number])
            given = here.result()
            coming = thread.submit(read, asked[number + 1]) if number + 1 < len(asked) else None
            yield given


def worked_at_once(
    work: Callable[[Asked], Given], asked: Iterable[Asked], at_once: int
) -> Iterator[tuple[Asked, Given]]:
    """Each of `asked` with what `work` makes of it, in order; as many are worked on at the same time.

    1: in the caller's own thread.  What `work` raises is raised where its result would have been given.
    """
    if at_once == 1:
        yield from ((each, work(each)) for each in asked)
        return
    coming: deque[tuple[Asked, Future[Given]]] = deque()
    with ThreadPoolExecutor(at_once, thread_name_prefix="at-once") as threads:
        for each in asked:
            coming.append((each, threads.submit(copy_context().run, work, each)))
            if len(coming) == at_once:
                first, made = coming.popleft()
                yield first, made.result()
        while coming:
            first, made = coming.popleft()
            yield first, made.result()


@contextmanager
def written_behind(write: Callable[..., Any]) -> Iterator[Callable[..., None]]:
    """Within, a function that hands its arguments to `write` and returns: calls are made in order, one at a time.

    It waits for the call before, so that one is under way at most.  What `write` raises is raised by the next call, or
    at the end, which waits for the last.
    """
    last: list[Future[Any]] = []
    with ThreadPoolExecutor(1, thread_name_prefix="written-behind") as thread:

        def hand_over(*given: Any) -> None:
            while last:
                last.pop().result()
            last.append(thread.submit(write, *given))

        yield hand_over
        while last:
            last.pop().result()


def both(one: Callable[[], Given], other: Callable[[], Any] | None) -> Given:
    """What `one` gives, while `other`, where there is one, is done in another thread; both have ended then.

    Both are seen by the same reporter of progress.  What either raises is raised, that of `one` where both do.
    """
    if other is None:
        return one()
    with ThreadPoolExecutor(1, thread_name_prefix="beside") as thread:
        beside = thread.submit(copy_context().run, other)
        given = one()
    beside.result()
    return given

"""Batches side by side: in order, each on one processor, as if in turn, and nothing changes for anyone else."""

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import torch

from anomae.detectors.batch_threads import MOST_PIXELS, each_at_once

CPU = torch.device("cpu")


pytestmark = pytest.mark.usefixtures("two_processors")


def in_another_thread() -> int:
    found: list[int] = []
    thread = threading.Thread(target=lambda: found.append(torch.get_num_threads()))
    thread.start()
    thread.join()
    return found[0]


def test_as_many_as_there_are_processors_each_on_one_and_in_order() -> None:
    met = threading.Barrier(2, timeout=60)

    def work(number: int) -> tuple[int, int]:
        met.wait()  # which only two that are under way at once come past
        return number, torch.get_num_threads()

    assert list(each_at_once(work, range(6), CPU, 1)) == [(number, 1) for number in range(6)]
    assert torch.get_num_threads() == 2
    assert in_another_thread() == 2


def test_gradients_and_autocast_are_those_of_the_caller() -> None:
    def state(_: int) -> tuple[bool, bool, torch.dtype | None]:
        dtype = torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else None
        return torch.is_grad_enabled(), torch.is_inference_mode_enabled(), dtype

    assert set(each_at_once(state, range(4), CPU, 1)) == {(True, False, None)}
    with torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16):
        assert set(each_at_once(state, range(4), CPU, 1)) == {(False, True, torch.bfloat16)}
    with torch.no_grad():
        assert set(each_at_once(state, range(4), CPU, 1)) == {(False, False, None)}


def test_what_fails_is_raised_and_the_next_call_works() -> None:
    def work(number: int) -> int:
        if number == 3:
            raise ValueError("the fourth")
        return number

    found = each_at_once(work, range(8), CPU, 1)
    assert [next(found) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ValueError, match="the fourth"):
        next(found)
    assert list(each_at_once(work, range(3), CPU, 1)) == [0, 1, 2]


def test_ctrl_c_while_threads_begin_leaves_none_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    real, begun = ThreadPoolExecutor.submit, list[int]()

    def interrupted(self: ThreadPoolExecutor, *given: Any) -> Any:
        begun.append(1)
        if len(begun) == 3:
            raise KeyboardInterrupt
        return real(self, *given)

    def left() -> set[threading.Thread]:
        return {thread for thread in threading.enumerate() if thread.name.startswith("batches")}

    torch.set_num_threads(7)  # for which no other test has begun threads
    before = left()
    with monkeypatch.context() as patched:
        patched.setattr(ThreadPoolExecutor, "submit", interrupted)
        with pytest.raises(KeyboardInterrupt):
            list(each_at_once(abs, range(3), CPU, 1))
    for thread in left() - before:
        thread.join(60)
    assert left() == before
    assert torch.get_num_threads() == 7
    assert list(each_at_once(abs, range(-2, 0), CPU, 1)) == [2, 1]
    torch.set_num_threads(2)


def test_within_a_batch_there_is_nothing_to_wait_for() -> None:
    def outer(number: int) -> list[int]:
        return list(each_at_once(lambda inner: 10 * number + inner, range(3), CPU, 1))

    expected = [[10 * number + inner for inner in range(3)] for number in range(4)]
    assert list(each_at_once(outer, range(4), CPU, 1)) == expected


def test_fewer_at_once_where_images_are_large() -> None:
    torch.set_num_threads(5)

    def where(_: int) -> tuple[int, int]:
        return threading.get_ident(), torch.get_num_threads()

    here = threading.get_ident()
    for pixels, at_once, each in ((MOST_PIXELS // 2, 2, 2), (MOST_PIXELS // 4, 4, 1), (1, 5, 1)):
        met = threading.Barrier(at_once, timeout=60)

        def met_where(number: int, met: threading.Barrier = met) -> tuple[int, int]:
            met.wait()
            return where(number)

        found = set(each_at_once(met_where, range(4 * at_once), CPU, pixels))
        assert {processors for _, processors in found} == {each}
        assert len({thread for thread, _ in found}) == at_once
    assert set(each_at_once(where, range(3), CPU, MOST_PIXELS)) == {(here, 5)}
    assert set(each_at_once(where, range(3), CPU, 2 * MOST_PIXELS)) == {(here, 5)}
    torch.set_num_threads(2)


def test_on_one_processor_and_on_other_devices_in_turn() -> None:
    def where(_: int) -> int:
        return threading.get_ident()

    here = {threading.get_ident()}
    assert set(each_at_once(where, range(3), torch.device("meta"), 1)) == here
    torch.set_num_threads(1)
    assert set(each_at_once(where, range(3), CPU, 1)) == here
    torch.set_num_threads(2)
    assert set(each_at_once(where, range(3), CPU, 1)).isdisjoint(here)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_process_begins_threads_of_its_own() -> None:
    assert list(each_at_once(abs, range(-2, 0), CPU, 1)) == [2, 1]
    read, write = os.pipe()
    child = os.fork()
    if child == 0:  # pragma: no cover
        found = list(each_at_once(abs, range(-3, 0), CPU, 1))
        os.write(write, b"y" if found == [3, 2, 1] else b"n")
        os._exit(0)
    os.close(write)
    assert os.read(read, 1) == b"y"
    os.waitpid(child, 0)
    os.close(read)

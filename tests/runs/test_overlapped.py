"""Reading ahead and writing behind: in order, one at a time, and no failure is lost."""

import threading

import pytest

from anomae import progress as progress_module
from anomae.progress import Silent, reporting
from anomae.runs.overlapped import both, read_ahead, worked_at_once, written_behind


def test_the_next_is_read_while_the_caller_works_on_this_one():
    second = threading.Event()

    def read(number: int) -> int:
        if number == 1:
            second.set()
        return 10 * number

    given = read_ahead(read, range(3))
    assert next(given) == 0
    assert second.wait(10)  # nobody has asked for it yet
    assert list(given) == [10, 20]


def test_at_most_two_are_held():
    begun = []
    given = read_ahead(lambda number: begun.append(number) or number, range(10))
    for number in range(10):
        assert next(given) == number
        assert len(begun) <= number + 2


def test_nothing_asked_is_nothing_given():
    assert list(read_ahead(lambda number: 1 / number, [])) == []


def test_what_reading_raises_is_raised_in_its_turn():
    given = read_ahead(lambda number: 1 / (2 - number), range(4))
    assert [next(given), next(given)] == [0.5, 1.0]
    with pytest.raises(ZeroDivisionError):
        next(given)


@pytest.mark.parametrize("at_once", [1, 2, 3])
@pytest.mark.parametrize("count", [0, 1, 2, 7])
def test_each_is_given_with_what_was_made_of_it_in_order(count: int, at_once: int) -> None:
    assert list(worked_at_once(lambda number: 10 * number, iter(range(count)), at_once)) == [
        (number, 10 * number) for number in range(count)
    ]


def test_so_many_are_worked_on_at_once_and_no_more() -> None:
    met, working, most = threading.Barrier(2, timeout=10), [], 0

    def work(number: int) -> None:
        nonlocal most
        working.append(number)
        most = max(most, len(working))
        met.wait()  # which no call gets past alone
        working.remove(number)

    assert len(list(worked_at_once(work, range(6), 2))) == 6
    assert most == 2
    own = list(worked_at_once(lambda _: threading.current_thread(), range(3), 1))
    assert {thread for _, thread in own} == {threading.current_thread()}


@pytest.mark.parametrize("at_once", [1, 2])
def test_what_working_raises_is_raised_in_its_turn(at_once: int) -> None:
    given = worked_at_once(lambda number: 1 / (2 - number), range(5), at_once)
    assert [made for _, made in (next(given), next(given))] == [0.5, 1.0]
    with pytest.raises(ZeroDivisionError):
        next(given)


def test_calls_are_in_order_and_all_are_done_at_the_end():
    written: list[int] = []
    with written_behind(written.append) as write:
        for number in range(50):
            write(number)
    assert written == list(range(50))


def test_one_call_at_a_time_while_the_caller_goes_on():
    may_end, under_way = threading.Event(), threading.Semaphore(1)

    def write(number: int) -> None:
        assert under_way.acquire(blocking=False)
        assert may_end.wait(10)
        under_way.release()

    with written_behind(write) as hand_over:
        hand_over(0)  # returns although the call has not ended
        may_end.set()
        hand_over(1)


@pytest.mark.parametrize("failing", [0, 1, 2])
def test_what_writing_raises_is_raised(failing: int):
    def write(number: int) -> None:
        if number == failing:
            raise OSError("no space left")

    def all_three() -> None:
        with written_behind(write) as hand_over:
            for number in range(3):
                hand_over(number)

    with pytest.raises(OSError, match="no space"):
        all_three()


def test_the_callers_own_failure_comes_out_and_what_was_handed_over_is_written():
    written: list[int] = []

    def fail() -> None:
        with written_behind(written.append) as write:
            write(1)
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert written == [1]


def test_two_things_are_done_at_once_and_the_first_ones_outcome_is_given() -> None:
    met = threading.Barrier(2, timeout=10)
    other: list[int] = []

    def beside() -> None:
        met.wait()  # which neither gets past alone
        other.append(met.wait())

    def one() -> str:
        met.wait()
        met.wait()
        return "given"

    assert both(one, beside) == "given"
    assert len(other) == 1
    assert both(lambda: 7, None) == 7


def test_what_either_of_two_raises_is_raised_once_both_have_ended() -> None:
    done: list[str] = []

    def fail(name: str) -> None:
        done.append(name)
        raise OSError(name)

    with pytest.raises(OSError, match="one"):
        both(lambda: fail("one"), lambda: fail("other"))
    with pytest.raises(OSError, match="other"):
        both(lambda: done.append("fine"), lambda: fail("other"))
    assert sorted(done) == ["fine", "one", "other", "other"]


def test_the_reporter_of_progress_is_the_same_in_both() -> None:
    reporter = Silent()
    with reporting(reporter):
        found: list[object] = []
        both(lambda: None, lambda: found.append(progress_module._REPORTER.get()))
    assert found == [reporter]

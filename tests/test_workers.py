"""Processes that share work: order, bounds, and no mess when something is killed."""

import math
import operator
import os
import signal
import subprocess
import sys
import time

import pytest

from anomae.errors import UserError
from anomae.workers import in_order, usable_cores


def blocked_by(more: tuple[int, ...]) -> set[int]:
    """The signals that this process holds back."""
    return set(signal.pthread_sigmask(signal.SIG_BLOCK, more))


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_results_come_in_the_order_of_the_items(workers):
    assert list(in_order(math.sqrt, [float(n * n) for n in range(20)], workers)) == [float(n) for n in range(20)]


@pytest.mark.skipif(not hasattr(signal, "pthread_sigmask"), reason="this system has no masks of signals")
def test_no_interrupt_reaches_a_worker_that_is_just_starting():
    (blocked,) = in_order(blocked_by, [()], 1)
    assert signal.SIGINT in blocked
    assert signal.SIGINT not in blocked_by(())


@pytest.mark.parametrize("workers", [0, 2])
def test_no_items_no_results(workers):
    assert list(in_order(math.sqrt, [], workers)) == []


def test_few_items_are_on_their_way_at_once():
    class Counted(list):
        given = 0

        def __iter__(self):
            for item in super().__iter__():
                self.given += 1
                yield item

    items = Counted(range(30))
    results = in_order(operator.neg, items, 2)
    for number in range(5):
        assert next(results) == -number
        assert items.given <= number + 4
    results.close()


def test_what_goes_wrong_in_a_worker_is_raised_here():
    with pytest.raises(ValueError, match="math domain"):
        list(in_order(math.sqrt, [1.0, -1.0, 4.0], 1))


def kill_itself(seconds):
    """After the other worker began, as a machine without memory does it to one of several."""
    if seconds:
        time.sleep(seconds)
    time.sleep(1)
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_killed_worker_is_told_in_one_sentence():
    with pytest.raises(UserError, match="fewer workers") as refused:
        list(in_order(os._exit, [1], 1))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("workers", [1, 2])
def test_the_scan_that_a_killed_worker_was_at_is_named(workers):
    with pytest.raises(UserError, match="reading item 0 was ended"):
        list(in_order(kill_itself, [0, 600, 600], workers, "item {}".format))


def test_at_least_one_core_may_be_used():
    assert usable_cores() >= 1


SCRIPT = """
import time
from anomae.workers import in_order
for done in in_order(time.sleep, {items}, 2):
    print("done", flush=True)
"""


def test_a_script_without_a_main_guard_does_not_start_itself_over(tmp_path):
    (tmp_path / "script.py").write_text(SCRIPT.format(items=[0, 0, 0]))
    ended = subprocess.run([sys.executable, tmp_path / "script.py"], capture_output=True, encoding="utf-8", check=False)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.split() == ["done"] * 3


def test_workers_end_with_a_parent_that_was_killed(tmp_path):
    running = subprocess.Popen(
        [sys.executable, "-c", SCRIPT.format(items=[0, 0, 600, 600])], stdout=subprocess.PIPE, start_new_session=True
    )
    with running:
        running.stdout.readline()
        os.kill(running.pid, signal.SIGKILL)
    until = time.monotonic() + 120
    while time.monotonic() < until:
        try:
            os.killpg(running.pid, 0)
        except ProcessLookupError:
            return
        time.sleep(0.1)
    os.killpg(running.pid, signal.SIGKILL)
    pytest.fail("workers stayed behind")

"""A wish to stop: granted once, at once the second time; Ctrl-C is told from SIGTERM by the exit code."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from anomae.cli.pacs_commands import _ended
from anomae.pacs.desk import Counts
from anomae.pacs.stopping import Wish

TOLD_TWICE = """
import signal, sys, threading, time
from anomae.pacs.errors import Stopped
from anomae.pacs.stopping import stopped_by_signals
from anomae.progress import Console, reporting

number = signal.Signals(int(sys.argv[1]))
main = threading.main_thread().ident
before = signal.getsignal(number)
with reporting(Console()), stopped_by_signals() as wish:
    wish.go_on()
    signal.pthread_kill(main, number)
    wish.wait(60)
    try:
        wish.go_on()
    except Stopped:
        print("granted")
    try:
        signal.pthread_kill(main, number)
        time.sleep(60)
    except KeyboardInterrupt:
        print("at once")
print("as before", signal.getsignal(number) == before, "interrupted", wish.interrupted)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_is_granted_once_and_at_once_the_second_time(number: signal.Signals) -> None:
    """In a process of its own: the one that runs the tests would end with an interrupt that comes too late."""
    command = [sys.executable, "-c", TOLD_TWICE, str(int(number))]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert ended.returncode == 0, ended.stderr
    interrupted = number == signal.SIGINT
    assert ended.stdout.splitlines()[-3:] == ["granted", "at once", f"as before True interrupted {interrupted}"]
    assert "Ask again to stop at once" in ended.stdout + ended.stderr


def test_ctrl_c_ends_with_130(capsys: pytest.CaptureFixture) -> None:
    wish = Wish()
    wish.stop()
    _ended(Counts(), Path("out"), wish)
    wish.interrupted = True
    with pytest.raises(typer.Exit) as ended:
        _ended(Counts(), Path("out"), wish)
    assert ended.value.exit_code == 130
    assert capsys.readouterr().out.count("Worklist:") == 2

"""A wish to stop: granted once, at once the second time; Ctrl-C is told from SIGTERM by the exit code."""

import os
import signal
import time
from pathlib import Path

import pytest
import typer

from anomae.cli.pacs_commands import _ended
from anomae.pacs.desk import Counts
from anomae.pacs.errors import Stopped
from anomae.pacs.stopping import stopped_by_signals


def tell_and_wait(number: signal.Signals) -> None:
    os.kill(os.getpid(), number)
    time.sleep(30)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_wish_is_granted_and_ctrl_c_ends_with_130(number: signal.Signals, capsys: pytest.CaptureFixture) -> None:
    before = signal.getsignal(number)
    with stopped_by_signals() as wish:
        wish.go_on()
        os.kill(os.getpid(), number)
        wish.wait(30)  # another thread of this process may be the one that the system tells
        with pytest.raises(Stopped):
            wish.go_on()
        with pytest.raises(KeyboardInterrupt):
            tell_and_wait(number)
    assert signal.getsignal(number) == before
    if number == signal.SIGTERM:
        _ended(Counts(), Path("out"), wish)
    else:
        with pytest.raises(typer.Exit) as ended:
            _ended(Counts(), Path("out"), wish)
        assert ended.value.exit_code == 130
    assert "Worklist:" in capsys.readouterr().out

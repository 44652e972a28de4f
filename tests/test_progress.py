"""Progress: what people read in a log."""

import io
import re
import sys
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from threading import Barrier, Thread

import pytest

from anomae.progress import Console, Silent, duration, progress, reporting, say


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.4, "0 s"), (99, "99 s"), (100, "2 min"), (3000, "50 min"), (12000, "3 h 20 min"), (3_542_400, "41 days")],
)
def test_times_are_said_as_people_say_them(seconds: float, said: str) -> None:
    assert duration(seconds) == said


def test_a_log_gets_a_last_line_with_count_and_note(capsys: pytest.CaptureFixture[str]) -> None:
    with reporting(Console()), progress("fit", 5, "steps", start=2) as bar:
        for _ in range(3):
            bar.advance(note="loss 0.1")
    written = capsys.readouterr()
    assert written.out == ""
    assert written.err.startswith("fit: 5/5 steps")
    assert written.err.endswith("loss 0.1\n")
    assert written.err.count("\n") == 1


def test_nothing_is_said_where_nobody_watches(capsys: pytest.CaptureFixture[str]) -> None:
    with progress("fit", 5) as bar:
        bar.advance()
        assert isinstance(bar, Silent)
    say("unheard")
    assert capsys.readouterr() == ("", "")


def test_another_thread_and_another_process_are_silent(watched: None, capsys: pytest.CaptureFixture[str]) -> None:
    say("heard")
    thread = Thread(target=say, args=("unheard",))
    thread.start()
    thread.join()
    with progress("fit", 1, speaks=False) as bar:
        bar.advance()
    assert capsys.readouterr().err == "heard\n"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_bars_at_once_stand_below_one_another_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", terminal := Terminal())
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    met = Barrier(2, timeout=60)

    def work(title: str) -> None:
        with progress(title, 3, "steps") as bar:
            met.wait()
            for _ in range(3):
                bar.advance(note=f"loss of {title} [/as in names]")
            met.wait()

    with reporting(Console()), ThreadPoolExecutor(2) as threads:
        for done in [threads.submit(copy_context().run, work, title) for title in ("heads", "rd4ad [/b]")]:
            done.result()
        written = terminal.getvalue()
        with progress("afterwards", 1) as bar:
            bar.advance()
    last = re.sub(r"\x1b\[[?0-9;]*[a-zA-Z]", "", written).splitlines()[-2:]  # without colours and movements
    for title in ("heads", "rd4ad [/b]"):
        line = next(line for line in last if title in line)
        assert "3/3 steps" in line
        assert f"loss of {title} [/as in names]" in line
    assert "rd4ad" not in terminal.getvalue()[len(written) :]
    assert "afterwards" in terminal.getvalue()[len(written) :]

"""The service's side of the process that scores: started, watched, and ended where it takes too much or too long."""

import contextlib
import json
import os
import queue
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from anomae.errors import UserError
from anomae.serving.limits import GIB, Limits

_LOOK_S = 0.05
_START_S = 300.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a job ended.

    kind: "done"; "failed", for good, `sentence` says why; "died", of something that may not happen again; "stopped",
    because the service wanted it.  facts: of a job that is done.
    """

    kind: Literal["done", "failed", "died", "stopped"]
    sentence: str = ""
    facts: dict[str, Any] | None = None


class WorkerProcess:
    """One process that scores; it starts with the first job, and anew after it was ended."""

    def __init__(self, runs: Sequence[Path], limits: Limits, device: str | None = None) -> None:
        self._runs, self._limits, self._device = runs, limits, device
        self._process: subprocess.Popen[str] | None = None
        self._answers: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        self.starts = 0

    @property
    def memory_bytes(self) -> int:
        """Resident memory of the process and its children now; 0 where it does not run or the system does not tell."""
        return 0 if self._process is None else _resident(self._process.pid)

    def start(self, wanted: Callable[[], bool]) -> None:
        """Start it and wait until the models are loaded.  Raises UserError where they cannot be, or are not wanted."""
        if self._process is not None and self._process.poll() is None:
            return
        self.stop()
        # A session of its own: its children end with it, and Ctrl-C reaches the service alone.
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "anomae.serving.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            encoding="utf-8",
            start_new_session=True,
            env={**os.environ, "OMP_WAIT_POLICY": os.environ.get("OMP_WAIT_POLICY", "PASSIVE")},
        )
        self._answers = queue.SimpleQueue()
        threading.Thread(target=_listen, args=(self._process, self._answers), daemon=True).start()
        self.starts += 1
        runs = [str(run.resolve()) for run in self._runs]
        self._ask({"runs": runs, "memory": self._limits.memory_bytes, "device": self._device})
        until, answer = time.monotonic() + _START_S, None
        while wanted() and time.monotonic() < until:
            with contextlib.suppress(queue.Empty):
                answer = self._answers.get(timeout=_LOOK_S)
                break
        if answer is None or "ready" not in answer:
            self.stop()
            raise UserError((answer or {}).get("failed", "The process that scores did not start, or was ended."))

    def run(self, job: dict[str, Any], progress: Callable[[int, int], None], wanted: Callable[[], bool]) -> Outcome:
        """Score one study.

        progress: told how many scans are done, of how many.  wanted: asked often; once it is False, the job is stopped.
        """
        try:
            self.start(wanted)
        except UserError as error:
            return Outcome("died" if wanted() else "stopped", str(error))
        began = time.monotonic()
        self._ask(job)
        while True:
            try:
                answer = self._answers.get(timeout=_LOOK_S)
            except queue.Empty:
                answer = {}
            if answer is None:
                self.stop()
                return Outcome("died", "The process that scored the study was ended, mostly because memory ran out.")
            if "progress" in answer:
                progress(*answer["progress"])
            elif "done" in answer:
                self._refresh()
                return Outcome("done", facts=answer["done"])
            elif "failed" in answer:
                self._refresh()
                return Outcome("failed", str(answer["failed"]))
            elif "defect" in answer:
                self.stop()
                return Outcome("failed", f"A defect of the program ({answer['defect']}); please report it.")
            ending = self._why_end(began, wanted)
            if ending is not None:
                self.stop()
                return ending

    def stop(self) -> None:
        """End it and its children at once; what it was at goes on from its journal."""
        process, self._process = self._process, None
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError, ValueError):
                    pipe.close()

    def _why_end(self, began: float, wanted: Callable[[], bool]) -> Outcome | None:
        if not wanted():
            return Outcome("stopped")
        if self.memory_bytes > self._limits.memory_bytes:
            most = f"{self._limits.memory_bytes / GIB:.3g} GiB"
            return Outcome("failed", f"The study needs more memory than the {most} that the service gives it.")
        if time.monotonic() - began > self._limits.job_s:
            return Outcome("failed", f"The study took longer than the {self._limits.job_s:g} s that the service gives.")
        return None

    def _refresh(self) -> None:
        """A process that kept much memory is replaced before the next job."""
        if self.memory_bytes > self._limits.memory_bytes / 2:
            self.stop()

    def _ask(self, content: dict[str, Any]) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        # One that just died cannot be asked; its end is seen by whoever waits for its answer.
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(json.dumps(content) + "\n")
            self._process.stdin.flush()


def _listen(process: "subprocess.Popen[str]", answers: "queue.SimpleQueue[dict[str, Any] | None]") -> None:
    """Hand on every line; None at the end."""
    assert process.stdout is not None
    with contextlib.suppress(ValueError, OSError):  # cut short, or closed by `stop`
        for line in process.stdout:
            answers.put(json.loads(line))
    answers.put(None)


def _resident(process: int) -> int:
    """Resident memory of a process and those it started, bytes; 0 where the system has no /proc."""
    folder = Path("/proc") / str(process)
    try:
        pages = int((folder / "statm").read_text().split()[1])
        started = [child for task in (folder / "task").iterdir() for child in (task / "children").read_text().split()]
    except (OSError, IndexError):  # ended meanwhile
        return 0
    return pages * resource.getpagesize() + sum(_resident(int(child)) for child in started)

"""The process that scores: bounded in memory and time, replaced when it dies, ended when nobody wants it."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from anomae.serving.limits import Limits
from anomae.serving.worker_process import WorkerProcess

# Stands in for the process: does what it is asked, at once, without a model.
STAND_IN = """
import json, sys, time
sys.stdin.readline()
print(json.dumps({"ready": True}), flush=True)
for line in sys.stdin:
    what = json.loads(line)["do"]
    if what == "eat":
        kept = bytearray(400 << 20)
        kept[::4096] = b"x" * len(kept[::4096])
    if what in ("eat", "sleep"):
        time.sleep(60)
    if what == "die":
        sys.exit(1)
    print(json.dumps({"progress": [1, 2]}), flush=True)
    answers = {"refuse": {"failed": "No."}, "break": {"defect": "KeyError in x.py, line 3"}}
    print(json.dumps(answers.get(what, {"done": {"flag": True}})), flush=True)
"""


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch) -> Iterator[WorkerProcess]:
    real = subprocess.Popen

    def start(command: list[str], **options):
        assert command[-2:] == ["-m", "anomae.serving.worker"]
        return real([sys.executable, "-c", STAND_IN], **options)

    monkeypatch.setattr(subprocess, "Popen", start)
    made = WorkerProcess([], Limits(memory_bytes=200 << 20, job_s=1.0))
    yield made
    made.stop()


def outcome(worker: WorkerProcess, what: str, wanted=lambda: True):
    seen: list[tuple[int, int]] = []
    ended = worker.run({"do": what}, lambda done, total: seen.append((done, total)), wanted)
    return ended, seen


def test_answers_and_progress(worker: WorkerProcess):
    ended, seen = outcome(worker, "work")
    assert (ended.kind, ended.facts, seen) == ("done", {"flag": True}, [(1, 2)])
    assert outcome(worker, "refuse")[0].sentence == "No."
    assert worker.starts == 1
    ended, _ = outcome(worker, "break")
    assert ended.kind == "failed"
    assert "defect of the program (KeyError in x.py, line 3)" in ended.sentence
    assert outcome(worker, "work")[0].kind == "done"  # after a defect by a new process
    assert worker.starts == 2


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="this system has no /proc")
def test_too_much_memory_and_too_much_time_end_the_job_for_good(worker: WorkerProcess):
    ended, _ = outcome(worker, "eat")
    assert (ended.kind, "more memory than the 0.195 GiB" in ended.sentence) == ("failed", True)
    ended, _ = outcome(worker, "sleep")
    assert (ended.kind, "longer than the 1 s" in ended.sentence) == ("failed", True)
    assert outcome(worker, "work")[0].kind == "done"


def test_one_that_dies_is_told_apart_and_replaced(worker: WorkerProcess):
    assert outcome(worker, "die")[0].kind == "died"
    assert outcome(worker, "work")[0].kind == "done"
    assert worker._process is not None
    pid = worker._process.pid
    threading.Timer(0.2, lambda: os.kill(pid, signal.SIGKILL)).start()
    assert outcome(worker, "sleep")[0].kind == "died"


def test_what_nobody_wants_is_stopped(worker: WorkerProcess):
    began = time.monotonic()
    ended, _ = outcome(worker, "sleep", lambda: time.monotonic() - began < 0.2)
    assert ended.kind == "stopped"
    assert worker.memory_bytes == 0


def test_one_that_cannot_start_says_why(tmp_path: Path):
    worker = WorkerProcess([tmp_path], Limits(), "cpu")
    ended, _ = outcome(worker, "work")
    assert (ended.kind, "holds nothing fitted" in ended.sentence) == ("died", True)

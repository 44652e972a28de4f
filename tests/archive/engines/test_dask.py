"""Dask: what is said, and what is done, where workers or the scheduler of a cluster go."""

import os
import re
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from anomae.archive.engines import dask as module
from anomae.archive.engines.dask import DaskEngine
from anomae.archive.worker import Answer, Piece
from anomae.errors import UserError
from anomae.progress import Silent, reporting

distributed = pytest.importorskip("distributed", reason="the extra `cluster` is not installed")
READY_S = 60


@pytest.fixture
def work(monkeypatch):
    """In place of scoring, workers are at a piece as long as a file with its name is there."""

    def held(job, piece):  # a function of a function is sent as a whole: workers cannot import a test
        import time
        from pathlib import Path

        while Path(piece.target).exists():
            time.sleep(0.05)
        return Answer(process="there")

    monkeypatch.setattr(module, "score_piece", held)
    monkeypatch.setattr(module, "PATIENCE_S", 0.5)


class Cluster:
    """A scheduler and workers in processes of their own."""

    def __init__(self, folder: Path):
        self.folder, self.processes = folder, []
        (folder / "log").touch()
        self.scheduler = self._start("scheduler", "--host", "127.0.0.1", "--port", "0", "--no-show")
        self.address = self._until(r"Scheduler at:\s+(tcp://\S+)")

    def add_worker(self) -> subprocess.Popen:
        before = (self.folder / "log").read_text().count("Registered to:")
        worker = self._start("worker", self.address, "--nthreads", "1", "--no-nanny", "--no-dashboard")
        self._until(rf"(?s)(?:Registered to:.*){{{before + 1}}}()")
        return worker

    def _start(self, what: str, *arguments: str) -> subprocess.Popen:
        command = [sys.executable, "-m", "dask", what, *arguments]
        with (self.folder / "log").open("a") as log:
            self.processes.append(subprocess.Popen(command, stdout=log, stderr=log, cwd=self.folder))
        return self.processes[-1]

    def _until(self, said: str) -> str:
        for _ in range(10 * READY_S):
            if found := re.search(said, (self.folder / "log").read_text()):
                return found[1]
            time.sleep(0.1)
        raise AssertionError((self.folder / "log").read_text())


@pytest.fixture
def cluster(tmp_path):
    made = Cluster(tmp_path)
    yield made
    for process in reversed(made.processes):
        process.kill()
        process.wait()


class Heard(Silent):
    """Keeps what is said; `then` is called with it."""

    def __init__(self, then):
        self.sentences, self.then = [], then

    def say(self, sentence):
        self.sentences.append(sentence)
        self.then()


def piece(tmp_path: Path, number: int = 0, held: bool = False) -> Piece:
    path = tmp_path / f"piece{number}"
    if held:
        path.touch()
    return Piece(number, (), str(path))


def test_without_workers_it_says_so_once_and_goes_on_when_some_come(cluster, work, tmp_path):
    worker = cluster.add_worker()

    def later():
        time.sleep(2)  # several times its patience
        cluster.add_worker()

    heard = Heard(later)
    with reporting(heard), DaskEngine(None, 1, cluster.address) as engine:
        worker.send_signal(signal.SIGTERM)
        worker.wait()
        engine.submit(piece(tmp_path))
        (outcome,) = engine.outcomes()
    assert outcome.answer == Answer(process="there")
    assert heard.sentences == [
        f"The scheduler at {cluster.address} has no worker any more; start some, or stop with Ctrl-C and go on later."
    ]


@pytest.mark.parametrize("when", ["waiting", "submitting"])
def test_a_scheduler_that_goes_ends_in_one_sentence(cluster, work, tmp_path, capfd, when):
    cluster.add_worker()

    def run():
        with DaskEngine(None, 1, cluster.address) as engine:
            engine.submit(piece(tmp_path, held=True))
            cluster.scheduler.kill()
            cluster.scheduler.wait()
            if when == "submitting":
                time.sleep(0.5)
                engine.submit(piece(tmp_path, 1))
            engine.outcomes()

    with pytest.raises(UserError, match=f"at {cluster.address} does not answer any more; give the same command again"):
        run()
    said = capfd.readouterr()
    assert (said.out, said.err) == ("", "")


def test_what_dask_was_told_to_forget_is_held_against_no_file(cluster, work, tmp_path):
    cluster.add_worker()
    given = piece(tmp_path, held=True)
    with DaskEngine(None, 1, cluster.address) as engine:
        engine.submit(given)
        engine._client.cancel(list(engine._pieces), force=True)
        (outcome,) = engine.outcomes()
        assert (outcome.piece, outcome.answer, outcome.lost) == (given, None, True)
        Path(given.target).unlink()
        engine.submit(given)
        assert engine.outcomes()[0].answer == Answer(process="there")


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux, to look at the signals of a process")
def test_no_interrupt_reaches_workers_on_this_machine_nor_those_that_replace_them():
    """Each printed its traceback."""
    with DaskEngine(None, 1, None) as engine:
        first = blocked(engine)
        for process in first:
            os.kill(process, signal.SIGKILL)
        while not (second := blocked(engine)).keys() - first.keys():
            time.sleep(0.1)
    for masks in (first, second):
        assert {int(mask, 16) >> (signal.SIGINT - 1) & 1 for mask in masks.values()} == {1}
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, ())


def blocked(engine: DaskEngine) -> dict[int, str]:
    """Process of a worker -> the signals that do not reach it."""
    found = {}
    for nanny in engine._cluster.workers.values():
        process = nanny.process and nanny.process.pid
        with suppress(FileNotFoundError):  # it is gone by now
            status = Path(f"/proc/{process}/status").read_text()
            found[process] = next(line.split()[1] for line in status.splitlines() if line.startswith("SigBlk:"))
    return found

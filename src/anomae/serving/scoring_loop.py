"""The threads that score: each takes the next job, has it scored by a process of its own, and notes how it ended."""

import contextlib
import logging
import sqlite3
import threading
import time
import traceback
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

from anomae.errors import UserError
from anomae.serving.jobs import Job, Jobs
from anomae.serving.limits import Limits
from anomae.serving.metrics import Metrics
from anomae.serving.queue import Queue
from anomae.serving.results import RESULT, files_there, read_result
from anomae.serving.worker_process import Outcome, WorkerProcess

_IDLE_S, _FULL_S = 0.1, 2.0
_LOOKS = 50  # so many times the queue is found empty before it is asked whether it should be
_LOG = logging.getLogger(__name__)


class Scoring:
    """Scores jobs, one process a thread.

    studies: the folder of the studies' folders.  runs: by name.
    """

    def __init__(
        self,
        jobs: Jobs,
        queue_file: Path,
        studies: Path,
        runs: Mapping[str, Path],
        limits: Limits,
        device: str | None,
        workers: int,
        metrics: Metrics,
    ) -> None:
        self._jobs, self._studies, self._runs, self._limits = jobs, studies, runs, limits
        self.queue = Queue(queue_file, self._score)
        self._workers = [WorkerProcess(list(runs.values()), limits, device) for _ in range(workers)]
        self._stopping = threading.Event()
        self._own = threading.local()
        self._threads: list[threading.Thread] = []
        self._metrics = metrics
        metrics.memory.set_function(self.memory_bytes)

    def start(self) -> None:
        """Begin to score."""
        self._threads = [threading.Thread(target=self._work, args=(worker,), name="score") for worker in self._workers]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End the processes at once; jobs that are being scored wait again."""
        self._stopping.set()
        for thread in self._threads:
            thread.join()
        for worker in self._workers:
            worker.stop()
        self.queue.close()

    @property
    def stopping(self) -> bool:
        """Whether it is being stopped."""
        return self._stopping.is_set()

    def memory_bytes(self) -> int:
        """Resident memory of all processes that score."""
        return sum(worker.memory_bytes for worker in self._workers)

    def finish_from_disk(self, job: Job) -> None:
        """A job whose result was written, but whose end nobody could note any more."""
        try:
            result = read_result(self._studies / job.id)
            facts = {"flag": result["flag"], "scans": len(result["scans"]), "findings": int(result["findings"])}
            facts["results"] = files_there(self._studies / job.id, result)
        except (UserError, KeyError, TypeError):  # damaged: scored anew, from its journal
            ((self._studies / job.id) / RESULT).unlink()
            self._jobs.requeue(job.id, died=False)
        else:
            self._jobs.finish(job.id, **facts, note="")

    def _work(self, worker: WorkerProcess) -> None:
        self._own.worker = worker
        with contextlib.suppress(UserError):  # the first job then says why
            worker.start(lambda: not self.stopping)
        idle = 0
        while not self.stopping:
            try:
                if self.queue.step():
                    idle = 0
                    continue
                idle += 1
                if idle % _LOOKS == 0:  # noted, but not put there: a full disk can come in between
                    for job in self._jobs.all("queued"):
                        self.queue.put(job.id)
                self._stopping.wait(_IDLE_S)
            except sqlite3.OperationalError:  # a full disk, mostly: nothing is lost, as the job is noted as unfinished
                self._stopping.wait(_FULL_S)

    def _score(self, study: str) -> None:
        """Score one study, on the thread's own process; called by the queue."""
        worker: WorkerProcess = self._own.worker
        while not self.stopping:
            try:
                if self._jobs.begin(study):
                    self._score_begun(study, worker)
                return
            except sqlite3.OperationalError:
                # What is noted of the job is older than what is so; from the disk it is found out again.
                self._stopping.wait(_FULL_S)
                self._put_back(study)
            except Exception as error:  # noqa: BLE001  one job fails, the service goes on
                _LOG.error("A defect while a study was scored: %s", "".join(traceback.format_tb(error.__traceback__)))
                self._fail(study, f"A defect of the program ({type(error).__name__}); please report it.")
                return

    def _score_begun(self, study: str, worker: WorkerProcess) -> None:
        began, job = time.monotonic(), self._jobs.find(study)
        if job is None:
            return
        folder = self._studies / study
        asked = {
            "id": study,
            "name": job.run,
            "run": str(self._runs[job.run].resolve()) if job.run in self._runs else "",
        }
        if not asked["run"]:
            outcome = Outcome("failed", f"The run {job.run} is not served any more; send the study again.")
        else:
            request = {**asked, "folder": str(folder.resolve()), "dicom": _has_highdicom()}
            outcome = worker.run(
                request,
                lambda done, total: self._jobs.progress(study, done, total),
                lambda: not self.stopping and self._jobs.find(study) is not None,
            )
        self._note(study, outcome)
        if outcome.kind == "done":
            self._metrics.seconds.observe(time.monotonic() - began)

    def _note(self, study: str, outcome: Outcome) -> None:
        if outcome.kind == "done":
            facts = outcome.facts or {}
            self._jobs.finish(study, **facts)
            self._metrics.finished.labels("done").inc()
            self._metrics.flagged.inc(int(facts["flag"] is True))
        elif outcome.kind == "failed":
            self._fail(study, outcome.sentence)
        elif outcome.kind == "died":
            self._metrics.died.inc()
            self._jobs.requeue(study, died=True)
            job = self._jobs.find(study)
            if job is not None and job.attempts >= self._limits.attempts:
                self._fail(
                    study, f"{outcome.sentence} It did so {job.attempts} times, so the study is not tried again."
                )
            elif job is not None:
                self.queue.put(study)
        else:
            self._jobs.requeue(study, died=False)

    def _fail(self, study: str, sentence: str) -> None:
        if self._jobs.fail(study, sentence):
            self._metrics.finished.labels("failed").inc()

    def _put_back(self, study: str) -> None:
        job = self._jobs.find(study)
        if job is not None and job.state == "running":
            if (self._studies / study / RESULT).exists():
                self.finish_from_disk(job)
            else:
                self._jobs.requeue(study, died=False)


def _has_highdicom() -> bool:
    return find_spec("highdicom") is not None

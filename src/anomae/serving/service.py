"""The service without its HTTP: folders, jobs, queue and the threads that score, put together; started and stopped."""

import logging
import secrets
import shutil
import sqlite3
import threading
import time
import traceback
from collections.abc import Sequence
from pathlib import Path

from anomae.errors import UserError
from anomae.files import read_json, write_json
from anomae.inference.fitted import fitted_folder, learned_in_colour, prepared_facts
from anomae.locks import FolderLock, holds_anything
from anomae.serving.audit import Audit
from anomae.serving.jobs import UNFINISHED, Job, Jobs
from anomae.serving.limits import Limits
from anomae.serving.metrics import Metrics
from anomae.serving.queue import Queue
from anomae.serving.refusals import FULL_DISK, NO_ROOM, Refused
from anomae.serving.results import RESULT, UPLOAD, read_result
from anomae.serving.retention import ServiceClock, outlived
from anomae.serving.uploads import Received, laid_out
from anomae.serving.worker_process import Outcome, WorkerProcess

_FORMAT = "anomae service 1"
_IDLE_S, _FULL_S, _TIDY_S = 0.1, 2.0, 60.0
_LOG = logging.getLogger(__name__)


class Service:
    """All of one service.

    DIR/
      service.json                 what this folder is
      jobs.db, queue.db            the jobs, and the order in which they are scored
      incoming/<id>/               an upload that is on its way; removed at a start
      studies/<id>/upload/, out/   what was sent, and its scoring (see anomae.runs.scoring_folder)
      studies/<id>/result.json     written last: the study is done
      audit.jsonl, token           who did what; the service's own token, where none was given
    """

    def __init__(
        self,
        runs: Sequence[Path],
        folder: Path,
        *,
        limits: Limits | None = None,
        keep_s: float | None = None,
        device: str | None = None,
        workers: int = 1,
    ) -> None:
        """Open `folder`, making it where it is absent; nothing runs before `start`.

        keep_s: how long studies are kept; None: for ever.  workers: processes that score.  Raises UserError where a run
        is not fitted, or the folder holds something else or belongs to another service that runs.
        """
        self.limits, self.folder, self.keep_s = limits or Limits(), folder, keep_s
        self.runs = _named(runs)
        self._lock = _opened(folder)
        for name in ("incoming", "studies"):
            (folder / name).mkdir(exist_ok=True)
        self.jobs = Jobs(folder / "jobs.db")
        self.queue = Queue(folder / "queue.db", self._score)
        self.audit = Audit(folder / "audit.jsonl")
        self.clock = ServiceClock(self.jobs)
        self._workers = [WorkerProcess(list(self.runs.values()), self.limits, device) for _ in range(workers)]
        self.metrics = Metrics(
            self.jobs.counts,
            lambda: sum(worker.memory_bytes for worker in self._workers),
            lambda: shutil.disk_usage(folder).free,
        )
        self._stopping = threading.Event()
        self._own = threading.local()
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Take up what an earlier service left, and begin to score."""
        self._recover()
        self._threads = [threading.Thread(target=self._work, args=(worker,), name="score") for worker in self._workers]
        self._threads.append(threading.Thread(target=self._tidy_now_and_then, name="tidy"))
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End all; jobs that are being scored wait for the next start and go on where they were."""
        self._stopping.set()
        for thread in self._threads:
            thread.join()
        for worker in self._workers:
            worker.stop()
        self.clock.keep()
        self.queue.close()
        self.jobs.close()
        self._lock.release()

    @property
    def stopping(self) -> bool:
        """Whether it is being stopped."""
        return self._stopping.is_set()

    def study_folder(self, study: str) -> Path:
        """Where a study lies."""
        return self.folder / "studies" / study

    def incoming(self) -> tuple[str, Path]:
        """A new id, and an empty folder for what comes.  Raises Refused (429) where too many jobs wait."""
        if self.jobs.counts()["queued"] >= self.limits.waiting:
            raise Refused(429, f"{self.limits.waiting} jobs wait already; send it again later.")
        study = secrets.token_hex(8)
        folder = self.folder / "incoming" / study
        folder.mkdir()
        return study, folder

    def accept(self, study: str, received: Received) -> None:
        """Make a job of what was received.  Raises Refused where it is too much, or names a run that is not served."""
        run = received.fields.get("run") or next(iter(self.runs))
        if run not in self.runs:
            raise Refused(422, f"The run is none of those that are served: {', '.join(self.runs)}.")
        came = self.folder / "incoming" / study
        files, size = laid_out(received, came / UPLOAD, self.limits)
        target = self.study_folder(study)
        target.mkdir()
        (came / UPLOAD).rename(target / UPLOAD)
        shutil.rmtree(came)
        self.jobs.add(study, run, files, size, self.clock.now())
        self.queue.put(study)
        self.metrics.received.inc(received.bytes)

    def discard(self, study: str) -> None:
        """Remove what came of an upload that was refused."""
        shutil.rmtree(self.folder / "incoming" / study, ignore_errors=True)
        if self.jobs.find(study) is None:
            shutil.rmtree(self.study_folder(study), ignore_errors=True)

    def retry(self, study: str) -> None:
        """Let a failed job wait again.  Raises Refused where it has not failed."""
        if not self.jobs.retry(study):
            raise Refused(409, "Only a job that failed can be tried again.")
        self.queue.put(study)

    def delete(self, study: str) -> bool:
        """Remove a study with all that is known of it, stopping its job; False where there is none."""
        found = self.jobs.remove(study)
        folder = self.study_folder(study)
        gone = folder.with_name(f".gone-{study}-{secrets.token_hex(4)}")
        if folder.exists():
            folder.rename(gone)  # at once, so that nothing of it is shown any more
            shutil.rmtree(gone, ignore_errors=True)  # whom it is being scored by may still write; tidied later
        return found

    def _recover(self) -> None:
        """Bring jobs, queue and folders to one state, whatever was under way when an earlier service ended."""
        for path in (self.folder / "incoming").iterdir():
            shutil.rmtree(path, ignore_errors=True)
        for job in self.jobs.all(*UNFINISHED):
            if not self.study_folder(job.id).joinpath(UPLOAD).is_dir():
                self.jobs.fail(job.id, "Its files are gone; send the study again.")
            elif self.study_folder(job.id).joinpath(RESULT).exists():
                self._finish_from_disk(job)
            elif job.state == "running":
                self.jobs.requeue(job.id, died=False)
        self._tidy()
        self.queue.refill(job.id for job in self.jobs.all("queued"))

    def _finish_from_disk(self, job: Job) -> None:
        """A job whose result was written, but whose end nobody could note any more."""
        try:
            result = read_result(self.study_folder(job.id))
            facts = {"flag": result["flag"], "scans": len(result["scans"]), "findings": int(result["findings"])}
        except (UserError, KeyError, TypeError):  # damaged: scored anew, from its journal
            (self.study_folder(job.id) / RESULT).unlink()
            self.jobs.requeue(job.id, died=False)
        else:
            self.jobs.finish(job.id, **facts, note="")

    def _work(self, worker: WorkerProcess) -> None:
        self._own.worker = worker
        while not self.stopping:
            try:
                if not self.queue.step():
                    self._stopping.wait(_IDLE_S)
            except sqlite3.OperationalError:  # a full disk, mostly: nothing is lost, as the job is noted as unfinished
                self._stopping.wait(_FULL_S)

    def _score(self, study: str) -> None:
        """Score one study, on the thread's own process; called by the queue."""
        worker: WorkerProcess = self._own.worker
        while not self.stopping:
            try:
                if self.jobs.begin(study):
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
        began, job = time.monotonic(), self.jobs.find(study)
        if job is None:
            return
        folder = self.study_folder(study)
        asked = {"id": study, "name": job.run, "run": str(self.runs[job.run].resolve()) if job.run in self.runs else ""}
        if not asked["run"]:
            outcome = Outcome("failed", f"The run {job.run} is not served any more; send the study again.")
        else:
            request = {**asked, "folder": str(folder.resolve()), "dicom": _has_highdicom()}
            outcome = worker.run(
                request,
                lambda done, total: self.jobs.progress(study, done, total),
                lambda: not self.stopping and self.jobs.find(study) is not None,
            )
        self._note(study, outcome)
        if outcome.kind == "done":
            self.metrics.seconds.observe(time.monotonic() - began)

    def _note(self, study: str, outcome: Outcome) -> None:
        if outcome.kind == "done":
            facts = outcome.facts or {}
            self.jobs.finish(study, **facts)
            self.metrics.finished.labels("done").inc()
            self.metrics.flagged.inc(int(facts["flag"] is True))
        elif outcome.kind == "failed":
            self._fail(study, outcome.sentence)
        elif outcome.kind == "died":
            self.metrics.died.inc()
            self.jobs.requeue(study, died=True)
            job = self.jobs.find(study)
            if job is not None and job.attempts >= self.limits.attempts:
                self._fail(
                    study, f"{outcome.sentence} It did so {job.attempts} times, so the study is not tried again."
                )
            elif job is not None:
                self.queue.put(study)
        else:
            self.jobs.requeue(study, died=False)

    def _fail(self, study: str, sentence: str) -> None:
        if self.jobs.fail(study, sentence):
            self.metrics.finished.labels("failed").inc()

    def _put_back(self, study: str) -> None:
        job = self.jobs.find(study)
        if job is not None and job.state == "running":
            if (self.study_folder(study) / RESULT).exists():
                self._finish_from_disk(job)
            else:
                self.jobs.requeue(study, died=False)

    def _tidy_now_and_then(self) -> None:
        while not self._stopping.wait(_TIDY_S):
            try:
                self._tidy()
            except (sqlite3.OperationalError, OSError) as error:  # a full disk: tried again
                _LOG.warning("Old studies could not be removed now (%s).", type(error).__name__)

    def _tidy(self) -> None:
        """Remove what was kept long enough, and folders that no job has."""
        self.clock.keep()
        for study in outlived(self.jobs, self.clock.now(), self.keep_s):
            self.delete(study)
            self.audit.note("service", "deleted, kept long enough", study=study)
        for path in (self.folder / "studies").iterdir():
            old = time.time() - path.stat().st_mtime > _TIDY_S or not self._threads
            if old and self.jobs.find(path.name) is None:
                shutil.rmtree(path, ignore_errors=True)


def _named(runs: Sequence[Path]) -> dict[str, Path]:
    """The runs by name.  Raises UserError where one is not fitted or is for what is not sent as single scans."""
    named: dict[str, Path] = {}
    for run in runs:
        learned_in_colour(prepared_facts(fitted_folder(run)))
        name, number = run.resolve().name, 1
        while name in named:
            number += 1
            name = f"{run.resolve().name}-{number}"
        named[name] = run
    return named


def _opened(folder: Path) -> FolderLock:
    """The lock of a folder that is a service's, or was empty.  Raises UserError where it is neither."""
    about = folder / "service.json"
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder} is a file; name a folder for the studies.")
    if not about.exists() and holds_anything(folder):
        raise UserError(f"{folder} is not empty and is no folder of a service; name another one with --data.")
    lock = FolderLock(folder)
    folder.chmod(0o700)
    if not about.exists():
        write_json(about, {"format": _FORMAT})
    elif read_json(about).get("format") != _FORMAT:
        lock.release()
        raise UserError(f"{folder} is of another version's service; name another one with --data.")
    return lock


def _has_highdicom() -> bool:
    from importlib.util import find_spec

    return find_spec("highdicom") is not None


def is_full(error: BaseException) -> Refused | None:
    """The refusal that an error of a full disk is; None where the error is another."""
    told = isinstance(error, sqlite3.OperationalError) and "full" in str(error)
    return Refused(507, NO_ROOM) if told or (isinstance(error, OSError) and error.errno in FULL_DISK) else None

"""The service without its HTTP: folders, jobs, queue and the threads that score, put together; started and stopped."""

import contextlib
import logging
import secrets
import shutil
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from anomae.errors import FULL_DISK, UserError
from anomae.files import read_json, write_json
from anomae.inference.fitted import fitted_folder, learned_in_colour, prepared_facts
from anomae.locks import FolderLock, holds_anything
from anomae.serving.audit import Audit
from anomae.serving.jobs import UNFINISHED, Jobs
from anomae.serving.limits import Limits
from anomae.serving.metrics import Metrics
from anomae.serving.refusals import NO_ROOM, Refused
from anomae.serving.results import RESULT, UPLOAD, files_there, read_result
from anomae.serving.retention import ServiceClock, outlived
from anomae.serving.scoring_loop import Scoring
from anomae.serving.uploads import Received, laid_out

_FORMAT = "anomae service 1"
_TIDY_S = 60.0
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
        self.audit = Audit(folder / "audit.jsonl")
        self.clock = ServiceClock(self.jobs, keep_s)
        self.metrics = Metrics(self.jobs.counts, lambda: shutil.disk_usage(folder).free)
        studies = folder / "studies"
        self.scoring = Scoring(
            self.jobs, folder / "queue.db", studies, self.runs, self.limits, device, workers, self.metrics
        )
        self.leaving: Callable[[], bool] = lambda: False
        self._stopping = threading.Event()
        self._tidying: threading.Thread | None = None

    def start(self) -> None:
        """Take up what an earlier service left, and begin to score."""
        self._recover()
        self.scoring.start()
        self._tidying = threading.Thread(target=self._tidy_now_and_then, name="tidy")
        self._tidying.start()

    def stop(self) -> None:
        """End all; jobs that are being scored wait for the next start and go on where they were."""
        self._stopping.set()
        self.scoring.stop()
        if self._tidying is not None:
            self._tidying.join()
        self.clock.keep()
        self.jobs.close()
        self._lock.release()

    @property
    def stopping(self) -> bool:
        """Whether it is being stopped, or is about to be: `leaving` is asked too."""
        return self._stopping.is_set() or self.leaving()

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
        self.scoring.queue.put(study)
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
        self.scoring.queue.put(study)

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
                self.scoring.finish_from_disk(job)
            elif job.state == "running":
                self.jobs.requeue(job.id, died=False)
        for job in self.jobs.all("done"):
            if job.results is None:  # an earlier version ended it
                with contextlib.suppress(UserError, KeyError, TypeError):  # damaged: nothing of it is offered
                    folder = self.study_folder(job.id)
                    self.jobs.note_results(job.id, files_there(folder, read_result(folder)))
        self._tidy()
        self.scoring.queue.refill(job.id for job in self.jobs.all("queued"))

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
            old = time.time() - path.stat().st_mtime > _TIDY_S or self._tidying is None
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


def is_full(error: BaseException) -> Refused | None:
    """The refusal that an error of a full disk is; None where the error is another."""
    told = isinstance(error, sqlite3.OperationalError) and "full" in str(error)
    return Refused(507, NO_ROOM) if told or (isinstance(error, OSError) and error.errno in FULL_DISK) else None

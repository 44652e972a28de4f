"""The jobs of the service in a SQLite file: what is queued, running, done and failed; the truth after any crash."""

import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Literal

State = Literal["queued", "running", "done", "failed"]
UNFINISHED: tuple[State, ...] = ("queued", "running")

_TABLES = """
create table if not exists job (
    number integer primary key autoincrement, id text not null unique, run text not null, state text not null,
    files integer not null, bytes integer not null, sent_at real not null, begun_at real, ended_at real,
    age_at real not null, attempts integer not null default 0, done integer not null default 0,
    total integer not null default 0, error text not null default '', note text not null default '',
    flag integer, scans integer, findings integer, results text
);
create table if not exists clock (one integer primary key check (one = 1), lived_s real not null, wall real not null);
"""


@dataclass(frozen=True, slots=True)
class Job:
    """One study on its way.

    number: order of arrival.  run: name of the model's run.  sent_at, begun_at, ended_at: Unix time, as the machine's
    clock had it.  age_at: the service's own clock when it came (see anomae.serving.retention).  attempts: how often
    the process that scored it died.  done, total: scans.  error: why it failed.  note: what is to be known though it
    did not.  flag: 1 where any scan is flagged, 0 where none is, None where none could be.  results: which files of
    its first scan can be asked for, with spaces between; None where it is not done, or an earlier version ended it.
    """

    number: int
    id: str
    run: str
    state: State
    files: int
    bytes: int
    sent_at: float
    begun_at: float | None
    ended_at: float | None
    age_at: float
    attempts: int
    done: int
    total: int
    error: str
    note: str
    flag: int | None
    scans: int | None
    findings: int | None
    results: str | None


_COLUMNS = ", ".join(field.name for field in fields(Job))


class Jobs:
    """The table of jobs; safe to use from several threads of one process."""

    def __init__(self, file: Path) -> None:
        self._lock = threading.RLock()
        self._tables = sqlite3.connect(file, timeout=30, isolation_level=None, check_same_thread=False)
        with self._lock:
            self._tables.execute("pragma journal_mode=wal")
            self._tables.execute("pragma synchronous=full")
            self._tables.executescript(_TABLES)
            if "results" not in {column[1] for column in self._tables.execute("pragma table_info(job)")}:
                self._tables.execute("alter table job add column results text")  # a folder of an earlier version

    def close(self) -> None:
        """Close the file; nothing can be asked after that."""
        with self._lock:
            self._tables.close()

    def add(self, job: str, run: str, files: int, size: int, age_at: float) -> None:
        """Enter a new job as queued; size: of its files, bytes."""
        self._write(
            "insert into job (id, run, state, files, bytes, sent_at, age_at) values (?, ?, 'queued', ?, ?, ?, ?)",
            (job, run, files, size, time.time(), age_at),
        )

    def find(self, job: str) -> Job | None:
        """One job, or None."""
        return next(self._select("where id = ?", (job,)), None)

    def all(self, *states: State) -> list[Job]:
        """All jobs, or those in these states, in order of arrival."""
        marks = ", ".join("?" * len(states))
        return list(self._select(f"where state in ({marks}) order by number" if states else "order by number", states))

    def counts(self) -> dict[str, int]:
        """How many jobs are in each state."""
        with self._lock:
            found = dict(self._tables.execute("select state, count(*) from job group by state").fetchall())
        return {state: int(found.get(state, 0)) for state in ("queued", "running", "done", "failed")}

    def begin(self, job: str) -> bool:
        """Take a queued job; False where it is not queued (any more)."""
        return self._write(
            "update job set state = 'running', begun_at = ?, done = 0, total = 0, error = '', note = '' "
            "where id = ? and state = 'queued'",
            (time.time(), job),
        )

    def progress(self, job: str, done: int, total: int) -> None:
        """So many scans of a running job are done."""
        self._write("update job set done = ?, total = ? where id = ? and state = 'running'", (done, total, job))

    def finish(
        self, job: str, *, flag: bool | None, scans: int, findings: int, note: str, results: Sequence[str] = ()
    ) -> bool:
        """A job is done; False where it is not there any more."""
        return self._write(
            "update job set state = 'done', ended_at = ?, flag = ?, scans = ?, findings = ?, note = ?, results = ?, "
            "done = total where id = ? and state in ('running', 'queued')",
            (time.time(), None if flag is None else int(flag), scans, findings, note, " ".join(results), job),
        )

    def note_results(self, job: str, results: Sequence[str]) -> None:
        """Which files can be asked for of a job that was done before that was noted."""
        self._write("update job set results = ? where id = ?", (" ".join(results), job))

    def fail(self, job: str, error: str) -> bool:
        """A job failed for good; False where it is not there any more."""
        return self._write(
            "update job set state = 'failed', ended_at = ?, error = ? where id = ? and state in ('running', 'queued')",
            (time.time(), error, job),
        )

    def requeue(self, job: str, *, died: bool) -> bool:
        """A running job waits again; died: the process that scored it did."""
        return self._write(
            "update job set state = 'queued', attempts = attempts + ? where id = ? and state = 'running'",
            (int(died), job),
        )

    def retry(self, job: str) -> bool:
        """A failed job waits again, as if it were new."""
        return self._write(
            "update job set state = 'queued', attempts = 0, error = '', ended_at = null "
            "where id = ? and state = 'failed'",
            (job,),
        )

    def remove(self, job: str) -> bool:
        """Forget a job; False where there was none."""
        return self._write("delete from job where id = ?", (job,))

    def clock(self) -> tuple[float, float]:
        """The service's own clock and the machine's when it was last kept: (lived_s, Unix time); (0, now) at first."""
        with self._lock:
            found = self._tables.execute("select lived_s, wall from clock").fetchone()
        return (0.0, time.time()) if found is None else (float(found[0]), float(found[1]))

    def keep_clock(self, lived_s: float) -> None:
        """Write down the service's own clock."""
        self._write("insert or replace into clock (one, lived_s, wall) values (1, ?, ?)", (lived_s, time.time()))

    def _select(self, rest: str, values: tuple[str, ...]) -> Iterator[Job]:
        with self._lock:
            rows = self._tables.execute(f"select {_COLUMNS} from job {rest}", values).fetchall()
        return (Job(*row) for row in rows)

    def _write(self, sentence: str, values: tuple[object, ...]) -> bool:
        with self._written() as tables:
            return tables.execute(sentence, values).rowcount > 0

    @contextmanager
    def _written(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            yield self._tables

"""The threads that score, with a stand-in for the process: each job ends, whatever happens to it on the way."""

import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import anomae.serving.scoring_loop as scoring_loop
from anomae.files import write_json
from anomae.serving.jobs import Jobs
from anomae.serving.limits import Limits
from anomae.serving.metrics import Metrics
from anomae.serving.scoring_loop import Scoring
from anomae.serving.worker_process import Outcome

DONE = Outcome("done", facts={"flag": True, "scans": 1, "findings": 2, "note": ""})


class StandIn:
    """Ends each job as the next of `ends` says; the last one holds for all that follow."""

    ends: list[Outcome | Exception]
    asked: list[str]
    memory_bytes = 0

    def __init__(self, *_) -> None:
        pass

    def start(self, wanted) -> None:
        pass

    def stop(self) -> None:
        pass

    def run(self, job, progress, wanted) -> Outcome:
        type(self).asked.append(job["id"])
        end = self.ends.pop(0) if len(self.ends) > 1 else self.ends[0]
        if isinstance(end, Exception):
            raise end
        return end


@pytest.fixture
def scoring(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scoring]:
    monkeypatch.setattr(scoring_loop, "WorkerProcess", StandIn)
    for name, value in (("_IDLE_S", 0.001), ("_FULL_S", 0.01), ("_LOOKS", 3)):
        monkeypatch.setattr(scoring_loop, name, value)
    monkeypatch.setattr(StandIn, "ends", [DONE], raising=False)
    monkeypatch.setattr(StandIn, "asked", [], raising=False)
    jobs = Jobs(tmp_path / "jobs.db")
    metrics = Metrics(jobs.counts, lambda: 0)
    made = Scoring(jobs, tmp_path / "queue.db", tmp_path, {"run": tmp_path}, Limits(), None, 1, metrics)
    yield made
    made.stop()
    jobs.close()


def ended(scoring: Scoring, name: str = "a", put: bool = True, run: str = "run"):
    jobs = scoring._jobs
    jobs.add(name, run, 1, 1, 0.0)
    if put:
        scoring.queue.put(name)
    scoring.start()
    until = time.monotonic() + 20
    while (job := jobs.find(name)) is None or job.state not in ("done", "failed"):
        assert time.monotonic() < until, job
        time.sleep(0.005)
    return job


def test_what_is_done_is_noted(scoring: Scoring):
    job = ended(scoring)
    assert (job.state, job.flag, job.scans, job.findings) == ("done", 1, 1, 2)
    assert 'anomae_jobs_finished_total{state="done"} 1.0' in scoring._metrics.text().decode()


def test_what_never_reached_the_queue_is_scored_all_the_same(scoring: Scoring):
    assert ended(scoring, put=False).state == "done"


def test_a_process_that_dies_is_given_three_tries(scoring: Scoring):
    StandIn.ends = [Outcome("died", "It died."), Outcome("died", "It died."), DONE]
    job = ended(scoring)
    assert (job.state, job.attempts, StandIn.asked) == ("done", 2, ["a"] * 3)


def test_a_file_that_kills_each_time_is_given_up(scoring: Scoring):
    StandIn.ends = [Outcome("died", "It died.")]
    job = ended(scoring)
    assert (job.state, job.error) == ("failed", "It died. It did so 3 times, so the study is not tried again.")


def test_a_defect_fails_one_job_and_names_no_patient(scoring: Scoring, caplog: pytest.LogCaptureFixture):
    StandIn.ends = [ValueError("Mueller^Hans"), DONE]
    job = ended(scoring)
    assert (job.state, "ValueError" in job.error) == ("failed", True)
    assert "Mueller" not in job.error + caplog.text


def test_a_full_disk_is_waited_for(scoring: Scoring):
    StandIn.ends = [sqlite3.OperationalError("database or disk is full"), DONE]
    assert ended(scoring).state == "done"


def test_what_was_written_before_a_full_disk_is_not_scored_again(scoring: Scoring, tmp_path: Path):
    write_json(tmp_path / "a" / "result.json", {"flag": False, "scans": [{}], "findings": 0})
    StandIn.ends = [sqlite3.OperationalError("database or disk is full")]
    job = ended(scoring)
    assert (job.state, job.flag, StandIn.asked) == ("done", 0, ["a"])


def test_a_run_that_is_not_served_any_more_is_said(scoring: Scoring):
    assert "not served any more" in ended(scoring, run="old").error

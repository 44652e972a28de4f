"""Jobs: each goes one way through its states, and what is written is there for the next process."""

import sqlite3
from contextlib import closing
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from anomae.serving.jobs import Jobs

# What each call may be made in, and where it leads to.
MOVES = {
    "begin": ({"queued"}, "running"),
    "finish": ({"queued", "running"}, "done"),
    "fail": ({"queued", "running"}, "failed"),
    "requeue": ({"running"}, "queued"),
    "retry": ({"failed"}, "queued"),
}


def made(jobs: Jobs, move: str) -> bool:
    if move == "finish":
        return jobs.finish("a", flag=None, scans=1, findings=0, note="")
    if move == "fail":
        return jobs.fail("a", "why")
    if move == "requeue":
        return jobs.requeue("a", died=True)
    return getattr(jobs, move)("a")


@given(st.lists(st.sampled_from(sorted(MOVES)), max_size=12))
def test_a_job_goes_no_other_way(moves: list[str]):
    jobs, state = Jobs(Path(":memory:")), "queued"
    jobs.add("a", "run", 1, 10, 0.0)
    for move in moves:
        sources, target = MOVES[move]
        assert made(jobs, move) is (state in sources)
        state = target if state in sources else state
        found = jobs.find("a")
        assert found is not None
        assert found.state == state
        assert jobs.counts()[state] == 1
    jobs.close()


def test_what_is_written_is_there_for_the_next(tmp_path: Path):
    jobs = Jobs(tmp_path / "jobs.db")
    for name in "cab":
        jobs.add(name, "run", 2, 10, 5.0)
    jobs.begin("a")
    jobs.progress("a", 1, 2)
    jobs.keep_clock(12.5)
    again = Jobs(tmp_path / "jobs.db")  # the first was not closed: it was killed
    assert [job.id for job in again.all()] == ["c", "a", "b"]
    assert [job.id for job in again.all("queued")] == ["c", "b"]
    found = again.find("a")
    assert found is not None
    assert (found.state, found.done, found.total, found.age_at) == ("running", 1, 2, 5.0)
    assert again.clock()[0] == 12.5
    assert (again.remove("a"), again.remove("a"), again.find("a")) == (True, False, None)
    for opened in (jobs, again):
        opened.close()


def test_a_table_of_an_earlier_version_is_taken_up(tmp_path: Path):
    jobs = Jobs(tmp_path / "jobs.db")
    jobs.add("a", "run", 1, 10, 0.0)
    jobs.finish("a", flag=None, scans=1, findings=0, note="")
    jobs.close()
    with closing(sqlite3.connect(tmp_path / "jobs.db")) as tables:
        tables.execute("alter table job drop column results")
    again = Jobs(tmp_path / "jobs.db")
    [job] = again.all()
    assert job.results is None
    again.note_results("a", ["map.nii.gz", "sr.dcm"])
    [job] = again.all()
    assert job.results == "map.nii.gz sr.dcm"
    again.close()

"""How long studies are kept: by hours that were lived through, whatever the machine's clock says."""

import time
from pathlib import Path

import pytest

from anomae.errors import UserError
from anomae.serving.jobs import Jobs
from anomae.serving.retention import MOST_AWAY_S, ServiceClock, checked_keep, outlived


def test_keep_is_read():
    assert [checked_keep(text) for text in ("12h", "30d", " 2 W ", "0.5d", "forever")] == [
        12 * 3600,
        30 * 86400,
        14 * 86400,
        43200,
        None,
    ]
    for text in ("", "30", "d", "-1d", "0d", "1y", "nan d"):
        with pytest.raises(UserError, match="--keep"):
            checked_keep(text)


@pytest.fixture
def jobs():
    made = Jobs(Path(":memory:"))
    yield made
    made.close()


def test_no_jump_of_the_clock_deletes_anything(jobs: Jobs, monkeypatch: pytest.MonkeyPatch):
    clock = ServiceClock(jobs)
    jobs.add("a", "run", 1, 1, clock.now())
    jobs.begin("a")
    jobs.finish("a", flag=None, scans=1, findings=0, note="")
    wall = time.time()
    for jump in (-40 * 365 * 86400, 40 * 365 * 86400, 0):
        monkeypatch.setattr(time, "time", lambda jump=jump: wall + jump)
        clock.keep()
        assert clock.now() < 60
        restarted = ServiceClock(jobs)  # a restart cannot tell a jump from time that it was off: a day at most counts
        assert restarted.now() <= 3 * MOST_AWAY_S + 60
        assert outlived(jobs, restarted.now(), 30 * 86400) == []


@pytest.mark.parametrize("keep_s", [3600, 86400, 7 * 86400])
def test_no_start_with_a_clock_that_is_ahead_deletes_what_is_to_be_kept_for_a_short_time(
    jobs: Jobs, monkeypatch: pytest.MonkeyPatch, keep_s: float
):
    jobs.add("a", "run", 1, 1, ServiceClock(jobs, keep_s).now())
    jobs.begin("a")
    jobs.finish("a", flag=None, scans=1, findings=0, note="")
    wall = time.time()
    for years in (1, 0, 1):
        monkeypatch.setattr(time, "time", lambda years=years: wall + years * 365 * 86400)
        restarted = ServiceClock(jobs, keep_s)
        assert outlived(jobs, restarted.now(), keep_s) == []
    assert restarted.now() > keep_s / 4 or keep_s > 86400  # what it was off counts all the same


def test_what_was_kept_long_enough_goes_but_nothing_that_is_under_way(jobs: Jobs):
    for name, age in (("old", 0.0), ("waits", 0.0), ("new", 500.0)):
        jobs.add(name, "run", 1, 1, age)
        if name != "waits":
            jobs.begin(name)
            jobs.finish(name, flag=None, scans=1, findings=0, note="")
    assert outlived(jobs, 1000.0, 600.0) == ["old"]
    assert outlived(jobs, 1e12, None) == []

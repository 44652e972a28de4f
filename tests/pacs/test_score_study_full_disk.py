"""A real small disk that runs full: said in one sentence, nothing vouched for, and all whole once there is room."""

import csv
import errno
import json
import os
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from anomae.errors import NotWritten
from anomae.pacs import score_study
from anomae.pacs.dicomweb import Archive
from anomae.pacs.pull import pull
from anomae.pacs.query import Query
from anomae.pacs.receive import Door, receive
from anomae.pacs.score_study import HowToScore
from anomae.pacs.stopping import Wish
from anomae.pacs.watch import watch

from .archives import MadeUpStudy, SmallArchive, free_port
from .test_pull import rows
from .test_receive import receiving, sent, states, until

SIZE = 24 << 20


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 24 MiB of its own; skipped where this process may mount none."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(folder)]
    try:
        made = subprocess.run(command, capture_output=True, text=True)
    except FileNotFoundError:
        pytest.skip("the program mount is not on this machine")
    if made.returncode:
        pytest.skip(f"no file system can be mounted here: {made.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def filled(folder: Path, left: int) -> Path:
    """A file of another program, after which so many bytes are left."""
    filler, free = folder / "filler", os.statvfs(folder)
    with filler.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, max(free.f_bavail * free.f_frsize - left, 1))
    return filler


def said_full(work: Callable[[], Any]) -> None:
    """It ends by one of the two that the command line tells in one sentence."""
    with pytest.raises((NotWritten, OSError)) as ended:
        work()
    error = ended.value
    assert isinstance(error, NotWritten) or error.errno == errno.ENOSPC, error


def whole(out: Path) -> int:
    """How many studies the journal vouches for; each of them is there with all that belongs to it."""
    lines = [json.loads(line) for line in (out / "journal.jsonl").read_text().splitlines() if line.endswith("}")]
    scored = {line["study"] for line in lines if line.get("state") == "scored"}
    for study in scored:
        with (out / "studies" / study / "scores.csv").open(newline="") as file:
            assert len(list(csv.DictReader(file))) == 8
        assert [*(out / "studies" / study / "dicom").glob("*-sr.dcm")]
        assert json.loads((out / "studies" / study / "scoring.json").read_text())["failed"] == {}
    return len(scored)


@pytest.mark.parametrize("command", ["pull", "watch"])
def test_what_is_fetched_waits_for_room(
    command: str,
    small_archive: SmallArchive,
    how: HowToScore,
    small_disk: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """First with the room that is always left, then with a disk that another program fills meanwhile."""
    out, archive = small_disk / "out", Archive(small_archive.url)

    def work(looks: int = 9) -> None:
        if command == "pull":
            pull(archive, how, out, Query())
            return
        wish = Wish()
        left = iter(range(looks))
        watch(archive, how, out, every_s=0.01, wish=wish, looked=lambda: next(left, None) is None and wish.stop())

    said_full(work)  # 24 MiB are less than what is left alone
    assert whole(out) == 0
    monkeypatch.setattr(score_study, "LEAST_FREE_BYTES", 0)
    for left in (0, 60_000, 400_000):
        filler = filled(small_disk, left)
        said_full(work)
        filler.unlink()
        assert whole(out) <= 3
    work()
    assert whole(out) == 3
    assert {row["state"] for row in rows(out).values()} == {"scored"}
    journal = (out / "journal.jsonl").read_text().splitlines()
    assert sum('"scored"' in line for line in journal) == 3


def test_what_is_sent_is_not_acknowledged_before_there_is_room(
    studies: list[MadeUpStudy], how: HowToScore, small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = small_disk / "out"
    with receiving(how, out, quiet_s=600) as door:
        assert sent(door, studies[0].files[:2]) == [0xA700] * 2  # 24 MiB are less than what is left alone
        monkeypatch.setattr(score_study, "LEAST_FREE_BYTES", 0)
        assert sent(door, studies[0].files[:4]) == [0] * 4
        filler = filled(small_disk, 0)
        assert sent(door, studies[0].files[4:]) == [0xA700] * 4
        filler.unlink()
        assert sent(door, studies[0].files[4:]) == [0] * 4
        assert len([*(out / "incoming").rglob("*.dcm")]) == 8
        filler = filled(small_disk, 30_000)
    wish = Wish()
    timer = threading.Timer(60, wish.stop)
    timer.start()
    said_full(lambda: receive(how, out, Door("ANOMAE", free_port(), quiet_s=0.1), wish=wish))
    timer.cancel()
    assert len([*(out / "incoming").rglob("*.dcm")]) == 8  # what was acknowledged waits
    filler.unlink()
    with receiving(how, out, quiet_s=0.1):
        until(lambda: states(out) == ["scored"])
    assert whole(out) == 1
    assert not any((out / "incoming").iterdir())

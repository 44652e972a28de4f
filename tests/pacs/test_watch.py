"""Watching: Orthanc's changes or QIDO, what is new alone, nothing of our own; stopped and gone on with."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

import anomae
from anomae.pacs.changes import OrthancChanges
from anomae.pacs.desk import Counts, Desk
from anomae.pacs.dicomweb import Archive
from anomae.pacs.query import Query
from anomae.pacs.remember import Memory
from anomae.pacs.score_study import HowToScore
from anomae.pacs.stopping import Wish
from anomae.pacs.watch import PolledList, watch
from anomae.progress import Console, reporting

from .archives import STORED, MadeUpStudy, Orthanc, SmallArchive
from .test_pull import READER, fill, rows

MOST_LOOKS = 400


def watched(
    archive: Archive, how: HowToScore, out: Path, done: Callable[[int], bool], push: bool = True, **options: object
) -> Counts:
    """Watch until `done` (called with the number of looks so far) says so."""
    wish, looks = Wish(), 0

    def looked() -> None:
        nonlocal looks
        looks += 1
        assert looks < MOST_LOOKS, rows(out) if (out / "studies.csv").exists() else "nothing happened"
        if done(looks):
            wish.stop()

    return watch(archive, how, out, push=push, every_s=0.1, wish=wish, looked=looked, **options)


def is_at_rest(orthanc: Orthanc, count: int) -> bool:
    """Whether all of `count` studies have had their last change."""
    stable = [orthanc.get(f"/studies/{name}")["IsStable"] for name in orthanc.get("/studies")]
    return len(stable) == count and all(stable)


def test_changes_are_followed_and_our_own_results_are_none(
    orthanc: Orthanc, studies: list[MadeUpStudy], how: HowToScore, tmp_path: Path
) -> None:
    out, archive = tmp_path / "out", Archive(orthanc.url, READER)
    fill(orthanc, studies[:1])

    def until_rest(count: int) -> Callable[[int], bool]:
        quiet = 0

        def done(_: int) -> bool:
            nonlocal quiet
            sent = (out / "studies.csv").exists() and [row["state"] for row in rows(out).values()] == ["sent"] * count
            quiet += sent and is_at_rest(orthanc, count)
            return quiet > 3  # the changes that our own results made are looked at too

        return done

    counts = watched(archive, how, out, until_rest(1))
    assert (counts.scored, counts.failed) == (1, 0)
    assert counts.known >= 1  # the study came to rest again with our results in it
    fill(orthanc, studies[1:2])  # while nobody watches
    counts = watched(archive, how, out, until_rest(2))
    assert counts.scored == 1
    assert len(orthanc.of_modality("SR")) == 2
    # Nothing is asked of what was dealt with before.
    counts = watched(archive, how, out, lambda looks: looks > 2)
    assert (counts.scored, counts.known) == (0, 0)
    lines = (out / "journal.jsonl").read_text()
    assert '"sequence"' in lines
    assert not any(study.uid in lines for study in studies)


def test_an_archive_that_is_restarted_is_asked_again(
    orthanc: Orthanc, studies: list[MadeUpStudy], how: HowToScore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, archive = tmp_path / "out", Archive(orthanc.url, READER)
    fill(orthanc, studies[:2])
    score, begun = Desk.score, []

    def killed_once(desk: Desk, study: str, what: str) -> bool:
        begun.append(study)
        if len(begun) == 1:
            orthanc.kill()
        return score(desk, study, what)

    monkeypatch.setattr(Desk, "score", killed_once)

    def done(looks: int) -> bool:
        if orthanc._process is None:
            orthanc.start()
        states = [row["state"] for row in rows(out).values()] if (out / "studies.csv").exists() else []
        return states == ["sent", "sent"] and is_at_rest(orthanc, 2)

    counts = watched(archive, how, out, done)
    assert counts.scored == len(begun) == 2
    assert len(orthanc.of_modality("SR")) == 2


def test_a_study_that_orthanc_forgot_is_scored_too(
    orthanc: Orthanc, studies: list[MadeUpStudy], how: HowToScore, tmp_path: Path
) -> None:
    """Killed before the study came to rest, Orthanc never says that it did."""
    out, since = tmp_path / "out", orthanc.get("/changes?last")["Last"]
    fill(orthanc, studies[:1])
    orthanc.kill()
    orthanc.start()
    kinds = {change["ChangeType"] for change in orthanc.get(f"/changes?since={since}&limit=100")["Changes"]}
    assert "NewInstance" in kinds
    assert "StableStudy" not in kinds

    def sent(looks: int) -> bool:
        return (out / "studies.csv").exists() and [row["state"] for row in rows(out).values()] == ["sent"]

    assert watched(Archive(orthanc.url, READER), how, out, sent).scored == 1


def test_the_command_stops_when_told_and_goes_on(
    orthanc: Orthanc, studies: list[MadeUpStudy], run: Path, tmp_path: Path
) -> None:
    fill(orthanc, studies[2:])
    (tmp_path / "password").write_text("reads\n")
    command = [
        *(sys.executable, "-m", "anomae", "watch", orthanc.url, str(run), "--out", str(tmp_path / "out"), "--push"),
        *("--every", "0.2", "--user", "reader", "--password-file", str(tmp_path / "password"), "--device", "cpu"),
        *("--overlays", "0"),
    ]
    path = str(Path(anomae.__file__).parents[1])
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env={**os.environ, "PYTHONPATH": path}
    )
    for _ in range(600):
        if process.poll() is not None or orthanc.of_modality("SR"):
            break
        time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    told = process.communicate(timeout=60)[0].decode()
    assert process.returncode == 0, told
    assert "by its changes" in told
    assert "Studies: 1 scored" in told
    assert "Worklist:" in told
    assert not any(word in told for word in ("SECRET", studies[2].uid, "reads", "WARNING")), told
    assert [row["state"] for row in rows(tmp_path / "out").values()] == ["sent"]


def test_qido_is_polled_where_there_are_no_changes(
    small_archive: SmallArchive, studies: list[MadeUpStudy], how: HowToScore, tmp_path: Path
) -> None:
    archive, out = Archive(small_archive.url), tmp_path / "out"
    all_files, small_archive.files = small_archive.files, list(studies[0].files[:5])
    scored_at: list[int] = []

    def done(looks: int) -> bool:
        if looks == 1:  # the rest of it comes before the second look
            small_archive.files = list(studies[0].files)
        if looks == 5:
            small_archive.files = all_files
        scored_at.append(len([*out.rglob("scans.csv")]))
        return looks == 9

    counts = watched(archive, how, out, done)
    assert scored_at[:4] == [0, 0, 1, 1]
    assert (counts.scored, scored_at[-1]) == (3, 3)
    assert len(small_archive.stored) == 3 + sum(int(row["findings"]) > 0 for row in rows(out).values())
    series = [path for path, *_ in small_archive.asked if path.endswith("/series")]
    assert len(series) == 6  # two pages each, the second empty: no look asks again for what has not changed


def test_an_archive_that_is_away_for_a_while(
    small_archive: SmallArchive, how: HowToScore, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    looks = 0

    def spoil(path: str, parameters: dict, answer: tuple) -> tuple | None:
        return None if 1 <= looks <= 3 else answer

    small_archive.spoil = spoil

    def done(count: int) -> bool:
        nonlocal looks
        looks = count
        return count == 8

    with reporting(Console()):
        assert watched(Archive(small_archive.url), how, tmp_path / "out", done).scored == 3
    told = capsys.readouterr().err
    assert told.count("does not answer") == 1
    assert told.count("answers again") == 1


def test_results_that_are_not_taken_do_not_stop_the_others(
    small_archive: SmallArchive, studies: list[MadeUpStudy], how: HowToScore, tmp_path: Path
) -> None:
    """Five tries each; the next start tries again."""
    posts, taken = [], False

    def spoil(path: str, parameters: dict, answer: tuple) -> tuple:
        if STORED.encode() in answer[2]:
            posts.append(path)
            return answer if taken or studies[1].uid in path else (500, {}, b"")
        return answer

    small_archive.files, small_archive.spoil = [*studies[0].files, *studies[1].files], spoil
    archive, out = Archive(small_archive.url), tmp_path / "out"
    assert watched(archive, how, out, lambda looks: looks == 9).scored == 2
    assert sum(studies[0].uid in path for path in posts) == 5
    assert sorted(row["state"] for row in rows(out).values()) == ["scored", "sent"]
    taken = True
    assert watched(archive, how, out, lambda looks: True).sent > 0
    assert [row["state"] for row in rows(out).values()] == ["sent", "sent"]


def test_what_orthanc_says_is_bounded_and_checked(small_archive: SmallArchive, tmp_path: Path) -> None:
    """Names that lead elsewhere are not asked for; a list that is none is an error; a newer archive begins anew."""
    uid, last = "1.2.3", 7
    names = ["../../system", "a" * 65, "3f-2a", "3f-2a"]

    def spoil(path: str, parameters: dict, answer: tuple) -> tuple:
        if path == "/system":
            return 200, {}, b'{"DatabaseVersion": 6}'
        if path == "/changes":
            since = int(parameters.get("since", 0))
            found = [
                {"ChangeType": "StableStudy", "ID": name, "Seq": last - len(names) + 1 + index}
                for index, name in enumerate(names)
            ]
            found = [one for one in found if one["Seq"] > since]
            reached = found[-1]["Seq"] if found else 0
            return 200, {}, json.dumps({"Changes": found, "Last": reached, "Done": True}).encode()
        if path == "/studies/3f-2a":
            tags = {"StudyInstanceUID": uid, "StudyDate": "20200101"}
            return 200, {}, json.dumps({"MainDicomTags": tags}).encode()
        return answer

    small_archive.spoil = spoil
    archive = Archive(small_archive.url)
    memory = Memory(tmp_path / "out", "model", archive.name)
    feed = OrthancChanges.of(archive, memory, None)
    assert feed is not None
    (change,) = feed.new()
    assert (change.study, change.number) == (uid, 7)
    assert memory.sequence == 5  # it was not dealt with, and its first change is 6
    for change in feed.new():
        feed.handled(change)
    assert memory.sequence == 7
    assert [*feed.new()] == []
    last = 4  # the archive was made anew
    assert [one.number for one in feed.new()] == [4]
    assert {path for path, *_ in small_archive.asked} == {"/system", "/changes", "/studies/3f-2a"}
    since = OrthancChanges.of(archive, Memory(tmp_path / "since", "model", archive.name), date(2020, 1, 2))
    assert since is not None
    assert [*since.new()] == []


def test_a_list_without_numbers_of_images_is_looked_at_each_time(small_archive: SmallArchive) -> None:
    def spoil(path: str, parameters: dict, answer: tuple) -> tuple:
        return answer[0], answer[1], answer[2].replace(b"00201208", b"00201299")

    small_archive.spoil = spoil
    feed = PolledList(Archive(small_archive.url), Query())
    assert [*feed.new()] == []
    for _ in range(2):
        found = [*feed.new()]
        assert len(found) == 3
        for change in found:
            feed.handled(change)

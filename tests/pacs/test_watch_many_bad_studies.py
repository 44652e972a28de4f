"""Where an archive lists studies and gives none of them, a look is short, and the others have their turn."""

from itertools import pairwise
from pathlib import Path

import pydicom
import pytest

from anomae.pacs.dicomweb import Archive
from anomae.pacs.errors import ArchiveRefuses
from anomae.pacs.pull import pull
from anomae.pacs.query import Query
from anomae.pacs.remember import study_name
from anomae.pacs.score_study import HowToScore

from .archives import STORED, MadeUpStudy, SmallArchive
from .test_pull import rows
from .test_watch import watched

MOST_A_LOOK = 3 + 4  # of those missed before, and of new ones in a row


def is_series(path: str) -> bool:
    return path.count("/") == 5


@pytest.mark.parametrize("status", [504, 403])
def test_looks_are_short_and_studies_behind_bad_ones_are_reached(
    small_archive: SmallArchive, studies: list[MadeUpStudy], how: HowToScore, tmp_path: Path, status: int
) -> None:
    image, bad, down = pydicom.dcmread(studies[0].files[0]), [f"1.2.3.{number}" for number in range(12)], True
    for uid in bad:
        image.StudyInstanceUID, image.SeriesInstanceUID = uid, f"{uid}.1"
        image.save_as(tmp_path / f"{uid}.dcm")
    small_archive.files = [*(tmp_path / f"{uid}.dcm" for uid in bad), *studies[1].files]
    asked: list[str] = []
    asked_at, lines_at, journal = [0], [0], tmp_path / "out" / "journal.jsonl"

    def spoil(path: str, parameters: dict, answer: tuple) -> tuple:
        if not down or not is_series(path) or studies[1].uid in path:
            return answer
        asked.append(path)
        return status, {}, b""

    def done(looks: int) -> bool:
        nonlocal down
        asked_at.append(len(asked))
        lines_at.append(len(journal.read_text().splitlines()))
        down = looks < 15
        return looks == 18

    small_archive.spoil = spoil
    archive, out = Archive(small_archive.url), tmp_path / "out"
    counts = watched(archive, how, out, done, push=False)
    assert max(later - before for before, later in pairwise(asked_at)) <= MOST_A_LOOK
    assert asked_at[15] - asked_at[5] == 10 * 3  # all are asked for again, each in its turn
    assert {path.split("/")[3] for path in asked[asked_at[8] :]} == set(bad)
    assert lines_at[15] == lines_at[8] == 1 + 2 * (len(bad) + 1)  # what is known already is not written again
    assert rows(out)[study_name(studies[1].uid)]["state"] == "scored"
    assert counts.scored + counts.failed == len(bad) + 1  # once the archive gives one, all


def test_results_that_are_not_taken_are_not_all_given_at_each_look(
    small_archive: SmallArchive,
    studies: list[MadeUpStudy],
    how: HowToScore,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("anomae.pacs.watch._MOST_IN_A_ROW", 0)
    archive, out, posts = Archive(small_archive.url), tmp_path / "out", []
    pull(archive, how, out, Query())

    def spoil(path: str, parameters: dict, answer: tuple) -> tuple:
        if STORED.encode() not in answer[2]:
            return answer
        posts.append(path.split("/")[3])
        return 503, {}, b""

    small_archive.spoil = spoil
    watched(archive, how, out, lambda looks: looks == 1)
    assert len(posts) == 1
    posts.clear()
    small_archive.files, all_files = [], small_archive.files
    watched(archive, how, out, lambda looks: looks == 3)
    small_archive.files = all_files
    assert len(posts) == len(set(posts)) == 3  # each in its turn


def test_a_study_that_is_refused_does_not_end_watch_but_a_refused_list_does(
    small_archive: SmallArchive, studies: list[MadeUpStudy], how: HowToScore, tmp_path: Path
) -> None:
    refused = [studies[0].uid]

    def spoil(path: str, parameters: dict, answer: tuple) -> tuple:
        return (403, {}, b"") if any(part in path for part in refused) else answer

    def done(looks: int) -> bool:
        if looks == 4:
            assert {row["state"] for row in rows(tmp_path / "out").values()} == {"sent"}
            refused.clear()
        if looks == 6:
            refused.append("/studies")
        return False

    small_archive.spoil = spoil
    with pytest.raises(ArchiveRefuses, match="403"):
        watched(Archive(small_archive.url), how, tmp_path / "out", done)
    assert [row["state"] for row in rows(tmp_path / "out").values()] == ["sent"] * 3

"""One study that an archive does not give, or whose results it does not take, keeps no other waiting."""

from pathlib import Path

import pydicom
import pytest
from pydicom.uid import DeflatedExplicitVRLittleEndian

from anomae.pacs.dicomweb import Archive
from anomae.pacs.errors import ArchiveRefuses, ArchiveTrouble
from anomae.pacs.pull import pull
from anomae.pacs.query import Query
from anomae.pacs.remember import study_name
from anomae.pacs.score_study import HowToScore
from anomae.progress import Console, reporting

from .archives import INSIDE, STORED, MadeUpStudy, SmallArchive, with_open_sequence
from .test_pull import rows, states
from .test_watch import watched


def is_series(path: str) -> bool:
    return path.count("/") == 5


@pytest.mark.parametrize("answer", [(504, {}, b""), None, "cut"])
def test_pull_goes_on_without_it(
    small_archive: SmallArchive, studies: list[MadeUpStudy], how: HowToScore, tmp_path: Path, answer: tuple | str | None
) -> None:
    def spoil(path: str, parameters: dict, good: tuple) -> tuple | None:
        if not is_series(path) or studies[0].uid not in path:
            return good
        cut = (200, {**good[1], "Content-Length": str(len(good[2]))}, good[2][:-500])
        return cut if answer == "cut" else answer

    small_archive.spoil = spoil
    archive, out, name = Archive(small_archive.url), tmp_path / "out", study_name(studies[0].uid)
    counts = pull(archive, how, out, Query(), waits_s=(0.01,))
    assert states(counts) == (2, 1, 0)
    assert rows(out)[name]["state"] == "failed"
    assert "Asked for this study alone" in rows(out)[name]["reason"]
    for _ in range(4):
        assert states(pull(archive, how, out, Query(), waits_s=())) == (0, 1, 2)
    assert states(pull(archive, how, out, Query(), waits_s=())) == (0, 0, 3)  # five tries were made
    small_archive.spoil = None
    assert states(pull(archive, how, out, Query(), retry=True)) == (1, 0, 2)


def test_an_archive_that_gives_no_study_ends_pull(
    small_archive: SmallArchive, studies: list[MadeUpStudy], how: HowToScore, tmp_path: Path
) -> None:
    """After three: more are no fault of a study, and not asked for with all its waits."""
    fourth = []
    for file in studies[0].files:
        image = pydicom.dcmread(file)
        image.StudyInstanceUID, image.SeriesInstanceUID = "1.2.3", "1.2.3.4"
        fourth.append(tmp_path / file.name)
        image.save_as(fourth[-1])
    small_archive.files += fourth
    small_archive.spoil = lambda path, parameters, answer: (503, {}, b"") if is_series(path) else answer
    archive, out = Archive(small_archive.url), tmp_path / "out"
    with pytest.raises(ArchiveTrouble, match="status 503"):
        pull(archive, how, out, Query(), waits_s=())
    assert [row["state"] for row in rows(out).values()] == ["failed"] * 3 + ["put back"]
    assert "status 503" in rows(out)[study_name("1.2.3")]["reason"]
    small_archive.spoil = None
    assert states(pull(archive, how, out, Query())) == (4, 0, 0)


def test_watch_goes_on_without_it_and_asks_for_it_again(
    small_archive: SmallArchive,
    studies: list[MadeUpStudy],
    how: HowToScore,
    tmp_path: Path,
    capsys: pytest.CaptureFixture,
) -> None:
    broken, out, name = True, tmp_path / "out", study_name(studies[0].uid)

    def spoil(path: str, parameters: dict, answer: tuple) -> tuple:
        return (504, {}, b"") if broken and is_series(path) and studies[0].uid in path else answer

    def done(looks: int) -> bool:
        nonlocal broken
        if looks == 12:
            table = rows(out)
            assert {study: row["state"] for study, row in table.items() if study != name} == {
                study_name(one.uid): "sent" for one in studies[1:]
            }
            assert (table[name]["state"], table[name]["reason"][-12:]) == ("put back", "status 504).")
            broken = False
        return looks == 14

    small_archive.spoil = spoil
    with reporting(Console()):
        counts = watched(Archive(small_archive.url), how, out, done)
    assert (counts.scored, counts.failed) == (3, 0)  # to be put back is no try
    told = capsys.readouterr().err
    assert told.count(f"Study {name}: {Archive(small_archive.url).name} does not answer now (status 504).") == 1


def test_results_of_one_study_that_are_not_taken_keep_no_other_waiting(
    small_archive: SmallArchive, studies: list[MadeUpStudy], how: HowToScore, tmp_path: Path
) -> None:
    def spoil(path: str, parameters: dict, answer: tuple) -> tuple:
        return (503, {}, b"") if STORED.encode() in answer[2] and studies[0].uid in path else answer

    archive, out = Archive(small_archive.url), tmp_path / "out"
    small_archive.files = studies[0].files
    pull(archive, how, out, Query())
    small_archive.files, small_archive.spoil = [file for study in studies for file in study.files], spoil
    counts = pull(archive, how, out, Query(), push=True, waits_s=())
    assert (counts.scored, counts.failed) == (2, 0)
    assert "not sent. Asked for this study alone" in counts.reasons[0]
    assert sorted(row["state"] for row in rows(out).values()) == ["scored", "sent", "sent"]
    small_archive.files = [*studies[0].files, *studies[1].files[:5]]  # it gets another content
    counts = watched(archive, how, out, lambda looks: looks == 4)
    assert counts.scored == 1
    small_archive.spoil = None
    assert watched(archive, how, out, lambda looks: True).sent > 0
    assert {row["state"] for row in rows(out).values()} == {"sent"}


@pytest.mark.parametrize("answer", [(504, {}, b""), "short"])
def test_a_flag_stays_where_the_study_cannot_be_scored_anew(
    small_archive: SmallArchive, studies: list[MadeUpStudy], how: HowToScore, tmp_path: Path, answer: tuple | str
) -> None:
    archive, out, name = Archive(small_archive.url), tmp_path / "out", study_name(studies[0].uid)
    small_archive.files = studies[0].files[:7]
    pull(archive, how, out, Query(), push=True)
    before = rows(out)[name]
    assert (before["flag"], before["state"]) == ("1", "sent")

    def spoil(path: str, parameters: dict, good: tuple) -> tuple:
        if not is_series(path):
            return good
        return (*good[:2], good[2].partition(b"\r\n--xx\r\n")[0] + b"\r\n--xx--") if answer == "short" else answer

    small_archive.files, small_archive.spoil = studies[0].files, spoil
    pull(archive, how, out, Query(), waits_s=())
    after = rows(out)[name]
    assert {key: after[key] for key in before if key not in ("state", "reason")} == {
        key: before[key] for key in before if key not in ("state", "reason")
    }
    assert after["state"] == "failed"
    assert after["reason"].startswith("earlier result; scoring anew failed: ")
    assert (out / after["folder"] / "scans.csv").exists()
    small_archive.spoil = None
    pull(archive, how, out, Query())
    assert (rows(out)[name]["state"], rows(out)[name]["reason"], rows(out)[name]["sent"]) == ("scored", "", "")


@pytest.mark.parametrize("answer", [(504, {}, b""), (500, {}, b"")])
def test_earlier_results_that_are_sent_late_are_not_taken_for_those_of_further_images(
    small_archive: SmallArchive, studies: list[MadeUpStudy], how: HowToScore, tmp_path: Path, answer: tuple
) -> None:
    away, archive, out, name = True, Archive(small_archive.url), tmp_path / "out", study_name(studies[0].uid)
    small_archive.files = studies[0].files[:7]
    pull(archive, how, out, Query())
    content = [(7, "scored"), (8, "sent")]

    def spoil(path: str, parameters: dict, good: tuple) -> tuple:
        if away and STORED.encode() in good[2]:
            return 503, {}, b""
        return answer if away and is_series(path) else good

    def done(looks: int) -> bool:
        nonlocal away
        away = looks < 3
        return looks == 8

    def known() -> tuple[int, str]:
        lines = (out / "studies" / name / "scores.csv").read_text().splitlines()
        return len(lines) - 1, rows(out)[name]["state"]

    assert known() == content[0]
    small_archive.files, small_archive.spoil = studies[0].files, spoil
    assert watched(archive, how, out, done).scored == 1
    assert known() == content[1]


@pytest.mark.parametrize("kind", ["sequence", "deflated"])
def test_an_image_that_is_cut_in_the_archive_fails_its_study_alone(
    small_archive: SmallArchive, studies: list[MadeUpStudy], how: HowToScore, tmp_path: Path, kind: str
) -> None:
    """For these two pydicom raises a plain OSError and an error of zlib, which is no fault of ours."""
    image, whole = with_open_sequence(studies[0].files[0])
    cut = whole[: whole.index(INSIDE) + 3]
    if kind == "deflated":
        image.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
        image.save_as(tmp_path / "deflated.dcm")
        cut = (tmp_path / "deflated.dcm").read_bytes()[:-400]
    given = studies[0].files[0].read_bytes()

    def spoil(path: str, parameters: dict, good: tuple) -> tuple:
        return (*good[:2], good[2].replace(given, cut)) if is_series(path) else good

    small_archive.spoil = spoil
    archive, name = Archive(small_archive.url), study_name(studies[0].uid)
    for out, counts in (
        (tmp_path / "pull", pull(archive, how, tmp_path / "pull", Query(), waits_s=())),
        (tmp_path / "watch", watched(archive, how, tmp_path / "watch", lambda looks: looks == 2)),
    ):
        assert (counts.scored, counts.failed) == (2, 1)
        assert rows(out)[name]["state"] == "failed"
        assert rows(out)[name]["reason"].endswith("gives an image that is cut short.")


def test_results_that_are_not_taken_are_given_once_a_command(
    small_archive: SmallArchive, studies: list[MadeUpStudy], how: HowToScore, tmp_path: Path
) -> None:
    """So that two such studies are no four in a row, which end it, and what comes behind them is scored."""
    posts = []

    def spoil(path: str, parameters: dict, answer: tuple) -> tuple:
        if STORED.encode() not in answer[2] or studies[2].uid in path:
            return answer
        posts.append(path)
        return 503, {}, b""

    archive, out = Archive(small_archive.url), tmp_path / "out"
    small_archive.files = [*studies[0].files, *studies[1].files]
    pull(archive, how, out, Query())
    small_archive.files, small_archive.spoil = [file for study in studies for file in study.files], spoil
    counts = pull(archive, how, out, Query(), push=True, waits_s=())
    assert (counts.scored, len(posts), len(counts.reasons)) == (1, 2, 2)
    assert sorted(row["state"] for row in rows(out).values()) == ["scored", "scored", "sent"]
    small_archive.spoil = None
    assert pull(archive, how, out, Query(), push=True).scored == 0
    assert {row["state"] for row in rows(out).values()} == {"sent"}


def test_a_study_that_is_refused_keeps_no_other_waiting(
    small_archive: SmallArchive, studies: list[MadeUpStudy], how: HowToScore, tmp_path: Path
) -> None:
    refused = {studies[0].uid}

    def spoil(path: str, parameters: dict, answer: tuple) -> tuple:
        return (403, {}, b"") if any(uid in path for uid in refused) else answer

    small_archive.spoil = spoil
    archive, out, name = Archive(small_archive.url), tmp_path / "out", study_name(studies[0].uid)
    for scored in (2, 0):
        counts = pull(archive, how, out, Query(), waits_s=())
        assert (counts.scored, counts.failed) == (scored, 1)
    assert "does not let us in (status 403)" in rows(out)[name]["reason"]
    with pytest.raises(ArchiveRefuses, match="403"):
        pull(archive, how, out, Query({"StudyInstanceUID": studies[0].uid}))
    refused.update(study.uid for study in studies)  # images are not given to us at all
    with pytest.raises(ArchiveRefuses, match="403"):
        pull(archive, how, out, Query())
    refused.clear()
    assert states(pull(archive, how, out, Query())) == (1, 0, 2)


def test_an_archive_that_refuses_its_list_or_results_ends_pull(
    small_archive: SmallArchive, how: HowToScore, tmp_path: Path
) -> None:
    small_archive.spoil = lambda path, parameters, answer: (401, {}, b"") if STORED.encode() in answer[2] else answer
    with pytest.raises(ArchiveRefuses, match="401"):
        pull(Archive(small_archive.url), how, tmp_path / "out", Query(), push=True)
    assert len(small_archive.stored) == 1
    asked = []

    def later(path: str, parameters: dict, answer: tuple) -> tuple:
        asked.append(path)
        return (401, {}, b"") if len(asked) > 2 else answer

    small_archive.spoil = later  # credentials that end midway
    with pytest.raises(ArchiveRefuses, match="401"):
        pull(Archive(small_archive.url), how, tmp_path / "other", Query(), waits_s=())


@pytest.mark.parametrize("command", ["pull", "watch"])
def test_a_result_stands_where_the_archive_does_not_say_which_images_there_are(
    small_archive: SmallArchive, studies: list[MadeUpStudy], how: HowToScore, tmp_path: Path, command: str
) -> None:
    archive, out = Archive(small_archive.url), tmp_path / "out"
    small_archive.files = studies[0].files
    pull(archive, how, out, Query(), push=True)
    before = rows(out)
    small_archive.spoil = lambda path, parameters, good: (500, {}, b"") if path.endswith("/series") else good
    counts = (
        pull(archive, how, out, Query(), push=True)
        if command == "pull"
        else watched(archive, how, out, lambda looks: looks == 4)
    )
    assert (counts.failed, len(counts.reasons)) == (1, 1)
    assert rows(out) == before
    small_archive.spoil = None
    assert states(pull(archive, how, out, Query(), push=True)) == (0, 0, 1)

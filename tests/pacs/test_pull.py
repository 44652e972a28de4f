"""Pulled from a real Orthanc: scored once, results in the archive once and valid, whatever is stopped in between."""

import csv
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pydicom
import pytest

from anomae.errors import UserError
from anomae.pacs.connection import Credentials
from anomae.pacs.desk import Counts, Desk, open_desk
from anomae.pacs.dicomweb import Archive
from anomae.pacs.errors import ArchiveRefuses, ArchiveTrouble
from anomae.pacs.pull import pull
from anomae.pacs.query import Query
from anomae.pacs.remember import study_name
from anomae.pacs.score_study import HowToScore, Scorer

from .archives import MadeUpStudy, Orthanc, SmallArchive

READER = Credentials(user="reader", password="reads")
ALL = Query({"ModalitiesInStudy": "MR"})


def rows(out: Path) -> dict[str, dict[str, str]]:
    with (out / "studies.csv").open(newline="") as file:
        return {row["study"]: row for row in csv.DictReader(file)}


def fill(orthanc: Orthanc, studies: list[MadeUpStudy]) -> None:
    for study in studies:
        for file in study.files:
            orthanc.put(file)


def test_results_are_in_the_archive_once_and_valid(
    orthanc: Orthanc, studies: list[MadeUpStudy], how: HowToScore, tmp_path: Path, dciodvfy: Callable
) -> None:
    fill(orthanc, studies)
    archive, out = Archive(orthanc.url, READER), tmp_path / "out"
    counts = pull(archive, how, out, ALL, push=True)
    assert (counts.scored, counts.failed, counts.known, counts.empty) == (3, 0, 0, 0), counts.reasons
    table = rows(out)
    assert set(table) == {study_name(study.uid) for study in studies}
    assert {row["state"] for row in table.values()} == {"sent"}
    assert [int(table[study_name(one.uid)]["findings"]) > 0 for one in studies[:2]] == [True, True]
    assert not (out / "incoming").exists() or not any((out / "incoming").iterdir())
    reports, segmentations = orthanc.of_modality("SR"), orthanc.of_modality("SEG")
    assert len(reports) == 3
    assert len(segmentations) == sum(int(row["findings"]) > 0 for row in table.values())
    assert counts.sent == len(reports) + len(segmentations)
    for instance in (*reports, *segmentations):
        path = tmp_path / "result.dcm"
        path.write_bytes(orthanc.file(instance))
        assert dciodvfy(path) == []
    found = {str(pydicom.dcmread(path).StudyInstanceUID) for path in out.rglob("*-sr.dcm")}
    assert found == {study.uid for study in studies}
    by_qido = [entry for study in studies for entry in archive._client.search_for_series(study.uid)]
    assert sorted(entry["00080060"]["Value"][0] for entry in by_qido) == sorted(
        ["MR"] * 3 + ["SR"] * 3 + ["SEG"] * len(segmentations)
    )

    # A second time: nothing is fetched, scored or sent, and what we stored is no new image.
    again = pull(archive, how, out, ALL, push=True)
    assert (again.scored, again.known, again.sent) == (0, 3, 0)
    # By somebody who remembers nothing: the same results have the same UIDs, and are not stored again.
    other = pull(archive, how, tmp_path / "other", ALL, push=True)
    assert (other.scored, other.sent) == (3, 0)
    assert orthanc.get("/statistics")["CountInstances"] == 24 + counts.sent


def test_one_study_is_asked_for_and_a_wrong_password_refused(
    orthanc: Orthanc, studies: list[MadeUpStudy], how: HowToScore, tmp_path: Path
) -> None:
    fill(orthanc, studies[:2])
    one = Query({"StudyInstanceUID": studies[1].uid})
    assert pull(Archive(orthanc.url, READER), how, tmp_path / "out", one).scored == 1
    assert [*rows(tmp_path / "out")] == [study_name(studies[1].uid)]
    assert orthanc.of_modality("SR") == []  # nobody asked for it
    with pytest.raises(ArchiveRefuses, match="does not let us in"):
        pull(Archive(orthanc.url), how, tmp_path / "other", one)
    with pytest.raises(UserError, match="from http"):
        pull(Archive(orthanc.root + "/elsewhere"), how, tmp_path / "out", one)


def test_an_archive_that_dies_midway_loses_and_doubles_nothing(
    orthanc: Orthanc, studies: list[MadeUpStudy], how: HowToScore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(orthanc, studies)
    archive, out = Archive(orthanc.url, READER), tmp_path / "out"
    score = Desk.score

    def killed_before_sending(desk: Desk, study: str, what: str) -> bool:
        if desk.counts.scored == 1:
            orthanc.kill()
        return score(desk, study, what)

    monkeypatch.setattr(Desk, "score", killed_before_sending)
    with pytest.raises(ArchiveTrouble, match="does not answer"):
        pull(archive, how, out, ALL, push=True, waits_s=(0.01,))
    monkeypatch.undo()
    assert sorted(row["state"] for row in rows(out).values()) == ["scored", "sent"]
    with pytest.raises(ArchiveTrouble):
        pull(archive, how, out, ALL, push=True, waits_s=())
    orthanc.start()
    counts = pull(archive, how, out, ALL, push=True)
    assert (counts.scored, counts.known) == (1, 2)
    assert {row["state"] for row in rows(out).values()} == {"sent"}
    assert len(orthanc.of_modality("SR")) == 3


def test_images_that_come_later_are_scored_with_the_others(
    orthanc: Orthanc, studies: list[MadeUpStudy], how: HowToScore, tmp_path: Path
) -> None:
    archive, out = Archive(orthanc.url, READER), tmp_path / "out"
    for file in studies[0].files[:4]:
        orthanc.put(file)
    assert pull(archive, how, out, ALL, push=True).scored == 1
    for file in studies[0].files[4:]:
        orthanc.put(file)
    assert pull(archive, how, out, ALL, push=True).scored == 1
    assert pull(archive, how, out, ALL, push=True).scored == 0
    assert len(orthanc.of_modality("SR")) == 2  # of other images, so another report
    (scores,) = out.rglob("scores.csv")
    assert len(scores.read_text().splitlines()) == 1 + 8


def states(counts: Counts) -> tuple[int, int, int]:
    return counts.scored, counts.failed, counts.known


def test_a_broken_study_is_listed_and_skipped(
    small_archive: SmallArchive, studies: list[MadeUpStudy], how: HowToScore, tmp_path: Path
) -> None:
    """The archive gives half of one study, nothing but an error of another."""

    def spoil(path: str, parameters: dict, answer: tuple) -> tuple:
        status, headers, body = answer
        if path.endswith("/series") or "/series/" not in path:
            return answer
        if studies[0].uid in path:
            parts = body.split(b"\r\n--xx\r\n")
            return status, headers, b"\r\n--xx\r\n".join(parts[:4]) + b"\r\n--xx--"
        return answer if studies[2].uid in path else (500, {}, b"")

    small_archive.spoil = spoil
    archive, out = Archive(small_archive.url), tmp_path / "out"
    counts = pull(archive, how, out, Query())
    assert states(counts) == (1, 2, 0)
    table = rows(out)
    assert "gave 3 of the 8 images" in table[study_name(studies[0].uid)]["reason"]
    assert "status 500" in table[study_name(studies[1].uid)]["reason"]
    small_archive.spoil = None  # it may do better another time
    assert states(pull(archive, how, out, Query())) == (2, 0, 1)


def test_what_cannot_be_scored_is_not_fetched_again_unless_asked_for(
    small_archive: SmallArchive, studies: list[MadeUpStudy], how: HowToScore, tmp_path: Path
) -> None:
    broken = []
    for file in studies[0].files:
        image = pydicom.dcmread(file)
        image.PixelData = b"\0\0"
        broken.append(tmp_path / file.name)
        image.save_as(broken[-1])
    small_archive.files = [*broken, *studies[1].files]
    archive, out = Archive(small_archive.url), tmp_path / "out"
    assert states(pull(archive, how, out, Query())) == (1, 1, 0)
    small_archive.asked.clear()
    assert states(pull(archive, how, out, Query())) == (0, 0, 2)
    assert not any(path.count("/") > 5 for path, *_ in small_archive.asked)
    assert states(pull(archive, how, out, Query(), retry=True)) == (0, 1, 1)


def test_another_model_needs_another_folder(
    small_archive: SmallArchive, run: Path, how: HowToScore, tmp_path: Path
) -> None:
    archive = Archive(small_archive.url)
    small_archive.files = []
    pull(archive, how, tmp_path / "out", Query())
    (tmp_path / "fitted").mkdir()
    for file in (run / "fitted").iterdir():
        (tmp_path / "fitted" / file.name).write_bytes(file.read_bytes())
    (tmp_path / "fitted" / "more.json").write_text("{}")
    with pytest.raises(UserError, match="another fitted model"):
        pull(archive, replace(how, run=tmp_path / "fitted"), tmp_path / "out", Query())


def in_one_study(made: list[MadeUpStudy], folder: Path) -> MadeUpStudy:
    """The series of several studies as those of the first."""
    folder.mkdir()
    for number, study in enumerate(made):
        for file in study.files:
            image = pydicom.dcmread(file)
            image.StudyInstanceUID = made[0].uid
            image.save_as(folder / f"{number}-{file.name}")
    return MadeUpStudy(folder, made[0].uid)


def test_a_series_that_the_archive_no_longer_has_flags_nothing(
    small_archive: SmallArchive, studies: list[MadeUpStudy], how: HowToScore, tmp_path: Path
) -> None:
    study = in_one_study([studies[0], studies[2]], tmp_path / "both")
    archive, out, name = Archive(small_archive.url), tmp_path / "out", study_name(study.uid)
    small_archive.files = study.files
    pull(archive, how, out, Query())
    assert rows(out)[name]["scans"] == "2"
    small_archive.files = [file for file in study.files if file.name.startswith("1-")]  # the one with a ball has gone
    assert pull(archive, how, out, Query()).scored == 1
    pull(archive, how, tmp_path / "anew", Query())
    assert rows(out) == rows(tmp_path / "anew")
    results = out / "studies" / name
    assert len([*(results / "maps").iterdir()]) == len([*(results / "dicom").glob("*-sr.dcm")]) == 1
    small_archive.spoil = lambda path, parameters, answer: (*answer[:2], answer[2].replace(b'"MR"', b'"SR"'))
    assert pull(archive, how, out, Query()).empty == 1
    assert not results.exists()


@pytest.mark.parametrize("killed", [False, True])
def test_earlier_results_stay_where_a_study_cannot_be_scored_anew(
    small_archive: SmallArchive,
    studies: list[MadeUpStudy],
    how: HowToScore,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    killed: bool,
) -> None:
    study = in_one_study([studies[0], studies[2]], tmp_path / "both")
    archive, out, name = Archive(small_archive.url), tmp_path / "out", study_name(study.uid)
    small_archive.files = study.files
    pull(archive, how, out, Query())
    results = out / "studies" / name
    before = {path.relative_to(results): path.read_bytes() for path in results.rglob("*") if path.is_file()}
    small_archive.files = [file for file in study.files if file.name.startswith("1-")]

    def fails(scorer: Scorer, images: Path, folder: Path) -> None:
        folder.mkdir()
        (folder / "begun").touch()
        raise SystemExit if killed else UserError("No scan could be scored.")

    with monkeypatch.context() as patched:
        patched.setattr(Scorer, "score", fails)
        if killed:  # as by a signal that leaves no time to tidy up
            patched.setattr(Desk, "_settle", lambda desk, study: None)
            with pytest.raises(SystemExit):
                pull(archive, how, out, Query())
            assert (out / "earlier" / name).exists()
        else:
            assert pull(archive, how, out, Query()).failed == 1
            found = {path.relative_to(results): path.read_bytes() for path in results.rglob("*") if path.is_file()}
            assert found == before
    with open_desk(how, out, archive.name):  # whatever the next command does, it begins with what was there
        assert (results / "scans.csv").read_bytes() == before[Path("scans.csv")]
    assert pull(archive, how, out, Query(), retry=True).scored == 1
    assert rows(out)[name]["scans"] == "1"
    assert not (out / "earlier" / name).exists()


def test_a_study_that_the_archive_does_not_have_is_told(
    small_archive: SmallArchive, how: HowToScore, tmp_path: Path
) -> None:
    small_archive.files = []
    assert pull(Archive(small_archive.url), how, tmp_path / "out", Query({"StudyDate": "20240101-"})).scored == 0
    with pytest.raises(UserError, match="has no study of this UID") as told:
        pull(Archive(small_archive.url), how, tmp_path / "out", Query({"StudyInstanceUID": "1.2.3"}))
    assert told.value.exit_code == 2
    assert "1.2.3" not in str(told.value)

"""An archive that answers too much, too little, the wrong thing, or sends elsewhere."""

import gc
import gzip
import json
from collections.abc import Iterator
from pathlib import Path

import pydicom
import pytest

from anomae.errors import UserError
from anomae.pacs import dicomweb, lists
from anomae.pacs.connection import Credentials
from anomae.pacs.dicomweb import Archive
from anomae.pacs.errors import ArchiveRefuses, ArchiveTrouble, StudyTrouble
from anomae.pacs.lists import ListedSeries
from anomae.pacs.query import Query

from .archives import STORED, MadeUpStudy, SmallArchive, serving


def no_stop() -> None:
    pass


@pytest.fixture(autouse=True)
def no_connection_is_left_open() -> Iterator[None]:
    """One that is only collected warns, which fails the test that it belongs to rather than a later one."""
    yield
    gc.collect()


def test_lists_are_asked_for_by_pages(
    small_archive: SmallArchive, studies: list[MadeUpStudy], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lists, "PAGE", 2)
    archive = Archive(small_archive.url)
    found = [*archive.studies(Query({"PatientID": "a b&c"}))]
    assert [(one.uid, one.images) for one in found] == [(study.uid, 8) for study in studies]
    assert [parameters["offset"] for _, parameters, _ in small_archive.asked] == ["0", "2", "3"]
    assert {parameters["PatientID"] for _, parameters, _ in small_archive.asked} == {"a b&c"}
    # An archive that does not heed where a page begins ends the list rather than going round for ever.
    small_archive.spoil = lambda path, parameters, answer: small_archive.answer("GET", path, {}, b"")
    assert len([*archive.studies(Query())]) == 3


def test_an_archive_that_never_ends_its_list_is_told_so(
    small_archive: SmallArchive, monkeypatch: pytest.MonkeyPatch
) -> None:
    def spoil(path: str, parameters: dict, answer: tuple) -> tuple:
        start = int(parameters["offset"])
        uids = [f"1.2.{start + index}" for index in range(100)] + ["../escape", "1.2/../3"]
        return 200, answer[1], json.dumps([{"0020000D": {"Value": [uid]}} for uid in uids]).encode()

    small_archive.spoil = spoil
    monkeypatch.setattr(dicomweb, "MOST_STUDIES", 250)
    found = Archive(small_archive.url).studies(Query())
    assert all(".." not in next(found).uid for _ in range(250))
    with pytest.raises(UserError, match="more than 250 studies"):
        list(found)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ((200, {"Content-Type": "application/dicom+json"}, b"no json"), StudyTrouble),
        ((200, {"Content-Type": "application/dicom+json"}, b'"text"'), StudyTrouble),
        ((200, {"Content-Type": "application/dicom+json"}, b"[1, 2]"), StudyTrouble),
        ((500, {}, b"SECRET"), StudyTrouble),
        ((503, {}, b""), ArchiveTrouble),
        ((401, {}, b""), ArchiveRefuses),
        (None, ArchiveTrouble),
    ],
)
def test_what_is_no_answer_is_told_apart(small_archive: SmallArchive, answer: tuple | None, error: type) -> None:
    small_archive.spoil = lambda *_: answer
    with pytest.raises(error) as told:
        [*Archive(small_archive.url).studies(Query({"PatientName": "SECRET"}))]
    assert "SECRET" not in str(told.value)


def test_too_large_an_answer_is_cut_off_packed_or_not(
    small_archive: SmallArchive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dicomweb, "MOST_LIST_BYTES", 2**20)
    large = b"[" + b" " * 2**22 + b"]"
    for headers, body in (({}, large), ({"Content-Encoding": "gzip"}, gzip.compress(large))):
        small_archive.spoil = lambda *_, headers=headers, body=body: (200, headers, body)
        with pytest.raises(StudyTrouble, match="limit"):
            [*Archive(small_archive.url).studies(Query())]


def test_credentials_go_to_one_archive_alone(small_archive: SmallArchive) -> None:
    with serving(SmallArchive()) as other:
        small_archive.spoil = lambda *_: (302, {"Location": other.url + "/studies"}, b"")
        with pytest.raises(ArchiveRefuses, match="redirects"):
            [*Archive(small_archive.url, Credentials(token="s3cret")).studies(Query())]
        assert other.asked == []
    assert [headers["Authorization"] for *_, headers in small_archive.asked] == ["Bearer s3cret"]


def test_images_are_those_that_were_asked_for(
    small_archive: SmallArchive, studies: list[MadeUpStudy], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = Archive(small_archive.url)
    series = archive.series(studies[0].uid)
    assert [(one.modality, one.images) for one in series] == [("MR", 8)]
    assert archive.download(studies[0].uid, series, tmp_path / "good", no_stop) == 8
    got = [pydicom.dcmread(file) for file in (tmp_path / "good").rglob("*.dcm")]
    sent = {one.SOPInstanceUID: one for one in (pydicom.dcmread(file) for file in studies[0].files)}
    assert {one.SOPInstanceUID for one in got} == set(sent)
    assert all(one.PixelData == sent[one.SOPInstanceUID].PixelData for one in got)

    other = archive.series(studies[1].uid)[0].uid
    address = f"/dicom-web/studies/{studies[1].uid}/series/{other}"
    small_archive.spoil = lambda *_: small_archive.answer("GET", address, {}, b"")
    with pytest.raises(StudyTrouble, match="another series"):
        archive.download(studies[0].uid, series, tmp_path / "other", no_stop)
    small_archive.spoil = None
    monkeypatch.setattr(dicomweb, "_MOST_INSTANCE_BYTES", 1000)
    with pytest.raises(StudyTrouble, match="limit"):
        archive.download(studies[0].uid, series, tmp_path / "large", no_stop)
    assert not [*tmp_path.rglob(".part-*")]


def test_results_and_localizers_are_not_fetched_as_images(
    small_archive: SmallArchive, studies: list[MadeUpStudy], tmp_path: Path
) -> None:
    for name, value in (("Manufacturer", "anomae"), ("ImageType", ["ORIGINAL", "PRIMARY", "LOCALIZER"])):
        files = []
        for number, file in enumerate(studies[0].files):
            image = pydicom.dcmread(file)
            setattr(image, name, value)
            files.append(tmp_path / f"{name}{number}.dcm")
            image.save_as(files[-1])
        small_archive.files = files
        archive = Archive(small_archive.url)
        assert archive.download(studies[0].uid, archive.series(studies[0].uid), tmp_path / "out", no_stop) == 0
    small_archive.spoil = lambda path, parameters, answer: (*answer[:2], answer[2].replace(b'"MR"', b'"SEG"'))
    assert Archive(small_archive.url).series(studies[0].uid) == []


@pytest.mark.parametrize("at", [0, 3, 7])
def test_a_capture_among_the_slices_of_a_series_ends_it_not(
    small_archive: SmallArchive, studies: list[MadeUpStudy], tmp_path: Path, at: int
) -> None:
    capture = pydicom.dcmread(studies[0].files[at])
    capture.SOPClassUID = capture.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.7"
    capture.save_as(tmp_path / "capture.dcm")
    files = studies[0].files
    small_archive.files = [*files[:at], tmp_path / "capture.dcm", *files[at + 1 :]]
    archive = Archive(small_archive.url)
    series = archive.series(studies[0].uid)
    assert archive.download(studies[0].uid, series, tmp_path / "out", no_stop) == 7
    listed = [ListedSeries(one.uid, one.modality, one.images + 1) for one in series]
    with pytest.raises(StudyTrouble, match="gave 8 of the 9"):
        archive.download(studies[0].uid, listed, tmp_path / "short", no_stop)


def test_what_the_archive_does_not_take_is_told(small_archive: SmallArchive, studies: list[MadeUpStudy]) -> None:
    archive = Archive(small_archive.url)
    assert archive.store(studies[0].files) == 0  # it has them
    small_archive.files = []
    assert archive.store(studies[0].files[:2]) == 2
    failed = json.dumps({"00081198": {"vr": "SQ", "Value": [{"00081197": {"vr": "US", "Value": [272]}}]}}).encode()
    for kind in ("application/dicom+json", "application/dicom+json; charset=utf-8"):
        answers = 202, {"Content-Type": kind}, failed
        small_archive.spoil = lambda *asked, answers=answers: answers if STORED.encode() in asked[2][2] else asked[2]
        with pytest.raises(StudyTrouble, match="reason 0x0110"):
            archive.store(studies[0].files[:1])
    assert isinstance(archive.series(studies[0].uid), list)
    assert dicomweb.content([ListedSeries("1.2", "MR", 3)]) != dicomweb.content([ListedSeries("1.2", "MR", 4)])


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("text/html", b"<html>Please sign in</html>"),
        ("application/dicom+json", b"{}"),
        ("application/dicom+json", b"[]"),
        ("application/dicom+json", b""),
        (
            "application/dicom+json",
            b'{"00081199": {"vr": "SQ", "Value": [{"00081155": {"vr": "UI", "Value": ["1.2"]}}]}}',
        ),
    ],
)
def test_a_result_is_stored_only_where_the_archive_says_so_or_lists_it(
    small_archive: SmallArchive, studies: list[MadeUpStudy], kind: str, body: bytes
) -> None:
    archive, keeps = Archive(small_archive.url), False

    def spoil(path: str, parameters: dict, answer: tuple) -> tuple:
        if STORED.encode() not in answer[2]:
            return answer
        if keeps:
            small_archive.files = studies[0].files
        return 200, {"Content-Type": kind}, body

    small_archive.files, small_archive.spoil = [], spoil
    with pytest.raises(StudyTrouble, match="does not say that it took"):
        archive.store(studies[0].files[:1])
    keeps = True
    assert archive.store(studies[0].files[:1]) == 1


@pytest.mark.parametrize("told", [False, True])
def test_a_part_of_a_series_is_not_taken_for_all_of_it(
    small_archive: SmallArchive, studies: list[MadeUpStudy], tmp_path: Path, told: bool
) -> None:
    """Where the list has no number of images: by the status, and by the boundary at the end."""

    def spoil(path: str, parameters: dict, answer: tuple) -> tuple:
        _, headers, body = answer
        if path.count("/") < 5:
            return answer
        parts = body.split(b"\r\n--xx\r\n")[:4]
        if told:
            return 206, headers, b"\r\n--xx\r\n".join(parts) + b"\r\n--xx--"
        return 200, headers, b"\r\n--xx\r\n".join(parts)

    archive = Archive(small_archive.url)
    (listed,) = archive.series(studies[0].uid)
    series = [ListedSeries(listed.uid, listed.modality, -1)]
    small_archive.spoil = spoil
    with pytest.raises(StudyTrouble, match="status 206" if told else "breaks off before its end"):
        archive.download(studies[0].uid, series, tmp_path / "part", no_stop)
    small_archive.spoil = None
    assert archive.download(studies[0].uid, series, tmp_path / "all", no_stop) == 8

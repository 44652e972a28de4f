"""A study from a DICOMweb server is read as the same series on the disk; the server runs in this process."""

import gc
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pydicom
import pytest

from anomae.archive.dicomweb import fetch_dicomweb, is_dicomweb
from anomae.archive.reading import Listings, fetched
from anomae.errors import UnreadableScan
from anomae.volumes.read import read_volume
from anomae.volumes.volume import Grid
from anomae.volumes.write_dicom import write_dicom_series

STUDY = "1.2.826.0.1.3680043.8.498.1"


@pytest.fixture(autouse=True)
def no_connection_is_left_open() -> Iterator[None]:
    """One that is only collected warns, which fails the test that it belongs to rather than a later one."""
    yield
    gc.collect()


@pytest.fixture(scope="module")
def series(tmp_path_factory) -> list[Path]:
    """Two series of one study, a folder each."""
    folders = []
    for number in (1, 2):
        folder = tmp_path_factory.mktemp("series") / str(number)
        voxels = np.random.default_rng(number).integers(0, 900, (3 + number, 10, 12)).astype(np.int16)
        write_dicom_series(folder, voxels, Grid(voxels.shape, (3.0, 1.0, 1.0)))
        for file in folder.iterdir():
            header = pydicom.dcmread(file)
            header.StudyInstanceUID, header.SeriesNumber = STUDY, number
            header.save_as(file)
        folders.append(folder)
    return folders


@pytest.fixture(scope="module")
def service(series: list[Path]) -> Iterator[tuple[str, list[dict[str, str]]]]:
    """The URL of a server that has the study, and the headers of each request."""
    asked: list[dict[str, str]] = []

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(dict(self.headers))
            files = [file for folder in series for file in sorted(folder.iterdir())]
            uid = self.path.rpartition("/series/")[2] if "/series/" in self.path else None
            wanted = [file for file in files if uid in (None, pydicom.dcmread(file).SeriesInstanceUID)]
            if f"/studies/{STUDY}" not in self.path or not wanted:
                self.send_error(404)
                return
            body = b"".join(
                b"--cut\r\nContent-Type: application/dicom\r\n\r\n" + file.read_bytes() + b"\r\n" for file in wanted
            )
            self.send_response(200)
            self.send_header("Content-Type", 'multipart/related; type="application/dicom"; boundary=cut')
            self.end_headers()
            self.wfile.write(body + b"--cut--")

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/dicom-web", asked
    server.shutdown()
    thread.join()
    server.server_close()


def test_what_is_a_study_is_told_by_its_url():
    assert is_dicomweb("https://host/dicom-web/studies/1.2.3")
    assert is_dicomweb("dicomweb+http://host:8042/studies/1.2.3/series/4.5/")
    for other in (
        "https://host/a.nii.gz",
        "https://host/studies",
        "s3://b/studies/1.2",
        "https://h/studies/1.2/rendered",
    ):
        assert not is_dicomweb(other)


def test_every_series_of_a_study_is_a_scan_with_its_own_url(service, series):
    url, _ = service
    with fetched(f"{url}/studies/{STUDY}", Listings(), brains=False) as found:
        names = [found.name_of(scan) for scan in found.scans]
        volumes = [read_volume(scan) for scan in found.scans]
        root = found.root
    assert not root.exists()
    uids = [pydicom.dcmread(next(folder.iterdir())).SeriesInstanceUID for folder in series]
    assert sorted(names) == sorted(f"{url}/studies/{STUDY}/series/{uid}" for uid in uids)
    for folder, uid in zip(series, uids, strict=True):
        volume = volumes[names.index(f"{url}/studies/{STUDY}/series/{uid}")]
        expected = read_volume(folder)
        np.testing.assert_array_equal(volume.voxels, expected.voxels)
        assert volume.grid == expected.grid
    with fetched(names[0], Listings(), brains=False) as one:
        assert [one.name_of(scan) for scan in one.scans] == names[:1]


def test_a_study_that_is_not_there_is_told_by_its_url_and_asked_for_once(service):
    url, asked = service
    before = len(asked)
    with (
        pytest.raises(
            UnreadableScan, match=rf"^{url}/studies/9.9 could not be fetched \(status 404\): the server does"
        ),
        fetched(f"{url}/studies/9.9", Listings(), brains=False),
    ):
        pass
    assert len(asked) == before + 1


@pytest.fixture
def scripted(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, list[tuple[int, str, bytes]], list[str]]]:
    """The URL of a server; its answers, the last of which it repeats: status, content type, body; what was asked."""
    monkeypatch.setattr("anomae.archive.reading.WAITS_S", (0.0, 0.0))
    answers: list[tuple[int, str, bytes]] = []
    asked: list[str] = []

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            status, kind, body = answers.pop(0) if len(answers) > 1 else answers[0]
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.end_headers()  # no length: where the connection ends, the answer does
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/dicom-web", answers, asked
    server.shutdown()
    thread.join()
    server.server_close()


MULTIPART = 'multipart/related; type="application/dicom"; boundary="cut"'


def body_of(files: list[Path], end: bytes = b"\r\n--cut--\r\n") -> bytes:
    head = b"\r\n--cut\r\nContent-Type: application/dicom\r\n\r\n"
    return b"".join(head + file.read_bytes() for file in files) + end


def scans_of(url: str) -> list[Path]:
    with fetched(url, Listings(), brains=False) as found:
        return found.scans


@pytest.mark.parametrize(
    ("status", "end", "said"),
    [
        (206, b"\r\n--cut--\r\n", "only a part of what it was asked for: status 206"),
        (200, b"", "breaks off before its end"),
        (200, b"\r\n--cut", "breaks off before its end"),
        (500, b"", "status 500"),
        (503, b"", "status 503"),
    ],
)
def test_a_part_of_a_study_is_asked_for_again_and_never_read_as_the_whole(scripted, series, status, end, said):
    url, answers, asked = scripted
    files = [file for folder in series for file in sorted(folder.iterdir())]
    part, whole = (status, MULTIPART, body_of(files[:6], end)), (200, MULTIPART, body_of(files))
    answers[:] = [part]
    with pytest.raises(UnreadableScan, match=rf"^{url}/studies/{STUDY} could not be fetched \(.*{said}\), tried 3"):
        scans_of(f"{url}/studies/{STUDY}")
    assert len(asked) == 3
    answers[:] = [part, whole]
    assert len(scans_of(f"{url}/studies/{STUDY}")) == 2


def test_another_study_or_series_than_the_one_named_is_refused(scripted, series):
    url, answers, asked = scripted
    own, other = (sorted(folder.iterdir()) for folder in series)
    answers[:] = [(200, MULTIPART, body_of([*own, *other]))]
    uid = pydicom.dcmread(own[0]).SeriesInstanceUID
    for path in ("/studies/1.2.3", f"/studies/{STUDY}/series/{uid}"):
        with pytest.raises(UnreadableScan, match=rf"^{url}{path} is answered with images of another study or series"):
            scans_of(f"{url}{path}")
    assert len(asked) == 2
    answers[:] = [(200, MULTIPART, body_of(own))]
    assert len(scans_of(f"{url}/studies/{STUDY}/series/{uid}")) == 1


def test_who_is_not_let_in_is_told_of_the_token_at_once(scripted):
    url, answers, asked = scripted
    for status in (401, 403):
        answers[:] = [(status, "text/plain", b"")]
        with pytest.raises(
            UnreadableScan, match=rf"\(status {status}\): .*let you in; .* ANOMAE_DICOMWEB_TOKEN .*netrc"
        ):
            scans_of(f"{url}/studies/{STUDY}")
    assert len(asked) == 2


def test_more_than_the_limit_is_refused(service, tmp_path):
    url, _ = service
    with pytest.raises(UnreadableScan, match="more than the limit of 2,000 bytes"):
        fetch_dicomweb(f"{url}/studies/{STUDY}", tmp_path, 2000)


def test_a_token_is_sent_only_where_nobody_listens(service, tmp_path, monkeypatch):
    from anomae.archive.dicomweb import _headers

    monkeypatch.setenv("ANOMAE_DICOMWEB_TOKEN", "sesame")
    url, asked = service
    fetch_dicomweb(f"{url}/studies/{STUDY}", tmp_path, 10**9)
    assert asked[-1]["Authorization"] == "Bearer sesame"
    assert _headers("https://host/dicom-web") == {"Authorization": "Bearer sesame"}
    assert _headers("http://host/dicom-web") == {}

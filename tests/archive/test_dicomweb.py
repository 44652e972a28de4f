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


def test_a_study_that_is_not_there_is_told_by_its_url(service, monkeypatch):
    monkeypatch.setattr("anomae.archive.reading.WAITS_S", ())
    url, _ = service
    with (
        pytest.raises(UnreadableScan, match=rf"^{url}/studies/9.9 could not be fetched"),
        fetched(f"{url}/studies/9.9", Listings(), brains=False),
    ):
        pass


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

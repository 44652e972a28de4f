"""What lies beside a remote file and belongs to it comes with it, nothing else; where that is not known it is said."""

from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import ClassVar

import fsspec
import nibabel
import numpy as np
import pytest

from anomae.archive.beside import belonging_to
from anomae.inference.inspect import Model
from anomae.slices.settings import PrepareSettings
from anomae.volumes.volume import Grid
from anomae.volumes.write import write_volume

from .test_score_shard import Brightness, read, score

OF_BRAINS = Model(
    Brightness(),
    PrepareSettings.model_validate({"image_size": 24, "preparation": "brain", "brain_mask": "auto"}),
    fingerprint="f" * 32,
)


@pytest.mark.parametrize(
    ("name", "others", "wanted"),
    [
        ("a.nii.gz", "a_brain_mask.nii.gz b_brain_mask.nii.gz a_mask.nii.gz ab.nii.gz", "a_brain_mask.nii.gz"),
        ("a.nii.gz", "A-Brain-mask.nii a_bet.hdr a_bet.img", "a_bet.hdr a_bet.img"),
        ("a.nii.gz", "A-Brain-mask.nii", "A-Brain-mask.nii"),
        ("a.mha", "a_brain.mhd a_brain.raw a.raw", "a_brain.mhd a_brain.raw"),
        ("a.hdr", "a.img A.img a.IMG.gz a.txt", "a.IMG.gz a.img"),
        ("a.img.gz", "a.hdr ab.hdr", "a.hdr"),
        ("a.mhd", "a.zraw b.zraw", "a.zraw"),
        ("sub-1_T1w.nii", "sub-1_desc-brain_mask.nii sub-2_desc-brain_mask.nii", "sub-1_desc-brain_mask.nii"),
        ("a.nii.gz", "", ""),
    ],
)
def test_what_belongs_to_a_file(name, others, wanted, tmp_path):
    assert belonging_to(name, [name, *others.split()], tmp_path) == wanted.split()
    assert [*tmp_path.iterdir()] == []


@pytest.fixture
def head(tmp_path):
    """A scan whose brain, by the mask beside it, is a part that nobody would find."""
    rows, columns = np.mgrid[:48, :48]
    far = np.hypot(rows - 24, columns - 24)
    voxels = np.where(far < 20, np.random.default_rng(0).normal(100, 6, (6, 48, 48)), 0).astype(np.float32)
    brain = np.broadcast_to(np.hypot(rows - 20, columns - 28) < 9, voxels.shape).astype(np.uint8)
    folder = tmp_path / "scans"
    folder.mkdir()
    write_volume(folder / "a.nii.gz", voxels, Grid(voxels.shape, (3.0, 1.0, 1.0)))
    write_volume(folder / "a_brain_mask.nii.gz", brain, Grid(voxels.shape, (3.0, 1.0, 1.0)))
    return folder / "a.nii.gz"


def scores(target):
    return [row["score"] for row in read(target, "slices")]


def test_a_brain_mask_beside_a_remote_file_counts_as_on_the_disk(head, tmp_path):
    system = fsspec.filesystem("memory")
    for file in head.parent.iterdir():
        system.pipe_file(f"/bucket/{file.name}", file.read_bytes())
    try:
        score([head, f"local://{head}", "memory://bucket/a.nii.gz"], tmp_path / "out", model=OF_BRAINS)
    finally:
        system.rm("/bucket", recursive=True)
    found = scores(tmp_path / "out")
    assert len(found) == 18
    assert found[:6] == found[6:12] == found[12:]
    assert all(
        "listed" not in row["notes"] and "/anomae-" not in row["notes"] for row in read(tmp_path / "out", "scans")
    )


def test_a_brain_mask_that_is_broken_is_told_by_its_url(head, tmp_path):
    (head.parent / "a_brain_mask.nii.gz").write_bytes(b"broken")
    score([f"local://{head}"], tmp_path / "out", model=OF_BRAINS)
    (failed,) = read(tmp_path / "out", "failed")
    assert f"local://{head.parent}/a_brain_mask.nii.gz" in failed["reason"]


def test_a_header_that_is_missing_is_told_so(tmp_path):
    score([f"local://{tmp_path}/gone/a.mhd", f"local://{tmp_path}/a.hdr"], tmp_path / "out")
    assert all("is missing" in row["reason"] for row in read(tmp_path / "out", "failed"))


def test_the_other_half_of_a_pair_comes_with_it(tmp_path):
    voxels = np.random.default_rng(0).uniform(1, 9, (24, 24, 3)).astype(np.float32)
    nibabel.save(nibabel.Nifti1Pair(voxels, np.eye(4)), tmp_path / "a.hdr")
    files = [tmp_path / "a.hdr", f"local://{tmp_path}/a.hdr", f"local://{tmp_path}/a.img"]
    score(files, tmp_path / "out")
    found = scores(tmp_path / "out")
    assert found[:3] == found[3:6] == found[6:]
    assert len(found) == 9


class Server(SimpleHTTPRequestHandler):
    listing = True

    def list_directory(self, path):
        return super().list_directory(path) if type(self).listing else self.send_error(403)

    def log_message(self, *_):
        pass


class Refusal(OSError):
    """As a client says that a web server answered."""

    def __init__(self, status):
        super().__init__("refused")
        self.status = status


@pytest.mark.parametrize(("status", "asked"), [(429, 3), (503, 3), (403, 1), (405, 1)])
def test_a_listing_that_is_refused_for_now_is_asked_for_again(head, tmp_path, counting, monkeypatch, status, asked):
    monkeypatch.setattr(Counting, "refusal", Refusal(status))
    url = f"counting:/{head}"
    score([url, url], tmp_path / "refused", model=OF_BRAINS)
    assert ["could not be listed" in row["notes"] for row in read(tmp_path / "refused", "scans")] == [True, True]
    assert len(counting.listed) == asked
    head.with_name("a.hdr").touch()
    score([f"counting:/{head.with_name('a.hdr')}"], tmp_path / "pair")
    said = f"could not be fetched (status {status}), tried 3 times" if asked > 1 else "server does not list them"
    assert said in read(tmp_path / "pair", "failed")[0]["reason"]
    monkeypatch.setattr(Counting, "refusals", 1)
    score([head, url], tmp_path / "late", model=OF_BRAINS)
    found = scores(tmp_path / "late")
    assert (found[:6] == found[6:]) is (asked > 1)


@pytest.mark.parametrize("listing", [True, False])
def test_a_server_that_lists_no_folders_leaves_a_doubt(head, tmp_path, monkeypatch, listing):
    pytest.importorskip("aiohttp")
    monkeypatch.setattr(Server, "listing", listing)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Server, directory=str(head.parent)))
    Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}/a.nii.gz"
    try:
        score([head, url], tmp_path / "out", model=OF_BRAINS)
        score([url], tmp_path / "plain")
    finally:
        server.shutdown()
        server.server_close()
    near, far = scores(tmp_path / "out")[:6], scores(tmp_path / "out")[6:]
    notes = read(tmp_path / "out", "scans")[1]["notes"]
    assert (near == far) is listing
    assert ("could not be listed" in notes) is not listing
    assert "could not be listed" not in read(tmp_path / "plain", "scans")[0]["notes"]  # it asks for no brain


class Counting(fsspec.AbstractFileSystem):
    """Files of the disk below /, under a protocol that counts how often a folder is listed, or refuses to."""

    protocol = "counting"
    listed: ClassVar[list[str]] = []
    refusal: ClassVar[OSError | None] = None
    refusals: ClassVar[int] = 10**9  # so many times, then it lists

    def isdir(self, path):
        return False

    def info(self, path, **_):
        return {"name": path, "size": Path(f"/{path}").stat().st_size, "type": "file"}

    def ls(self, path, detail=True, **_):
        self.listed.append(path)
        if self.refusal is not None and type(self).refusals:
            type(self).refusals -= 1
            raise self.refusal
        return [self.info(f"{path}/{file.name}") for file in Path(f"/{path}").iterdir()]

    def get_file(self, rpath, lpath, **_):
        Path(lpath).write_bytes(Path(f"/{rpath}").read_bytes())


@pytest.fixture
def counting(monkeypatch):
    fsspec.register_implementation("counting", Counting, clobber=True)
    monkeypatch.setattr(Counting, "listed", [])
    monkeypatch.setattr(Counting, "refusals", 10**9)
    monkeypatch.setattr("anomae.archive.reading.WAITS_S", (0.0, 0.0))
    return Counting


def test_a_folder_is_listed_once_and_only_for_what_needs_others(head, tmp_path, counting):
    url = f"counting:/{head}"
    score([head, url, url, url], tmp_path / "brains", model=OF_BRAINS)
    found = scores(tmp_path / "brains")
    assert found == found[:6] * 4
    assert len(counting.listed) == 1
    score([url, url], tmp_path / "plain")
    assert len(counting.listed) == 1
    assert len(scores(tmp_path / "plain")) == 12


def test_a_file_is_scored_where_its_folder_may_not_be_listed(head, tmp_path, counting, monkeypatch):
    """As gcsfs says it: an error like that of a network, which is tried again, once for a folder."""
    monkeypatch.setattr(Counting, "refusal", OSError("Forbidden"))
    url = f"counting:/{head}"
    score([url, url], tmp_path / "plain")
    assert (len(scores(tmp_path / "plain")), counting.listed) == (12, [])
    score([url, url], tmp_path / "brains", model=OF_BRAINS)
    assert [("could not be listed" in row["notes"]) for row in read(tmp_path / "brains", "scans")] == [True, True]
    assert len(counting.listed) == 3
    head.with_name("a.hdr").touch()
    score([f"counting:/{head.with_name('a.hdr')}"], tmp_path / "pair")
    assert "could not be fetched (OSError), tried 3 times" in read(tmp_path / "pair", "failed")[0]["reason"]

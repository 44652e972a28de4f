"""A shard is a pure function of its entries: what comes through fsspec gives the numbers of the file on the disk."""

import os
import sys
from dataclasses import replace
from pathlib import Path

import fsspec
import numpy as np
import pyarrow.parquet as parquet
import pytest

from anomae.archive.manifest import Entry
from anomae.archive.score_shard import Asked, facts_in, score_shard
from anomae.archive.tables import PASSED_OVER, TABLES
from anomae.detectors.protocol import Findings
from anomae.errors import MissingExtra, NotWritten
from anomae.inference.inspect import Model
from anomae.slices.settings import PrepareSettings
from anomae.slices.store import grey
from anomae.volumes.read import read_volume
from anomae.volumes.write import write_volume

from .test_dispatch import stopped_removal

ASKED = Asked((0.05, 0.1), 45.0, False, False, "all", False)


class Brightness:
    """Its map is the prepared image, its score the mean."""

    name, map_name, description = "brightness", "brightness", ""

    def inspect(self, images):
        return Findings(images.mean(axis=(1, 2, 3), dtype=np.float64), grey(np.asarray(images, np.float32)))

    def save(self, folder):
        raise AssertionError


MODEL = Model(
    Brightness(), PrepareSettings.model_validate({"image_size": 24, "intensity": "none"}), fingerprint="f" * 32
)


def score(files, target, asked=ASKED, model=MODEL):
    entries = tuple(Entry(line, str(file)) for line, file in enumerate(files))
    return score_shard(entries, target, model, model.rules(asked.bounds, asked.threshold), asked)


def read(target, table):
    return parquet.read_table(target / f"{table}.parquet").to_pylist()


@pytest.fixture
def remote():
    """An empty file system in memory."""
    system = fsspec.filesystem("memory")
    system.rm("/", recursive=True) if system.ls("/") else None
    yield system
    system.rm("/", recursive=True) if system.ls("/") else None


def test_remote_files_and_folders_give_the_numbers_of_local_ones(remote, scans, tmp_path):
    for scan in scans[:3]:
        remote.pipe_file(f"/bucket/{scan.parent.name}/{scan.name}", scan.read_bytes())
    score(scans[:3], tmp_path / "local")
    score(["memory://bucket/sub-00/scan0.nii.gz", "memory://bucket/sub-00", "memory://bucket/sub-01"], tmp_path / "far")
    near = [row["score"] for row in read(tmp_path / "local", "slices")]
    far = {}
    for row in read(tmp_path / "far", "slices"):
        far.setdefault((row["line"], row["file"]), []).append(row["score"])
    assert far == {
        (0, "memory://bucket/sub-00/scan0.nii.gz"): near[:4],
        (1, "memory://bucket/sub-00/scan0.nii.gz"): near[:4],
        (1, "memory://bucket/sub-00/scan1.nii.gz"): near[4:8],
        (2, "memory://bucket/sub-01/scan2.nii.gz"): near[8:12],
    }
    patients = {row["file"]: row["patient"] for row in read(tmp_path / "far", "scans")}
    assert patients["memory://bucket/sub-01/scan2.nii.gz"] == "sub-01"
    names = [row["name"] for row in read(tmp_path / "far", "scans")]
    assert len(set(names)) == 4
    for row in read(tmp_path / "far", "scans"):
        assert (tmp_path / "far" / row["map"]).is_file()


def test_a_header_comes_with_the_voxels_beside_it(remote, tmp_path):
    header = "NDims = 3\nDimSize = 12 12 2\nElementType = MET_UCHAR\nElementSpacing = 1 1 1\nElementDataFile = a.raw\n"
    remote.pipe_file("/bucket/a.mhd", header.encode())
    remote.pipe_file("/bucket/a.raw", bytes(range(144)) * 2)
    remote.pipe_file("/bucket/b.mhd", header.replace("a.raw", "b.raw").encode())
    score(["memory://bucket/a.mhd", "memory://bucket/b.mhd"], tmp_path / "out")
    assert [row["file"] for row in read(tmp_path / "out", "scans")] == ["memory://bucket/a.mhd"]
    (failed,) = read(tmp_path / "out", "failed")
    assert failed["reason"].startswith("memory://bucket/b.mhd ")
    assert "/tmp" not in failed["reason"]


def test_what_cannot_be_had_is_listed_and_the_rest_goes_on(remote, scans, tmp_path, monkeypatch):
    monkeypatch.setattr("anomae.archive.reading.WAITS_S", (0.0, 0.0))
    monkeypatch.setattr("anomae.archive.reading.MOST_BYTES", 5000)
    remote.pipe_file("/bucket/large.nii.gz", bytes(6000))
    remote.pipe_file("/bucket/empty/notes.txt", b"nothing")
    remote.pipe_file("/bucket/broken.nii.gz", scans[0].read_bytes()[:200])
    tried = []

    class Failing(fsspec.AbstractFileSystem):
        protocol = "failing"

        def isdir(self, path):
            tried.append(path)
            raise ConnectionResetError("secret words of a server")

    fsspec.register_implementation("failing", Failing, clobber=True)
    files = [
        "memory://bucket/gone.nii.gz",
        "memory://bucket/large.nii.gz",
        "memory://bucket/empty",
        "memory://bucket/broken.nii.gz",
        "failing://host/a.nii.gz",
        "nosuchprotocol://host/a.nii.gz",
        scans[0],
    ]
    facts = score(files, tmp_path / "out")
    reasons = {row["line"]: row["reason"] for row in read(tmp_path / "out", "failed")}
    assert [row["line"] for row in read(tmp_path / "out", "scans")] == [6]
    assert (facts.scans, facts.failed, facts.entries) == (1, 6, 7)
    assert all(reasons[line].startswith(files[line]) for line in range(6)), reasons
    assert "is missing" in reasons[0]
    assert "6,000 bytes, more than the limit of 5,000" in reasons[1]
    assert "holds no scan" in reasons[2]
    assert "could not be fetched (ConnectionResetError), tried 3 times" in reasons[4]
    assert len(tried) == 3
    assert not any("secret" in reason for reason in reasons.values())


def test_a_file_of_this_disk_is_told_by_its_own_path(tmp_path):
    (tmp_path / "a.nii.gz").write_bytes(b"broken")
    score([f"file://{tmp_path}/a.nii.gz"], tmp_path / "out")
    assert read(tmp_path / "out", "failed")[0]["reason"].startswith(f"{tmp_path}/a.nii.gz ")


def test_a_folder_that_lists_files_outside_itself_is_refused(remote, tmp_path, scans):
    class Escaping(fsspec.AbstractFileSystem):
        protocol = "escaping"

        def isdir(self, path):
            return True

        def find(self, path, detail=False, **_):
            return {f"{path}/../../evil.nii.gz": {"size": 10}}

        def get_file(self, remote, local, **_):
            raise AssertionError("fetched")

    fsspec.register_implementation("escaping", Escaping, clobber=True)
    score(["escaping://host/folder", scans[0]], tmp_path / "out")
    (failed,) = read(tmp_path / "out", "failed")
    assert "outside itself" in failed["reason"]


def test_maps_are_written_of_all_flagged_or_none(scans, tmp_path):
    files = [scans[0], scans[1], scans[8]]
    score(files, tmp_path / "first")
    low, high = sorted(row["score"] for row in read(tmp_path / "first", "scans"))[-2:]
    for maps, wanted in (("all", 3), ("flagged", 1), ("none", 0)):
        target = tmp_path / maps
        facts = score(files, target, replace(ASKED, maps=maps, threshold=(low + high) / 2))
        found = read(target, "scans")
        assert facts.flagged == sum(row["flag"] for row in found) == 1
        assert sum(row["map"] is not None for row in found) == len(list(target.glob("maps/*"))) == wanted
        if maps == "flagged":
            assert [row["map"] is not None for row in found] == [row["flag"] for row in found]
        assert facts.map_bytes == sum(path.stat().st_size for path in target.glob("maps/*"))


def test_a_shard_is_there_whole_or_not_at_all(scans, tmp_path, monkeypatch):
    target = tmp_path / "shards" / "00000000"
    score(scans[:1], target)
    before = {path: path.read_bytes() for path in target.rglob("*.parquet")}

    def full(path, *_):
        raise NotWritten(path, "no space")

    monkeypatch.setattr("anomae.archive.score_shard.write_parquet", full)
    with pytest.raises(NotWritten):
        score(scans[:2], target)
    assert {path: path.read_bytes() for path in target.rglob("*.parquet")} == before
    assert [path.name for path in target.parent.iterdir()] == ["00000000"]
    assert facts_in(target)["entries"] == 1
    (target / "shard.json").write_text("{")
    assert facts_in(target) is None


def test_a_stop_while_a_shard_takes_another_s_place_leaves_one_whole(scans, tmp_path, monkeypatch):
    target = tmp_path / "shards" / "00000000"
    score(scans[:1], target)
    monkeypatch.setattr("anomae.archive.score_shard.shutil.rmtree", stopped_removal)
    with pytest.raises(KeyboardInterrupt):
        score(scans[:2], target)
    monkeypatch.undo()
    assert facts_in(target)["entries"] == len(read(target, "scans")) == len(list(target.glob("maps/*"))) == 2
    (target / "slices.parquet").unlink()  # as a stop of earlier versions left it
    assert facts_in(target) is None


def test_a_package_that_is_missing_stops_all_and_blames_no_file(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "s3fs", None)  # it may be there
    monkeypatch.delitem(sys.modules["fsspec.registry"]._registry, "s3", raising=False)  # and have been used
    with pytest.raises(MissingExtra, match=r"s3://bucket/a.nii.gz cannot be opened: .*s3fs"):
        score(["s3://bucket/a.nii.gz"], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_shard_without_entries_has_all_tables(tmp_path):
    score([], tmp_path / "out")
    for table, columns in TABLES.items():
        assert parquet.read_schema(tmp_path / "out" / f"{table}.parquet").names == list(columns)
        assert read(tmp_path / "out", table) == []


def test_a_series_among_several_keeps_its_own_path(tmp_path, scans):
    folder = tmp_path / "study"
    folder.mkdir()
    for scan in scans[:2]:
        (folder / scan.name).write_bytes(scan.read_bytes())
    (folder / "notes.doc").write_text("no picture")
    score([folder], tmp_path / "out")
    assert [Path(row["file"]) for row in read(tmp_path / "out", "scans")] == sorted(folder.glob("*.gz"))


def test_a_name_that_is_no_utf8_stands_in_the_tables_escaped(tmp_path, scans):
    folder = tmp_path / "patient"
    folder.mkdir()
    for name in (b"M\xfcller.nii.gz", b"a.nii.gz"):
        (folder / os.fsdecode(name)).write_bytes(scans[0].read_bytes())
    (folder / os.fsdecode(b"\xfc.nii.gz")).write_bytes(b"broken")
    facts = score([folder], tmp_path / "out")
    assert (facts.scans, facts.failed) == (2, 1)
    assert [row["file"] for row in read(tmp_path / "out", "scans")] == [
        f"{folder}/M\\udcfcller.nii.gz",
        f"{folder}/a.nii.gz",
    ]
    assert len({row["score"] for row in read(tmp_path / "out", "scans")}) == 1
    assert f"{folder}/\\udcfc.nii.gz" in [row["file"] for row in read(tmp_path / "out", "failed")]


def test_masks_and_second_copies_are_no_scans(remote, tmp_path, scans):
    """As `anomae score` tells them: they are listed as passed over, of a folder here and of one that is fetched."""
    folder = tmp_path / "patient"
    folder.mkdir()
    image = read_volume(scans[0])
    write_volume(folder / "scan.nii.gz", image.voxels, image.grid)
    write_volume(folder / "scan.nii", image.voxels, image.grid)
    for name in ("scan_seg.nii.gz", "scan_brain_mask.nii.gz"):
        write_volume(folder / name, (image.voxels > 0).astype(np.uint8), image.grid)
    for file in folder.iterdir():
        remote.pipe_file(f"/bucket/patient/{file.name}", file.read_bytes())
    facts = score([folder, "memory://bucket/patient"], tmp_path / "out")
    far = "memory://bucket/patient/scan.nii.gz"
    assert [row["file"] for row in read(tmp_path / "out", "scans")] == [str(folder / "scan.nii.gz"), far]
    failed = read(tmp_path / "out", "failed")
    assert (facts.scans, facts.failed, {row["kind"] for row in failed}) == (2, 0, {PASSED_OVER})
    said = [row["reason"] for row in failed]
    for what in ("lesion mask", "brain mask", "given twice"):
        assert sum(what in sentence for sentence in said) == 2
    assert any(far.replace("scan.nii.gz", "scan_seg.nii.gz") in sentence for sentence in said)


def test_copies_that_differ_and_masks_alone_are_refused(tmp_path, scans):
    unlike, masks = tmp_path / "unlike", tmp_path / "masks-alone"
    image, other = read_volume(scans[0]), read_volume(scans[1])
    for path, voxels in (
        (unlike / "scan.nii.gz", image.voxels),
        (unlike / "scan.nii", other.voxels),
        (masks / "scan_brain_mask.nii.gz", (image.voxels > 0).astype(np.uint8)),
    ):
        path.parent.mkdir(exist_ok=True)
        write_volume(path, voxels, image.grid)
    facts = score([unlike, masks, unlike / "scan.nii"], tmp_path / "out")
    assert [row["file"] for row in read(tmp_path / "out", "scans")] == [str(unlike / "scan.nii")]  # named itself
    reasons = [row["reason"] for row in read(tmp_path / "out", "failed") if row["kind"] != PASSED_OVER]
    assert facts.failed == len(reasons) == 2
    assert "hold unlike voxels" in reasons[0]
    assert "holds no scan but" in reasons[1]

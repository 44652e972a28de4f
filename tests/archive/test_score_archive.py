"""An archive in shards: the numbers of the single process to the bit, nothing lost to a fatal file, nothing twice."""

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import nibabel
import numpy as np
import pyarrow.parquet as parquet
import pytest

from anomae.archive.score_archive import score_archive
from anomae.errors import UserError
from anomae.files import read_json, read_json_lines
from anomae.locks import locked
from anomae.stages.score_scans import score_scans


def table(out: Path, name: str):
    rows = []
    for path in sorted((out / "shards").glob(f"*/{name}.parquet")):
        rows += parquet.read_table(path).to_pylist()
    return rows


def scores(out: Path):
    return {(row["file"], row["slice"]): row["score"] for row in table(out, "slices")}


def single(run: Path, files: list[Path], out: Path):
    """The same by `anomae score`, in this process."""
    score_scans(run, files, out, overlays=0)
    with (out / "scores.csv").open(newline="") as handle:
        rows = list(csv.DictReader(handle))
    return rows, {(row["file"], int(row["slice"])): float(row["score"]) for row in rows}


@pytest.fixture
def hostile(tmp_path: Path, scans: list[Path]) -> dict[str, Path]:
    """Among sound scans: broken, missing and hostile ones, one that kills who reads it, one that does so once."""
    broken, text, kill, once = (tmp_path / name for name in ("broken.nii.gz", "not.nii", "a.fatal", "b.fatal"))
    broken.write_bytes(scans[0].read_bytes()[:300])
    text.write_text("<html>404</html>" * 40)
    kill.write_text("kill")
    once.write_text(f"once {tmp_path / 'died'}")
    return {"broken": broken, "text": text, "missing": tmp_path / "gone.nii.gz", "kill": kill, "once": once}


def test_two_workers_with_broken_and_fatal_files_give_the_single_process_s_numbers(
    run, manifest, scans, hostile, fatal, tmp_path
):
    files = [*scans[:4], hostile["kill"], *scans[4:6], hostile["broken"], hostile["once"], *scans[6:], hostile["text"]]
    files.append(hostile["missing"])
    out = score_archive(manifest(tmp_path / "list.csv", files), tmp_path / "out", run=run, workers=2, shard=5)

    rows, expected = single(run, scans, tmp_path / "single")
    ours = scores(out)
    assert {key: value for key, value in ours.items() if key[0] != str(hostile["once"])} == expected  # to the bit
    assert sum(key[0] == str(hostile["once"]) for key in ours) == 3  # a worker was killed by it, once: tried again
    by_key = {(row["file"], int(row["slice"])): row for row in rows}
    for row in table(out, "slices"):
        if (single_row := by_key.get((row["file"], row["slice"]))) is not None:
            assert single_row["flag"] == ("" if row["flag"] is None else str(int(row["flag"])))
            assert float(single_row["score_neighbours"]) == row["score_neighbours"]
            assert single_row["patient"] == row["patient"]

    failed = {row["file"]: row["kind"] for row in table(out, "failed")}
    assert failed == {
        str(hostile["kill"]): "killed",
        **{str(hostile[name]): "unreadable" for name in ("broken", "text", "missing")},
    }
    lines = [row["line"] for row in table(out, "scans")]
    assert lines == sorted(lines)  # pieces are joined in the order of the manifest
    facts = read_json(out / "archive.json")
    assert (facts["files"], facts["scans"], facts["slices"]) == (14, 10, 39)
    assert facts["failed"] == {"killed": 1, "unreadable": 3}
    assert facts["flagged"]["scans"] == sum(row["flag"] is True for row in table(out, "scans"))
    assert not list(out.rglob(".*"))
    assert not (out / "parts").exists()

    for row in table(out, "scans"):
        heat = next((out / "shards").glob(f"*/{row['map']}"))
        if row["file"] != str(hostile["once"]):
            name = next(
                Path(found["name"]) for found in _csv(tmp_path / "single" / "scans.csv") if found["file"] == row["file"]
            )
            other = nibabel.load(tmp_path / "single" / "maps" / f"{name}.nii.gz")
            mine = nibabel.load(heat)
            np.testing.assert_array_equal(np.asarray(mine.dataobj), np.asarray(other.dataobj))
            np.testing.assert_array_equal(mine.affine, other.affine)

    before = {path: path.stat().st_mtime_ns for path in out.rglob("*.parquet") if "shards" in path.parts}
    again = score_archive(tmp_path / "list.csv", out, run=run, workers=2, shard=5)
    assert {path: path.stat().st_mtime_ns for path in again.rglob("*.parquet") if "shards" in path.parts} == before
    assert read_json(again / "archive.json")["this_command"]["slices"] == 0


def test_two_workers_load_the_model_once_each_and_give_anomae_s_numbers_to_the_bit(
    run_of_anomae, manifest, scans, tmp_path
):
    listed = manifest(tmp_path / "list.csv", scans)
    out = score_archive(listed, tmp_path / "out", run=run_of_anomae, workers=2, shard=1)
    _, expected = single(run_of_anomae, scans, tmp_path / "single")
    assert scores(out) == expected
    assert len(set(expected.values())) == len(expected) == 4 * len(scans)
    for row in table(out, "scans"):
        mine = next((out / "shards").glob(f"*/{row['map']}"))
        name = next(each["name"] for each in _csv(tmp_path / "single" / "scans.csv") if each["file"] == row["file"])
        other = nibabel.load(tmp_path / "single" / "maps" / f"{name}.nii.gz")
        np.testing.assert_array_equal(np.asarray(nibabel.load(mine).dataobj), np.asarray(other.dataobj))
    facts = read_json(out / "archive.json")["this_command"]
    assert (facts["files"], facts["processes"], facts["models_loaded"]) == (9, 2, 2)
    processes = [line["process"] for line in read_json_lines(out / "journal.jsonl") if "process" in line]
    assert len(processes) == 9
    assert len(set(processes)) == 2


def _csv(path: Path):
    with path.open(newline="") as handle:
        return list(csv.DictReader(handle))


COMMAND = """
import sys
from anomae.archive.score_archive import score_archive
score_archive(sys.argv[1], sys.argv[2], run=sys.argv[3], workers=1, shard=2)
"""


def test_a_run_that_is_killed_goes_on_where_it_was(run, manifest, scans, fatal, tmp_path):
    begun, hold = tmp_path / "begun", tmp_path / "begun.hold"
    hold.touch()
    slow = tmp_path / "slow.fatal"
    slow.write_text(f"wait {begun}")
    listed = manifest(tmp_path / "list.csv", [*scans[:5], slow, *scans[5:]])
    command = [sys.executable, "-c", COMMAND, str(listed), str(tmp_path / "out"), str(run)]
    stopped = subprocess.Popen(command)
    deadline = time.monotonic() + 100
    while not begun.exists():
        assert stopped.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    stopped.send_signal(signal.SIGKILL)
    stopped.wait()
    out = tmp_path / "out"
    there = {path: path.stat().st_mtime_ns for path in (out / "shards").glob("0*/shard.json")}
    assert len(there) == 2
    assert not (out / "archive.json").exists()
    hold.unlink()
    score_archive(listed, out, run=run, workers=1, shard=2)
    assert {path: path.stat().st_mtime_ns for path in there} == there
    _, expected = single(run, scans, tmp_path / "single")
    assert {key: value for key, value in scores(out).items() if key[0] != str(slow)} == expected
    assert len({row["line"] for row in table(out, "scans")}) == len(table(out, "scans")) == 10
    assert not list((out / "shards").glob(".part-*"))
    facts = read_json(out / "archive.json")["this_command"]
    assert (facts["files"], facts["processes"], facts["models_loaded"]) == (6, 1, 1)  # loaded once a worker
    process = read_json_lines(out / "journal.jsonl")[-1]["process"]
    with pytest.raises(ProcessLookupError):  # which left with the command
        os.kill(int(process.rpartition(":")[2]), 0)


def test_what_is_asked_must_stay_and_lines_may_be_added(run, manifest, scans, here, tmp_path):
    listed, out = manifest(tmp_path / "list.csv", scans[:3]), tmp_path / "out"
    options = {"run": run, "workers": 1, "shard": 2, "maps": "none"}
    score_archive(listed, out, **options)
    assert not list(out.rglob("*.nii.gz"))
    for other in (
        {"maps": "all"},
        {"threshold": 1.5},
        {"shard": 3},
        {"bounds": (0.1, 0.1)},
        {"force": True},
        {"smoothed": True},
    ):
        with pytest.raises(UserError, match=f"differ in: .*{next(iter(other)).rstrip('s')}"):
            score_archive(listed, out, **(options | other))
    first = (out / "shards" / "00000000" / "shard.json").stat().st_mtime_ns
    journal = out / "journal.jsonl"
    journal.write_text(journal.read_text().replace(', "smoothed": false', ""))  # as earlier versions wrote it
    assert "smoothed" not in journal.read_text()
    manifest(listed, scans[:4])
    score_archive(listed, out, **options)
    assert (out / "shards" / "00000000" / "shard.json").stat().st_mtime_ns == first
    assert [row["line"] for row in table(out, "scans")] == [0, 1, 2, 3]
    manifest(listed, scans[:2])
    score_archive(listed, out, **options)  # nothing to score: no worker is started
    assert [row["line"] for row in table(out, "scans")] == [0, 1]
    shards = [line["shard"] for line in read_json_lines(out / "journal.jsonl") if "shard" in line and "process" in line]
    assert shards == [0, 1, 1]


def test_a_folder_of_something_else_or_in_use_is_refused(run, manifest, scans, tmp_path):
    listed, out = manifest(tmp_path / "list.csv", scans[:1]), tmp_path / "out"
    out.mkdir()
    (out / "notes.txt").write_text("mine")
    with pytest.raises(UserError, match="something else than a scored archive"):
        score_archive(listed, out, run=run, workers=1)
    assert [path.name for path in out.iterdir()] == ["notes.txt"]
    with locked(tmp_path / "other"), pytest.raises(UserError, match="Another process"):
        score_archive(listed, tmp_path / "other", run=run, workers=1)
    for options, said in (({"engine": "spark"}, "no engine 'spark'"), ({"address": "tcp://x"}, "--address is for")):
        with pytest.raises(UserError, match=said):
            score_archive(listed, tmp_path / "third", run=run, **options)
    assert not (tmp_path / "third").exists()


def test_a_command_that_scored_nothing_binds_no_other(run, manifest, scans, here, tmp_path, monkeypatch):
    listed, out = manifest(tmp_path / "list.csv", scans[:1]), tmp_path / "out"

    def refusing(*_):
        raise UserError("No Dask scheduler answers.")

    with monkeypatch.context() as patched:
        patched.setattr("anomae.archive.score_archive.opened", refusing)
        with pytest.raises(UserError, match="scheduler"):
            score_archive(listed, out, run=run, workers=1, threshold=3.0)
    score_archive(listed, out, run=run, workers=1, maps="none")
    assert len(table(out, "scans")) == 1
    shutil.rmtree(out / "shards" / "00000000")
    score_archive(listed, out, run=run, workers=1, shard=3, maps="all")
    assert len(table(out, "scans")) == len(list(out.rglob("*.nii.gz"))) == 1


def test_where_nothing_can_be_scored_it_says_so_and_a_second_look_finds_what_was_put_right(
    run, manifest, scans, here, tmp_path
):
    scan = tmp_path / "late.nii.gz"
    listed, out = manifest(tmp_path / "list.csv", ["late.nii.gz"]), tmp_path / "out"
    with pytest.raises(UserError, match=r"Not one of 1 file\(s\) could be scored; the first: .*late.nii.gz is missing"):
        score_archive(listed, out, run=run, workers=1)
    scan.write_bytes(scans[0].read_bytes())
    with pytest.raises(UserError, match="is missing"):
        score_archive(listed, out, run=run, workers=1)
    score_archive(listed, out, run=run, workers=1, retry=True)
    assert json.loads((out / "archive.json").read_text())["failed"] == {}


def test_the_dask_engine_gives_the_same_and_outlives_a_file_that_kills(run, manifest, scans, hostile, fatal, tmp_path):
    pytest.importorskip("distributed", reason="the extra `cluster` is not installed")
    files = [scans[0], hostile["kill"], *scans[1:4]]
    out = score_archive(
        manifest(tmp_path / "list.csv", files), tmp_path / "out", run=run, engine="dask", workers=2, shard=3
    )
    assert scores(out) == single(run, scans[:4], tmp_path / "single")[1]
    assert [(row["file"], row["kind"]) for row in table(out, "failed")] == [(str(hostile["kill"]), "killed")]


def test_the_ray_engine_gives_the_same_and_outlives_a_file_that_kills(run, manifest, scans, hostile, fatal, tmp_path):
    pytest.importorskip("ray", reason="the extra `ray` is not installed")
    files = [*scans[:3], hostile["kill"], *scans[3:6]]
    out = score_archive(
        manifest(tmp_path / "list.csv", files), tmp_path / "out", run=run, engine="ray", workers=2, shard=4
    )
    assert scores(out) == single(run, scans[:6], tmp_path / "single")[1]
    assert [(row["file"], row["kind"]) for row in table(out, "failed")] == [(str(hostile["kill"]), "killed")]

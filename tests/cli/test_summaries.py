"""Through the real command line: the last line of each command, --strict, --series, and scores of new scans judged."""

import csv
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from anomae.volumes.read import read_volume
from anomae.volumes.volume import Grid
from anomae.volumes.write import write_dicom_series, write_volume


def anomae(*words: object, code: int = 0) -> str:
    """What the command printed on both; it must leave with `code`."""
    command = [sys.executable, "-m", "anomae", *map(str, words)]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", check=False)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """run/, fitted on healthy/ and abnormal/ of scans/, which hold a broken scan, an .mgz and a table too."""
    folder = tmp_path_factory.mktemp("made")
    rng = np.random.default_rng(0)
    for index in range(10):
        voxels = rng.normal(100, 10, (6, 24, 24)).astype(np.float32)
        kind = "abnormal" if index > 7 else "healthy"
        write_volume(folder / "scans" / kind / f"p{index}.nii.gz", voxels, Grid((6, 24, 24)))
    (folder / "scans" / "healthy" / "broken.nii").write_bytes(b"x")
    (folder / "scans" / "healthy" / "a.mgz").write_bytes(b"x")
    (folder / "scans" / "healthy" / "ages.csv").write_text("x")
    words = ("prepare", "folder", folder / "scans", folder / "store", "--set", "image_size=16", "--workers", "0")
    said = anomae(*words)
    assert "Read: 10 scan(s); skipped: 1; failed: 1; the first: " in said
    assert "FreeSurfer volumes are not read" in said
    assert "Passed over as no scans: 1 .csv." in said
    assert "Read: 10 scan(s)" in anomae(*words, "--strict", code=2)
    anomae("fit", folder / "store", folder / "run", "--detector", "mean-image")
    return folder


def new_scans(folder: Path) -> Path:
    """a/ with a series of 8 axial slices and one of 5, b.nii.gz."""
    rng = np.random.default_rng(1)
    for name, depth in (("one", 5), ("two", 8)):
        voxels = rng.integers(0, 200, (depth, 24, 24)).astype(np.int16)
        write_dicom_series(folder / name, voxels, Grid((depth, 24, 24)), patient="Doe")
        for file in (folder / name).iterdir():
            (folder / "new" / "a").mkdir(parents=True, exist_ok=True)
            shutil.move(file, folder / "new" / "a" / f"{name}{file.name}")
    write_volume(folder / "new" / "b.nii.gz", rng.normal(100, 10, (6, 24, 24)).astype(np.float32), Grid((6, 24, 24)))
    return folder / "new"


def lines(table: Path) -> list[dict[str, str]]:
    with table.open(newline="", encoding="utf-8") as handle:
        return list(csv.DictReader(handle))


def test_strict_is_an_error_only_once_all_that_is_good_is_written(made: Path, tmp_path: Path) -> None:
    scans = new_scans(tmp_path)
    out = tmp_path / "out"
    assert "Read: 3 scan(s); skipped: 0; failed: 0. Engine: torch." in anomae(
        "score", made / "run", scans, "--out", out, "--strict"
    )
    (scans / "c.nii").write_bytes(b"x")
    said = anomae("score", made / "run", scans, "--out", out)
    assert "Read: 3 scan(s); skipped: 0; failed: 1; the first: " in said
    shutil.rmtree(out)
    assert "failed: 1" in anomae("score", made / "run", scans, "--out", out, "--strict", code=2)
    assert len(lines(out / "scores.csv")) == 5 + 8 + 6
    (scans / "c.nii").rename(scans / "c.mgz")
    assert "skipped: 1; failed: 0; the first: Not read: 1 file(s), .mgz" in anomae(
        "score", made / "run", scans, "--out", out, "--strict", code=2
    )


def test_a_series_is_chosen_on_the_command_line(made: Path, tmp_path: Path) -> None:
    scans = new_scans(tmp_path)
    depths = {path.name: len(read_volume(path).voxels) for path in (scans / "a" / "series-1", scans / "a" / "series-2")}
    assert sorted(depths.values()) == [5, 8]
    for asked, wanted in (("largest", 8), ("1", depths["series-1"]), ("2", depths["series-2"])):
        out = tmp_path / f"out_{asked}"
        said = anomae("score", made / "run", scans, "--out", out, "--series", asked)
        assert f"(--series {asked})" in said
        assert len(lines(out / "scores.csv")) == wanted + 6
    assert "number from 1, or largest" in anomae(
        "score", made / "run", scans, "--out", tmp_path / "no", "--series", "x", code=2
    )


def test_scores_of_new_scans_are_judged_by_labels_of_cases(made: Path, tmp_path: Path) -> None:
    scans = made / "scans"
    anomae("score", made / "run", scans / "healthy", scans / "abnormal", "--out", tmp_path / "out")
    found = lines(tmp_path / "out" / "scores.csv")
    labels = ["Case;Patient;Slice;Label;Split"]
    for line in found:
        name = Path(line["file"]).name.removesuffix(".nii.gz")
        label = "abnormal" if "abnormal" in line["file"] else "Normal"
        labels.append(f"{name};person {name};{line['slice']};{label};TEST")
    (tmp_path / "labels.csv").write_text("\n".join(labels))
    words = ("evaluate", "--scores", tmp_path / "out" / "scores.csv", "--labels", tmp_path / "labels.csv")
    options = ("--resamples", "100", "--out", tmp_path / "report")
    said = anomae(*words, *options)
    assert "were matched by the last part of the path" in said
    assert f"Read: {len(found)} slice(s); skipped: 0; failed: 0." in said
    (tmp_path / "labels.csv").write_text("\n".join([*labels, "p99;x;0;normal;test"]))
    assert f"Read: {len(found)} slice(s); skipped: 1; " in anomae(*words, *options, "--strict", code=2)
    (tmp_path / "labels.csv").write_text("\n".join(labels).replace("TEST", "held out"))
    assert "line 2: the split 'held out' is not known" in anomae(*words, *options, code=2)

"""Through the real command line: the last line of each command, --strict, --series, and scores of new scans judged."""

import contextlib
import csv
import io
import re
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import typer

from anomae.cli import main, summaries
from anomae.files import read_json
from anomae.volumes.read import read_volume
from anomae.volumes.volume import Grid
from anomae.volumes.write import write_dicom_series, write_volume


def anomae(*words: object, code: int = 0) -> str:
    """What the command printed on both, in this process; it must leave with `code`."""
    printed, before = io.StringIO(), sys.argv
    sys.argv = ["anomae", *map(str, words)]
    try:
        with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
            main()
        left = 0
    except SystemExit as end:
        left = int(end.code or 0)
    finally:
        sys.argv = before
    assert left == code, printed.getvalue()
    return printed.getvalue()


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
    assert "Read: 10 scan(s); skipped: 2; failed: 0; the first: " in said
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
    said = anomae("score", made / "run", scans, "--out", out, "--strict")
    assert "Engine: torch\nRead: 3 scan(s); skipped: 0; failed: 0." in said
    (scans / "c.nii").write_bytes(b"x")
    said = anomae("score", made / "run", scans, "--out", out)
    assert "Read: 3 scan(s); skipped: 1; failed: 0; the first: " in said
    shutil.rmtree(out)
    assert "skipped: 1; failed: 0" in anomae("score", made / "run", scans, "--out", out, "--strict", code=2)
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


def last_line(said: str) -> str:
    return said.rstrip().splitlines()[-1]


def test_every_command_of_a_run_ends_with_what_was_done(made: Path, tmp_path: Path) -> None:
    def end(*words: object, code: int = 0) -> str:
        return last_line(anomae(*words, code=code))

    again = end("fit", made / "store", tmp_path / "run", "--detector", "pca")
    assert re.fullmatch(r"Done: pca learned from [1-9]\d* healthy slice\(s\)\.", again)
    for run in (made / "run", tmp_path / "run"):
        found = end("score", run)
        scored = len(lines(run / "findings" / "scores.csv"))
        held_out = len(lines(run / "calibration" / "scores.csv"))
        assert found == f"Done: scored {scored} slice(s) of the test split, and {held_out} for calibration."
    two = ("compare", made / "run", tmp_path / "run", "--resamples", "100", "--out", tmp_path / "compared")
    assert end(*two, "--strict") == f"Read: {scored} slice(s) of 2 run(s) or table(s); skipped: 0; failed: 0."
    table = tmp_path / "run" / "findings" / "scores.csv"
    labels = tmp_path / "labels.csv"
    labels.write_text("\n".join(table.read_text().splitlines()[:-2]))  # two slices without a label
    tables = ("compare", table, made / "run" / "findings" / "scores.csv", "--labels", labels, *two[3:])
    said = end(*tables)
    assert said.startswith(f"Read: {scored - 2} slice(s) of 2 run(s) or table(s); skipped: 4; failed: 0; the first: 2 ")
    assert "not common to all" in end(*tables, "--strict", code=2)


def test_commands_about_data_end_with_what_was_done(made: Path, tmp_path: Path) -> None:
    said = last_line(anomae("phantom", tmp_path / "new", "--layout", "folder", "--count", 4))
    files = sum(path.is_file() for path in (tmp_path / "new").rglob("*"))
    assert said == f"Done: wrote {files} file(s)."
    look = ("inspect-data", "folder", made / "scans")
    assert "Read: 1 of 11 case(s); skipped: 1; failed: 0; the first: Not read: 1 file(s), .mgz" in anomae(*look)
    assert "Read: 1 of 11 case(s)" in anomae(*look, "--strict", code=2)


@pytest.mark.parametrize("folds", [None, 2])
def test_a_reproduction_ends_with_its_runs_and_strict_makes_a_failed_one_an_error(
    folds: int | None, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The tables are left out; two runs, one of them failed."""
    monkeypatch.setattr(summaries, "_page", lambda *_: None)
    cells = [{"run": name} for name in ("pca", "pca", "ast", "slow")]
    runs = {"pca": {}, "ast": {}, "slow": {}}
    failed = {"ast": "no weights." if folds is None else {"1": "no weights."}}
    content = {"cells": cells, "runs": runs, "unfinished": ["ast", "slow"], "failed": failed}
    for module in ("page", "cross_validation_page"):
        for name in ("sentences", "tables"):
            monkeypatch.setattr(f"anomae.reproduction.{module}.{name}", lambda _: [])
    tell = summaries.reproduced if folds is None else summaries.cross_validated
    tell(content, tmp_path)
    said = capsys.readouterr().out
    assert last_line(said) == "Read: 1 of 3 run(s); skipped: 0; failed: 1; the first: ast: no weights."
    with pytest.raises(typer.Exit) as left:
        tell(content, tmp_path, strict=True)
    assert left.value.exit_code == 2
    tell({**content, "failed": {}, "unfinished": []}, tmp_path, strict=True)
    assert last_line(capsys.readouterr().out) == "Read: 3 of 3 run(s); skipped: 0; failed: 0."


def test_prepare_takes_one_series_of_a_folder(tmp_path: Path) -> None:
    scans = new_scans(tmp_path)
    shutil.move(scans / "a", tmp_path / "data" / "healthy" / "a")
    shutil.move(scans / "b.nii.gz", tmp_path / "data" / "healthy" / "b.nii.gz")

    def slices(*words: object) -> list[int]:
        store = tmp_path / f"store{len([*tmp_path.iterdir()])}"
        anomae("prepare", "folder", tmp_path / "data", store, "--set", "image_size=16", "--workers", "0", *words)
        cases = [line["case"] for line in lines(store / "index.csv")]
        return sorted(cases.count(name) for name in set(cases))

    assert slices("--series", "largest") == [6, 8]
    assert sorted([slices("--series", "1"), slices("--series", "2")]) == [[5, 6], [6, 8]]
    refused = ("--series", "1", "--set", "image_size=16")
    assert "--series is for the cohort folder; lgg" in anomae("prepare", "lgg", scans, tmp_path / "s", *refused, code=2)
    wrong = ("prepare", "folder", tmp_path / "data", tmp_path / "s", "--series", "all")
    assert "give a number from 1, or largest" in anomae(*wrong, code=2)
    beyond = ("prepare", "folder", tmp_path / "data", tmp_path / "s", "--series", "7", "--workers", "0")
    assert "series" in anomae(*beyond, code=2)  # one scan alone is left, which is too few


def test_of_mri_of_heads_the_preparation_of_brains_is_recommended_once(tmp_path: Path) -> None:
    """And nothing is switched; who names a preparation or a content is not told."""
    for name in ("healthy/a", "healthy/b", "healthy/c", "healthy/d", "abnormal/e"):
        voxels = np.random.default_rng(len(name)).integers(0, 900, (3, 16, 16)).astype(np.int16)
        write_dicom_series(
            tmp_path / "scans" / name, voxels, Grid((3, 16, 16)), modality="MR", patient=name[-1], body_part="HEAD"
        )
    words = ("prepare", "folder", tmp_path / "scans")
    usual = ("--set", "image_size=16", "--workers", "0")
    told = anomae(*words, tmp_path / "store", *usual)
    assert told.count("--set content=brain-mri") == 1
    assert read_json(tmp_path / "store" / "prepare.json")["settings"]["preparation"] == "plain"
    for number, setting in enumerate(("preparation=plain", "content=other")):
        assert "brain-mri" not in anomae(*words, tmp_path / str(number), *usual, "--set", setting)


def test_columns_of_any_name_are_printed_as_they_are(tmp_path: Path) -> None:
    lines = [f"c{at},p{at},{at % 7},{at % 5}" for at in range(40)]
    (tmp_path / "s.csv").write_text("\n".join(["case,patient,score,score_x[/v2][red]", *lines]))
    (tmp_path / "l.csv").write_text("\n".join(["case,label", *(f"c{at},{at % 2}" for at in range(40))]))
    words = ("--scores", tmp_path / "s.csv", "--labels", tmp_path / "l.csv", "--out", tmp_path / "out")
    assert "x[/v2][red]" in anomae("evaluate", *words, "--resamples", "100")

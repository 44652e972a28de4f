"""The pages that `score` writes: one file for one scan, a table for several, nothing where none are wanted."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from anomae.cli.commands import app
from anomae.files import read_json
from anomae.phantoms.layouts import write_phantom_data_set
from anomae.seeds import generator
from anomae.slices.settings import PrepareSettings
from anomae.stages.fit import fit
from anomae.stages.prepare import prepare
from anomae.stages.score_scans import score_scans
from anomae.volumes.volume import Grid
from anomae.volumes.write import write_volume


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pages")
    write_phantom_data_set(folder / "scans", "folder", count=8, seed=2, shape=(9, 36, 32), file_format="nii.gz")
    prepare("folder", folder / "scans", folder / "store", workers=0)
    fit(folder / "store", folder / "run", detector="mean-image", recipe="phantom")
    return folder


def scans(run: Path) -> list[Path]:
    return sorted((run / "scans" / "healthy").rglob("*.nii.gz"))


def files(out: Path) -> set[str]:
    names = {path.relative_to(out).as_posix() for path in out.rglob("*")}
    return {name for name in names if name.endswith((".html", ".jpg"))}


def test_one_scan_then_a_second(run: Path, tmp_path: Path) -> None:
    out, (first, second) = tmp_path / "out", scans(run)[:2]
    score_scans(run / "run", [first], out, overlays=1)
    assert files(out) == {"study.html"}
    assert read_json(out / "scoring.json")["page"] == "study.html"
    text = (out / "study.html").read_text(encoding="utf-8")
    assert str(first) not in text
    assert "No flag" in text  # so few healthy patients allow no bound
    score_scans(run / "run", [second], out, overlays=1)
    # The first was not named this time: its page, that of a single scan, moves beside the other's all the same.
    assert "study.html" not in files(out)
    assert sum(name.endswith("/study.html") for name in files(out)) == 2
    assert (out / "index.html").read_text(encoding="utf-8").count("studies/") == 4
    before = score_scans(run / "run", [first, second], out, overlays=1)
    pages = files(before)
    assert "index.html" in pages
    assert sum(name.endswith("/study.html") for name in pages) == 2
    assert sum(name.endswith("/thumbnail.jpg") for name in pages) == 2


@pytest.fixture(scope="module")
def heads(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Scans without a skull, their brain masks, and a run on them that looks for these."""
    folder = tmp_path_factory.mktemp("heads")
    for number in range(5):
        voxels, brain = np.zeros((6, 16, 16), np.int16), np.zeros((6, 16, 16), np.uint8)
        voxels[:, 2:14, 2:14] = generator(number, "scan").integers(100, 900, (6, 12, 12))
        brain[:, 2:13, 2:14] = 1
        (folder / "scans" / "healthy").mkdir(parents=True, exist_ok=True)
        for name, content in ((f"h{number}.nii", voxels), (f"h{number}_brain.nii", brain)):
            write_volume(folder / "scans" / "healthy" / name, content, Grid(voxels.shape))
    asked = PrepareSettings(image_size=16, preparation="brain")
    prepare("folder", folder / "scans", folder / "store", settings=asked, workers=0)
    fit(folder / "store", folder / "run", detector="mean-image")
    return folder


@pytest.mark.parametrize("change", [None, "scan", "brain"])
def test_the_page_of_a_link_with_a_brain_mask_beside_it_is_kept(
    change: str | None, heads: Path, tmp_path: Path, watched: None, capsys: pytest.CaptureFixture[str]
) -> None:
    work, out = tmp_path / "work", tmp_path / "out"
    work.mkdir()
    for number in range(2):
        (work / f"h{number}.nii").symlink_to(heads / f"scans/healthy/h{number}.nii")
        shutil.copy(heads / f"scans/healthy/h{number + 2}_brain.nii", work / f"h{number}_brain.nii")
    if change == "scan":
        (tmp_path / "pool").mkdir()
        (work / "h0.nii").unlink()
        (work / "h0.nii").symlink_to(shutil.copy(heads / "scans/healthy/h0.nii", tmp_path / "pool"))
    score_scans(heads / "run", [work / "h0.nii"], out)
    if change is not None:
        os.utime(work / {"scan": "h0.nii", "brain": "h0_brain.nii"}[change])
    score_scans(heads / "run", [work / "h1.nii"], out)
    assert sum(name.endswith("/study.html") for name in files(out)) == (2 if change is None else 1)
    told = f"Files of {work / 'h0.nii'} have changed since it was scored"
    assert (told in capsys.readouterr().err) == (change is not None)


@pytest.mark.parametrize("version", ["this", "earlier"])
def test_a_link_named_from_another_folder_is_found_and_one_that_is_gone_is_not_called_changed(
    version: str,
    heads: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    watched: None,
    capsys: pytest.CaptureFixture[str],
) -> None:
    work, out = tmp_path / "work", tmp_path / "out"
    work.mkdir()
    (work / "h0.nii").symlink_to(heads / "scans/healthy/h0.nii")
    shutil.copy(heads / "scans/healthy/h2_brain.nii", work / "h0_brain.nii")
    other = heads / "scans/healthy/h1.nii"
    monkeypatch.chdir(work)
    score_scans(heads / "run", ["h0.nii"], out)
    if version == "earlier":
        journal = out / "journal.jsonl"
        journal.write_text(journal.read_text().replace(f', "named": "{work / "h0.nii"}"', ""))
        assert '"named"' not in journal.read_text()
    gone = shutil.copytree(out, tmp_path / "gone")
    monkeypatch.chdir(tmp_path)
    score_scans(heads / "run", [other], out)
    assert sum(name.endswith("/study.html") for name in files(out)) == (2 if version == "this" else 1)
    (work / "h0.nii").unlink()
    score_scans(heads / "run", [other], gone)
    assert sum(name.endswith("/study.html") for name in files(gone)) == 1
    said = capsys.readouterr().err
    assert "have changed" not in said
    named = {"this": [work / "h0.nii"], "earlier": ["h0.nii", "h0.nii"]}[version]
    lost = [line.partition(" could not be found as it was named, so it has no page")[0] for line in said.splitlines()]
    assert [line for line in lost if line in map(str, named)] == [*map(str, named)]


def test_what_is_there_is_not_made_again(run: Path, tmp_path: Path) -> None:
    out = score_scans(run / "run", scans(run)[:2], tmp_path / "out", overlays=1)
    pages = sorted(out.rglob("study.html"))
    stamps = [page.stat().st_mtime_ns for page in pages]
    score_scans(run / "run", scans(run)[:2], out, overlays=1)
    assert [page.stat().st_mtime_ns for page in pages] == stamps
    pages[0].unlink()
    score_scans(run / "run", scans(run)[:2], out, overlays=1)
    assert pages[0].exists()
    assert pages[1].stat().st_mtime_ns == stamps[1]
    score_scans(run / "run", scans(run)[:2], out, overlays=1, threshold=1e-9)
    assert all("given by hand" in page.read_text(encoding="utf-8") for page in pages)
    assert np.all([page.stat().st_mtime_ns for page in pages] != np.array(stamps))


def test_the_command_says_where_they_are(run: Path, tmp_path: Path) -> None:
    told = CliRunner().invoke(
        app, ["score", str(run / "run"), str(scans(run)[0]), "--out", str(tmp_path / "out"), "--overlays", "0"]
    )
    assert told.exit_code == 0, told.output
    assert f"Page: {tmp_path / 'out' / 'study.html'}" in told.output
    named = CliRunner().invoke(
        app, ["score", str(run / "run"), *map(str, scans(run)[:2]), "--out", str(tmp_path / "two"), "--identify"]
    )
    assert f"Pages: {tmp_path / 'two' / 'index.html'}" in named.output
    names = {page.parent.name for page in (tmp_path / "two").rglob("study.html")}
    assert len(names) == 2
    assert "scan" in names  # the name of the file, which is asked for
    quiet = CliRunner().invoke(
        app, ["score", str(run / "run"), str(scans(run)[0]), "--out", str(tmp_path / "none"), "--no-pages"]
    )
    assert quiet.exit_code == 0, quiet.output
    assert files(tmp_path / "none") == set()
    assert "Page" not in quiet.output

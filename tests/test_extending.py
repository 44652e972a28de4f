"""docs/extending.md is run: a detector and a reader in packages of their own, through the real command line."""

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from anomae.phantoms.head import make_head

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(?:python|toml) title=(\S+)\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
MODULES = dict(block for block in BLOCKS if block[0].endswith(".py"))
PROJECTS = [tomllib.loads(text) for name, text in BLOCKS if name == "pyproject.toml"]


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as pip leaves it: the page's modules, and a .dist-info for each of its projects."""
    site = tmp_path_factory.mktemp("site")
    for name, code in MODULES.items():
        (site / name).write_text(code, encoding="utf-8")
    for number, content in enumerate(PROJECTS):
        info = site / f"stranger{number}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: stranger{number}\nVersion: 1.0\n")
        groups = content["project"]["entry-points"]
        lines = [f"[{group}]\n" + "\n".join(f"{k} = {v}" for k, v in names.items()) for group, names in groups.items()]
        (info / "entry_points.txt").write_text("\n".join(lines) + "\n")
    return site


def run(packages: Path, *command: str, expected: int = 0) -> str:
    """What the command prints; PACKAGES beside whatever is on the path already."""
    path = os.pathsep.join(filter(None, [str(packages), os.environ.get("PYTHONPATH", "")]))
    environment = os.environ | {"PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
    finished = subprocess.run(
        [sys.executable, *command], env=environment, capture_output=True, encoding="utf-8", timeout=300
    )
    assert finished.returncode == expected, f"{command}: {finished.stdout[-1000:]}\n{finished.stderr[-3000:]}"
    return finished.stdout + finished.stderr


@pytest.fixture(scope="module")
def store(packages: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("prepared") / "store"
    command = ("-m", "anomae", "prepare", "phantom", "heads:8", str(folder), "--workers", "0", "--seed", "1")
    run(packages, *command, "--set", "image_size=32", "--set", "size=10x40x40")
    return folder


def test_the_page_has_all_three() -> None:
    assert MODULES.keys() == {"spots.py", "test_spots.py", "vox.py", "test_vox.py", "youden.py"}
    groups = [group for project in PROJECTS for group in project["project"]["entry-points"]]
    assert groups == ["anomae.detectors", "anomae.readers"]
    assert "anomae" not in MODULES["spots.py"]  # nothing of ours is imported


@pytest.mark.parametrize("asked", ["spots", "spots:SpotDetector"])
def test_a_strangers_detector_is_fitted_scored_and_reported(
    asked: str, packages: Path, store: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    fit = ("-m", "anomae", "fit", str(store), str(out), "--detector", asked)
    run(packages, *fit, "--set", "share=0.05")
    facts = json.loads((out / "run.json").read_text())
    assert (facts["detector"], facts["asked"], facts["settings"]) == ("spots", asked, {"share": 0.05})
    assert json.loads((out / "fitted" / "fitted.json").read_text())["asked"] == asked
    run(packages, "-m", "anomae", "score", str(out))
    if ":" not in asked:
        return  # from here on both are the same
    run(packages, "-m", "anomae", "evaluate", str(out), "--resamples", "100")
    report = json.loads((out / "report" / "report.json").read_text())
    assert report["slice"]["auroc"]["value"] > 0.6
    assert "standard deviations of healthy images" in (out / "report" / "report.html").read_text(encoding="utf-8")
    scan = tmp_path / "scan.nii.gz"
    sitk.WriteImage(sitk.GetImageFromArray(make_head(3, shape=(10, 40, 40)).voxels.astype(np.float32)), str(scan))
    run(packages, "-m", "anomae", "score", str(out), str(scan), "--out", str(tmp_path / "new"))
    assert (tmp_path / "new" / "scores.csv").read_text().count("\n") > 5
    assert list((tmp_path / "new").rglob("maps/*.nii.gz"))
    # the fitted folder says which module it needs
    sentence = run(Path(), "-m", "anomae", "score", str(out), str(scan), "--out", str(tmp_path / "no"), expected=2)
    assert "spots" in sentence


def test_a_mistyped_setting_of_a_stranger_is_said(packages: Path, store: Path, tmp_path: Path) -> None:
    fit = ("-m", "anomae", "fit", str(store), str(tmp_path / "run"), "--detector", "spots")
    assert "Did you mean share?" in run(packages, *fit, "--set", "shar=0.05", expected=2)
    assert "share" in run(packages, *fit, "--set", "share=7", expected=2)
    assert not (tmp_path / "run").exists()


def test_a_strangers_detector_is_listed_with_its_settings(packages: Path) -> None:
    listed = run(packages, "-m", "anomae", "detectors")
    assert re.search(r"^spots +The score is the mean deviation", listed, re.MULTILINE)
    assert "share=0.02" in run(packages, "-m", "anomae", "recipes", "small", "--detector", "spots")


@pytest.mark.parametrize("name", ["test_spots.py", "test_vox.py"])
def test_it_passes_the_suite(name: str, packages: Path) -> None:
    run(packages, "-W", "error", str(packages / name))


def test_a_strangers_scan_is_found_and_described(packages: Path, tmp_path: Path) -> None:
    (tmp_path / "scan.vox").write_bytes(b"2 3 4\n" + np.arange(24, dtype="<i2").tobytes())
    code = f"from anomae.volumes.read import *; [s] = find_scans(Path({str(tmp_path)!r})); print(read_volume(s).kind)"
    assert run(packages, "-c", f"from pathlib import Path; {code}").strip() == "vox"


def test_the_metric_is_what_it_says(packages: Path) -> None:
    code = """
import numpy as np
from youden import YOUDEN
from anomae.statistics.metrics import Ranked
ranked = Ranked([0, 0, 1, 1], [0.1, 0.6, 0.4, 0.9])
print(YOUDEN.title, YOUDEN.function(*ranked.counts()))
print(YOUDEN.function(*ranked.counts(np.array([[1.0, 1.0, 0.0, 0.0]]))))
"""
    assert run(packages, "-c", code).split("\n")[:2] == ["Youden's J [0.5]", "[nan]"]

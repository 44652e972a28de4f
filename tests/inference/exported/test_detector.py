"""An exported model scores a new scan where there is no torch at all."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from anomae.export.export import export
from anomae.files import read_json
from anomae.phantoms.layouts import write_phantom_data_set
from anomae.slices.settings import PrepareSettings
from anomae.stages.fit import fit
from anomae.stages.prepare import prepare
from anomae.stages.score_scans import score_scans
from anomae.training.settings import DeviceSettings

ROOT = Path(__file__).resolve().parents[3]
# Refuses torch and all that would bring it, as an environment without it does.
WITHOUT_TORCH = """
import sys
class Refused:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "lightning_fabric", "safetensors", "onnx", "onnxscript"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Refused())
from anomae.cli import main
sys.argv = ["anomae", *sys.argv[1:]]
main()
"""


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    """A run, the same exported, and a new scan."""
    pytest.importorskip("onnxruntime", reason="needs the extra onnx")
    pytest.importorskip("onnxscript", reason="needs the extra onnx")
    tmp_path = tmp_path_factory.mktemp("exported")
    small = PrepareSettings(image_size=(32, 32))
    store = prepare("phantom", "heads:6", tmp_path / "store", workers=0, settings=small, options={"size": "12x40x40"})
    overrides = {"sources": "pixels,mirror", "sizes": "32", "heads": 1, "pool": 64, "device.accelerator": "cpu"}
    overrides |= {"head.training.steps": 8, "head.training.batch": 16, "device.precision": "fp32"}
    run = tmp_path / "run"
    fit(store.folder, run, detector="anomae", recipe="phantom", overrides=overrides)
    exported = export(run, tmp_path / "exported", to="onnx")
    write_phantom_data_set(tmp_path / "scans", "folder", count=2, seed=3, file_format="nii.gz", shape=(12, 40, 40))
    return run, exported, next((tmp_path / "scans").rglob("scan.nii.gz"))


def test_a_new_scan_is_scored_without_torch(fitted: tuple[Path, Path, Path], tmp_path: Path) -> None:
    run, exported, scan = fitted
    bare = subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH, "score", str(exported), str(scan), "--out", str(tmp_path / "bare")],
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert bare.returncode == 0, bare.stderr
    assert "Engine: onnxruntime" in bare.stdout
    facts = read_json(tmp_path / "bare" / "scoring.json")
    assert facts["engine"].startswith("onnxruntime ")
    fp32 = DeviceSettings(accelerator="cpu", precision="fp32")
    by_torch = score_scans(run, [scan], tmp_path / "torch", device=fp32)
    scores = [
        np.genfromtxt(folder / "scores.csv", delimiter=",", names=True, dtype=None, encoding="utf-8")["score"]
        for folder in (tmp_path / "bare", by_torch)
    ]
    np.testing.assert_allclose(scores[0], scores[1], atol=1e-5)
    assert read_json(by_torch / "scoring.json")["engine"] == "torch"


def test_an_environment_that_has_no_torch_gives_torch_s_scores(fitted: tuple[Path, Path, Path]) -> None:
    """By the program benchmarks/bare.py, with the packages that the model card names, linked from this environment."""
    pytest.importorskip("packaging", reason="which packages they need in turn is read by `packaging`")
    run, exported, scan = fitted
    command = [sys.executable, str(ROOT / "benchmarks" / "bare.py"), "--link", str(exported), str(run), str(scan)]
    path = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "torch is there: False" in done.stdout
    assert "environment linked" in done.stdout

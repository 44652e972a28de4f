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

SOURCE = Path(__file__).resolve().parents[3] / "src"
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


def test_a_new_scan_is_scored_without_torch(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime", reason="needs the extra onnx")
    pytest.importorskip("onnxscript", reason="needs the extra onnx")
    small = PrepareSettings(image_size=(32, 32))
    store = prepare("phantom", "heads:6", tmp_path / "store", workers=0, settings=small, options={"size": "12x40x40"})
    overrides = {"sources": "pixels,mirror", "sizes": "32", "heads": 1, "pool": 64, "device.accelerator": "cpu"}
    overrides |= {"head.training.steps": 8, "head.training.batch": 16, "device.precision": "fp32"}
    run = tmp_path / "run"
    fit(store.folder, run, detector="anomae", recipe="phantom", overrides=overrides)
    exported = export(run, tmp_path / "exported", to="onnx")
    write_phantom_data_set(tmp_path / "scans", "folder", count=2, seed=3, file_format="nii.gz", shape=(12, 40, 40))
    scan = next((tmp_path / "scans").rglob("*.nii.gz"))
    bare = subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH, "score", str(exported), str(scan), "--out", str(tmp_path / "bare")],
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert bare.returncode == 0, bare.stderr
    assert "Engine: onnxruntime" in bare.stdout.splitlines()[-1]
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

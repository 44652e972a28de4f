"""The small made-up store of the stages' tests, a run on it, and models exported from that."""

import pickle
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from anomae.export import parity, writing
from anomae.export.export import export
from anomae.export.traceable import TraceableNetwork
from anomae.slices.settings import PrepareSettings
from anomae.slices.store import SliceStore
from anomae.stages.fit import fit
from anomae.stages.prepare import prepare

SHORT = {
    "autoencoder.training.steps": 8,
    "classifier.training.steps": 8,
    "autoencoder.patch": 8,
    "classifier.patch": 8,
    "device.accelerator": "cpu",
    "device.precision": "fp32",
}


@pytest.fixture(scope="session", autouse=True)
def traced_once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The same network, to the byte, is traced by torch once, which takes several seconds."""
    folder, trace = tmp_path_factory.mktemp("traced"), writing._write_onnx
    traced: dict[bytes, Path] = {}

    def write(network: TraceableNetwork, path: Path) -> None:
        key = pickle.dumps((network.module, network.inputs, network.outputs))
        if key not in traced:
            trace(network, path)
            traced[key] = folder / f"{len(traced)}.onnx"
            shutil.copyfile(path, traced[key])
        else:
            shutil.copyfile(traced[key], path)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(writing, "_write_onnx", write)
        yield


@pytest.fixture(scope="session")
def heads(tmp_path_factory: pytest.TempPathFactory) -> SliceStore:
    """Twelve made-up heads of 12 slices, 32 x 32 pixels."""
    return prepare(
        "phantom",
        "heads:12",
        tmp_path_factory.mktemp("heads") / "store",
        workers=0,
        seed=1,
        settings=PrepareSettings(image_size=(32, 32)),
        options={"size": "12x40x40"},
    )


@pytest.fixture(scope="session")
def run(heads: SliceStore, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("exported") / "run"
    fit(heads.folder, folder, detector="mae-classifier", recipe="phantom", overrides=SHORT)
    (folder / "fitted" / "threshold.json").write_text('{"slice": 0.5}')
    (folder / "calibration").mkdir(exist_ok=True)
    (folder / "calibration" / "scores.csv").write_text(
        "row,case,patient,slice,sop_instance_uid,score\n0,a/Jane.nii,Jane,0,1.2.3,0.1\n1,b/Joan.nii,Joan,0,1.2.4,0.2\n"
    )
    return folder


@pytest.fixture(scope="session")
def onnx(run: Path) -> Path:
    pytest.importorskip("onnxruntime", reason="needs the extra onnx")
    return export(run, run / "exported" / "onnx-fp32", to="onnx")


@pytest.fixture(scope="session")
def int8(run: Path) -> Path:
    """Exported in int8 with the gate open, since this network has learned nothing."""
    pytest.importorskip("onnxruntime", reason="needs the extra onnx")
    with pytest.MonkeyPatch.context() as patch:
        open_gate(patch)
        return export(run, run / "int8", to="onnx", precision="int8")


def open_gate(monkeypatch: pytest.MonkeyPatch) -> None:
    """All that is in int8 passes."""
    monkeypatch.setattr(parity, "LOWEST_RANKS", {"int8": -1.0})
    monkeypatch.setattr(parity, "LARGEST_AUROC_LOSS", {"int8": 1.0})
    monkeypatch.setattr(parity, "LARGEST_SHARE_DIFFERENCE", {"int8": 1.0})

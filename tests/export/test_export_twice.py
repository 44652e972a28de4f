"""Two processes that export one run at once: the slower takes the model that is there now, or says that it is."""

import shutil
from pathlib import Path

import pytest

from anomae.errors import UserError
from anomae.export import export as exporting
from anomae.export.choice import engine_for
from anomae.export.export import export
from anomae.inference.exported import load_exported
from anomae.slices.store import SliceStore
from anomae.stages.fit import fit
from anomae.training.settings import DeviceSettings

FP32 = DeviceSettings(accelerator="cpu", precision="fp32")
pytest.importorskip("onnxscript", reason="needs the extra onnx")
pytest.importorskip("onnxruntime", reason="needs the extra onnx")


@pytest.fixture(scope="module")
def run(heads: SliceStore, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("twice") / "run"
    fit(heads.folder, folder, detector="mean-image")
    return folder


@pytest.fixture(scope="module")
def model(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export(run, tmp_path_factory.mktemp("exported") / "model", to="onnx")


def overtaken(monkeypatch: pytest.MonkeyPatch, model: Path, target: Path, when: str) -> None:
    """Another process puts its model at `target` when `when` is called."""
    true = getattr(exporting, when)

    def later(*given: object) -> object:
        shutil.copytree(model, target)
        return true(*given)

    monkeypatch.setattr(exporting, when, later)


@pytest.mark.parametrize("when", ["fitted_folder", "write_checksums"])
def test_the_slower_of_two_scorings_takes_the_model_that_is_there(
    run: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    shutil.copytree(run, tmp_path / "run", ignore=shutil.ignore_patterns("exported"))
    kept = tmp_path / "run" / "exported" / "onnx-fp32"
    overtaken(monkeypatch, model, kept, when)
    assert engine_for(tmp_path / "run", "onnxruntime", FP32) is not None
    assert [path.name for path in kept.parent.iterdir()] == [kept.name]


def test_the_slower_of_two_exports_into_one_folder_says_so_and_leaves_it_alone(
    run: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    overtaken(monkeypatch, model, tmp_path / "out", "write_checksums")
    with pytest.raises(UserError, match="is there already"):
        export(run, tmp_path / "out", to="onnx")
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    load_exported(tmp_path / "out")


def test_an_empty_folder_is_taken(run: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    load_exported(export(run, tmp_path / "out", to="onnx"))

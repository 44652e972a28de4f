"""A run exported for both engines: what lies in the folder, the gate at every batch size, and what it refuses."""

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from anomae.errors import MissingExtra, UserError
from anomae.export import export as exporting
from anomae.export import held_back, parity
from anomae.export.choice import engine_for
from anomae.export.export import export, model_of, write_compared
from anomae.export.parity import BATCHES, NoParity
from anomae.files import read_json, write_json
from anomae.inference.exported import load_exported
from anomae.inference.fitted import load_fitted
from anomae.progress import Console, reporting
from anomae.slices.store import SliceStore
from anomae.stages.score import score
from anomae.training.settings import DeviceSettings

FP32 = DeviceSettings(accelerator="cpu", precision="fp32")
pytest.importorskip("onnxscript", reason="needs the extra onnx")


def test_the_folder_holds_all_that_scoring_needs_and_names_nobody(onnx: Path, run: Path) -> None:
    names = {path.relative_to(onnx).as_posix() for path in onnx.rglob("*") if path.is_file()}
    wanted = {"classify.onnx", "reconstruct.onnx", "prepare.json", "fitted.json", "settings.json", "threshold.json"}
    assert wanted | {"card.json", "MODEL_CARD.md", "checksums.json", "calibration/scores.csv"} <= names
    assert not {name for name in names if Path(name).suffix in (".pt", ".pth", ".pkl", ".bin", ".safetensors")}
    text = "".join(path.read_text() for path in onnx.rglob("*") if path.suffix in (".json", ".md", ".csv"))
    assert not {"Jane", "Joan", "1.2.3"} & set(text.replace(",", " ").replace("/", " ").split())
    assert (onnx / "calibration" / "scores.csv").read_text().splitlines()[1] == "0,case-1,patient-1,0,0.1"
    card = read_json(onnx / "card.json")
    assert set(card["parity"]["fp32"]["largest_difference_by_batch"]) == {str(batch) for batch in BATCHES}
    assert "validation split" in card["parity"]["source"]
    assert card["model"] == model_of(run / "fitted")


def test_int8_is_kept_where_it_ranks_as_torch_does_and_says_how(
    run: Path, heads: SliceStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("onnxruntime", reason="needs the extra onnx")
    import onnx

    monkeypatch.setattr(parity, "LOWEST_RANKS", {"int8": -1.0})  # this network has learned nothing that ranks
    monkeypatch.setattr(parity, "LARGEST_AUROC_LOSS", {"int8": 1.0})
    monkeypatch.setattr(parity, "LARGEST_SHARE_DIFFERENCE", {"int8": 1.0})
    written = export(run, tmp_path / "out", to="onnx", precision="int8")
    kinds = {node.op_type for node in onnx.load(written / "classify.onnx").graph.node}
    assert {"QuantizeLinear", "DequantizeLinear"} <= kinds
    card = read_json(written / "card.json")
    assert card["precision"] == "int8"
    assert "train split" in card["quantised_on"]
    assert {"rank_correlation", "pretext_auroc", "wanted_rank_correlation"} <= card["parity"]["int8"].keys()
    page = (written / "MODEL_CARD.md").read_text()
    assert "In int8: classify, reconstruct, its ranges taken from" in page
    assert "slices with pseudo-lesions whose score is above 95 % of normal slices" in page
    images = heads.select(heads.rows("test")).read(slice(0, 16))
    exact = load_fitted(run / "fitted", FP32).inspect(images).scores
    found = load_exported(written).inspect(images).scores
    assert 0 < np.abs(found - exact).max() < 0.2
    monkeypatch.undo()
    monkeypatch.setattr(parity, "LARGEST_AUROC_LOSS", {"int8": 1.0})
    monkeypatch.setattr(parity, "LOWEST_RANKS", {"int8": 1.1})
    with pytest.raises(NoParity, match="rank slices otherwise"):
        export(run, tmp_path / "refused", to="onnx", precision="int8")
    assert not (tmp_path / "refused").exists()


def test_int8_needs_what_quantises(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("openvino", reason="needs the extra openvino")
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(MissingExtra, match=r"'onnxruntime': pip install 'anomae\[onnx\]'"):
        export(run, tmp_path / "out", to="openvino", precision="int8")


def test_it_says_what_torch_says_in_any_company(onnx: Path, run: Path, heads: SliceStore) -> None:
    images = heads.select(heads.rows("test")).read(slice(0, 21))
    wanted, exported = load_fitted(run / "fitted", FP32).inspect(images), load_exported(onnx)
    found = exported.inspect(images)
    assert wanted.maps is not None
    assert found.maps is not None
    np.testing.assert_allclose(found.scores, wanted.scores, atol=1e-5)
    np.testing.assert_allclose(found.maps, wanted.maps, atol=1e-5)
    assert found.other_scores.keys() == wanted.other_scores.keys()
    alone = np.concatenate([exported.inspect(images[at : at + 1]).scores for at in range(len(images))])
    assert np.array_equal(alone, found.scores)
    assert np.array_equal(load_exported(onnx, threads=2).inspect(images).scores, found.scores)


def test_saved_elsewhere_it_says_the_same_and_a_changed_file_is_refused(
    onnx: Path, heads: SliceStore, tmp_path: Path
) -> None:
    images = heads.select(heads.rows("test")).read(slice(0, 3))
    load_exported(onnx).save(tmp_path)
    assert np.array_equal(load_exported(tmp_path).inspect(images).scores, load_exported(onnx).inspect(images).scores)
    path = tmp_path / "classify.onnx"
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(UserError, match="checksum differs"):
        load_exported(tmp_path)
    path.unlink()
    with pytest.raises(UserError, match=r"classify\.onnx is missing"):
        load_exported(tmp_path)
    (tmp_path / "checksums.json").unlink()
    with pytest.raises(UserError, match="no whole exported model"):
        load_exported(tmp_path)


def test_a_store_is_scored_with_the_engine_which_is_named(onnx: Path, run: Path) -> None:
    by_torch = np.genfromtxt(score(run, device=FP32) / "scores.csv", delimiter=",", names=True, dtype=None)
    assert read_json(run / "findings" / "findings.json")["engine"] == "torch"
    load = engine_for(run, "onnxruntime", None, pretext=True)
    assert load is not None
    found = np.genfromtxt(score(run, load=load) / "scores.csv", delimiter=",", names=True, dtype=None)
    np.testing.assert_allclose(found["score"], by_torch["score"], atol=1e-5)
    for folder in (run / "findings", run / "calibration"):
        assert read_json(folder / "findings.json")["engine"].startswith("onnxruntime ")
    assert (run / "calibration" / "pretext.csv").exists()


def test_the_engine_is_chosen_by_what_was_measured(onnx: Path, run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def chosen(by_torch: float, exported: float, device: DeviceSettings = FP32, **more: float) -> Any:
        measured = {"torch fp32": by_torch, "exported": exported, **{f"torch {name}": more[name] for name in more}}
        changed = read_json(onnx / "card.json") | {"slices_per_s": measured}
        monkeypatch.setattr("anomae.export.choice.read_json", lambda path: changed)
        return engine_for(run, "auto", device)

    assert chosen(10.0, 9.0) is None
    assert chosen(10.0, 11.0) is not None
    assert chosen(10.0, 11.0, bf16=12.0) is not None  # fp32 is asked for
    as_it_is = DeviceSettings(accelerator="cpu")
    for native in (False, True):  # torch scores in bf16 by itself where the processor is faster in it
        monkeypatch.setattr("anomae.training.devices.bf16_is_faster", lambda native=native: native)
        assert (chosen(10.0, 11.0, as_it_is, bf16=12.0) is None) == native
        assert chosen(10.0, 11.0, as_it_is) is not None
    before = read_json(onnx / "card.json") | {"slices_per_cpu_s": {"torch": 10.0, "exported": 11.0}}
    del before["slices_per_s"]
    monkeypatch.setattr("anomae.export.choice.read_json", lambda path: before)
    assert engine_for(run, "auto", FP32) is not None
    assert engine_for(run, "torch", None) is None
    monkeypatch.undo()
    assert engine_for(onnx, "auto", None) is None  # the loader knows an exported model
    with pytest.raises(UserError, match="was exported for onnxruntime"):
        engine_for(onnx, "openvino", None)
    with pytest.raises(UserError, match="knows no store"):
        engine_for(onnx, "auto", None, pretext=True)
    with pytest.raises(UserError, match="no engine 'openvin'"):
        engine_for(run, "openvin", None)


@pytest.mark.parametrize("broken", ["card.json", "format", "checksums.json"])
def test_a_model_that_is_not_whole_or_older_stops_no_scoring(
    onnx: Path,
    run: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    broken: str,
) -> None:
    shutil.copytree(run, tmp_path / "run", ignore=shutil.ignore_patterns("exported"))
    folder = tmp_path / "run" / "exported" / "onnx-fp32"
    shutil.copytree(onnx, folder)
    if broken == "format":
        write_json(folder / "card.json", {**read_json(folder / "card.json"), "format": "anomae export 1"})
    else:
        (folder / broken).unlink()
    given: list[Path] = []
    monkeypatch.setattr("anomae.export.export.export", lambda run, out, **_: given.append(out) or onnx)
    with reporting(Console()):
        assert engine_for(tmp_path / "run", "auto", FP32) is None
        assert engine_for(tmp_path / "run", "onnxruntime", FP32) is not None
    assert given == [folder.with_name("onnx-fp32-2")]
    assert (f"{folder} is not whole" in capsys.readouterr().err) == (broken != "checksums.json")


def test_checksums_that_are_none_are_told(onnx: Path, tmp_path: Path) -> None:
    shutil.copytree(onnx, tmp_path / "copy")
    (tmp_path / "copy" / "checksums.json").write_text("{}")
    with pytest.raises(UserError, match=r"checksums\.json holds no checksums; export the model again"):
        load_exported(tmp_path / "copy")


def test_what_is_asked_amiss_is_refused(onnx: Path, run: Path, tmp_path: Path) -> None:
    for out, to, precision, said in (
        (onnx, "onnx", "fp32", "is there already"),
        (tmp_path / "out", "tflite", "fp32", "onnx or openvino"),
        (tmp_path / "out", "onnx", "bf16", "no --precision bf16 for onnx"),
    ):
        with pytest.raises(UserError, match=said):
            export(run, out, to=to, precision=precision)
    with pytest.raises(UserError, match="exported model already"):
        export(onnx, tmp_path / "out", to="onnx")
    assert not list(tmp_path.iterdir())


def frozen(path: Path, quietly: bool) -> None:
    """A network that is right for a batch of two alone, as if its batch had been frozen when it was traced."""
    from onnx import TensorProto, checker, helper, save

    image = helper.make_tensor_value_info("images", TensorProto.FLOAT, ["batch", 1, 32, 32])
    shapes = {"score": ["n"], "map": ["batch", 32, 32]}
    outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in shapes.items()]
    constants = {"cut": [2, 1024], "one": [1], "pixels": [1]}
    initial = [helper.make_tensor(name, TensorProto.INT64, [len(of)], of) for name, of in constants.items()]
    nodes = [helper.make_node("Squeeze", ["images", "one"], ["map"])]
    if quietly:  # the mean of all images counts, as two of them
        initial.append(helper.make_tensor("two", TensorProto.FLOAT, [], [2.0]))
        nodes += [
            helper.make_node("ReduceMean", ["images"], ["each"], axes=[1, 2, 3], keepdims=0),
            helper.make_node("ReduceSum", ["each"], ["sum"], keepdims=0),
            helper.make_node("Div", ["sum", "two"], ["middle"]),
            helper.make_node("ReduceMean", ["each"], ["true"], axes=[0], keepdims=0),
            helper.make_node("Sub", ["middle", "true"], ["wrong"]),
            helper.make_node("Add", ["each", "wrong"], ["score"]),
        ]
    else:
        nodes += [
            helper.make_node("Reshape", ["images", "cut"], ["flat"]),
            helper.make_node("ReduceMean", ["flat"], ["score"], axes=[1], keepdims=0),
        ]
    graph = helper.make_graph(nodes, "frozen", [image], outputs, initial)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    checker.check_model(model)
    save(model, path)


class Mean:
    """A fitted detector whose score is the mean of the image."""

    name, map_name, description = "mean", "intensity", ""

    def inspect(self, images: Any) -> Any:
        from anomae.detectors.protocol import Findings

        return Findings(images.mean(axis=(1, 2, 3), dtype=np.float64), images[:, 0])


@pytest.mark.parametrize("quietly", [False, True])
def test_a_network_whose_batch_is_frozen_is_refused(
    quietly: bool, tmp_path: Path, heads: SliceStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("onnxruntime", reason="needs the extra onnx")
    import torch

    from anomae.export.traceable import Traceable, TraceableNetwork

    def write(network: Any, traced: Path, folder: Path, name: str, to: str, precision: str) -> dict[str, Any]:
        frozen(folder / "whole.onnx", quietly)
        return {"file": "whole.onnx", "rows": 1, "computed": "fp32"}

    monkeypatch.setattr("anomae.export.writing.write_network", write)
    network = TraceableNetwork(torch.nn.Identity(), {}, ("score", "map"))
    runner = {"kind": "chain", "chain": [["whole", ["images"]]], "outputs": {"score": "score", "map": "map"}}
    facts = {"channels": 1, "image_size": (32, 32)}
    traced = Traceable({"whole": network}, runner, 2, facts=facts)
    images = heads.select(heads.rows("validation")).read(slice(None))[:40]
    slices = held_back.HeldBack(images, np.stack([images, images], axis=1), "made-up heads")
    with pytest.raises(UserError, match=r"in batches of 1|cannot be run"):
        write_compared(Mean(), traced, slices, tmp_path, "onnx", "fp32")


def test_nothing_is_left_of_what_is_refused(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*given: Any) -> None:
        (given[3] / "classify.onnx").write_bytes(b"half")
        raise NoParity("It does not say what torch says.")

    monkeypatch.setattr(exporting, "write_compared", refused)
    with pytest.raises(NoParity):
        export(run, tmp_path / "out", to="onnx")
    assert list(tmp_path.iterdir()) == []


def test_without_its_store_a_run_is_compared_on_made_up_heads(run: Path, tmp_path: Path) -> None:
    slices = held_back.held_back(run / "fitted", 3, (32, 32))
    assert slices.images.shape[1:] == (3, 32, 32)
    assert len(slices.images) >= max(BATCHES)
    assert "made-up heads" in slices.source
    assert slices.neighbours.shape == (len(slices.images), 2, 3, 32, 32)
    assert not np.array_equal(slices.neighbours[:, 0], slices.images)


def test_openvino_says_what_torch_says(run: Path, tmp_path: Path) -> None:
    pytest.importorskip("openvino", reason="needs the extra openvino")
    written = export(run, tmp_path / "out", to="openvino")
    assert {"classify.xml", "classify.bin", "reconstruct.xml"} <= {path.name for path in written.iterdir()}
    agreed = read_json(written / "card.json")["parity"]["fp32"]
    assert max(max(of.values()) for of in agreed["largest_difference_by_batch"].values()) <= 1e-5
    assert json.loads((written / "checksums.json").read_text())["sha256"].keys() >= {"card.json", "classify.bin"}
    assert load_exported(written).engine.startswith("openvino ")

"""Whose thresholds an exported model has, and which models in RUN/exported are used where nobody names one."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from anomae.errors import UserError
from anomae.export.choice import engine_for
from anomae.export.export import export
from anomae.files import read_json, write_json
from anomae.inference.decision import EXPORT_AGAIN, FIT_AGAIN
from anomae.inference.exported import load_exported
from anomae.inference.exported.folder import write_checksums
from anomae.inference.fitted import advice_for_thresholds, load_model
from anomae.progress import Console, reporting
from anomae.reports.finding_threshold import finding_rule
from anomae.runs.healthy_file import NAME, read_healthy_scores, write_healthy_scores
from anomae.runs.run import Run
from anomae.slices.store import SliceStore
from anomae.stages.fit import fit
from anomae.stages.score import score
from anomae.statistics.operating_point import slice_threshold
from anomae.training.settings import DeviceSettings

from .conftest import SHORT, open_gate

FP32 = DeviceSettings(accelerator="cpu", precision="fp32")
pytest.importorskip("onnxscript", reason="needs the extra onnx")


def test_thresholds_of_int8_are_its_own(int8: Path, run: Path, heads: SliceStore, tmp_path: Path) -> None:
    """Also where it scores for its run, whose own healthy scores stay those of torch."""
    normal = heads.select(heads.rows("validation", label=0)).read(slice(None))
    own, by_torch = read_healthy_scores(int8), read_healthy_scores(run / "fitted")
    assert own is not None
    assert by_torch is not None
    exported = load_exported(int8)
    np.testing.assert_array_equal(own.scores, exported.inspect(normal).scores)
    np.testing.assert_array_equal(own.map_tops, exported.inspect(normal).maps.max(axis=(1, 2)))
    assert own.computed_on == exported.engine
    assert not np.array_equal(own.scores, by_torch.scores)
    np.testing.assert_array_equal(own.person, by_torch.person)
    assert read_json(int8 / "card.json")["healthy_scores"] == {"of": "this model"}
    assert "what this model itself, in int8, gave to the normal" in (int8 / "MODEL_CARD.md").read_text()
    assert "case-1" in (int8 / "calibration" / "scores.csv").read_text()
    for_run = load_model(run, load=lambda *_: exported).healthy
    assert for_run is not None
    np.testing.assert_array_equal(for_run.scores, own.scores)
    copy = tmp_path / "run"
    shutil.copytree(run, copy, ignore=shutil.ignore_patterns("exported"))
    score(copy, load=lambda *_: exported)
    kept = read_healthy_scores(copy / "fitted")
    assert kept is not None
    np.testing.assert_array_equal(kept.scores, by_torch.scores)
    assert (copy / "fitted" / NAME).read_bytes() == (run / "fitted" / NAME).read_bytes()
    threshold, _ = finding_rule(Run(copy), 0.4)
    assert threshold == slice_threshold(own.map_tops, own.person.astype(np.str_), 0.4)


def test_what_int8_of_an_earlier_version_left_in_the_run_goes_and_a_fit_brings_torch_s(
    int8: Path, run: Path, heads: SliceStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy, exported = tmp_path / "run", load_exported(int8)
    shutil.copytree(run, copy, ignore=shutil.ignore_patterns("exported"))
    by_torch = read_healthy_scores(copy / "fitted")
    assert by_torch is not None
    score(copy, load=lambda *_: exported)
    write_healthy_scores(copy / "fitted", replace(by_torch, computed_on=exported.engine))
    with reporting(Console()):
        score(copy, load=lambda *_: exported)
    assert "for thresholds of torch" in " ".join(capsys.readouterr().err.split())
    assert read_healthy_scores(copy / "fitted") is None
    fit(heads.folder, copy, detector="mae-classifier", recipe="phantom", overrides=SHORT)
    kept = read_healthy_scores(copy / "fitted")
    assert kept is not None
    assert kept.computed_on == by_torch.computed_on == "cpu fp32"
    np.testing.assert_array_equal(kept.scores, by_torch.scores)


def test_an_export_that_was_made_anew_does_not_take_the_calibration_of_the_one_before(
    int8: Path, run: Path, tmp_path: Path
) -> None:
    """Both compute by the same name, such as "onnxruntime 1.32.0, int8"."""
    copy, before, made_anew = tmp_path / "run", tmp_path / "before", load_exported(int8)
    shutil.copytree(run, copy, ignore=shutil.ignore_patterns("exported"))
    shutil.copytree(int8, before)
    write_json(before / "card.json", read_json(int8 / "card.json") | {"python": "of another day"})
    write_checksums(before)
    score(copy, load=lambda *_: load_exported(before))
    file = copy / "calibration" / "map_tops.npy"
    own = np.load(file)
    np.save(file, own * 3)
    score(copy, load=lambda *_: load_exported(before))
    np.testing.assert_array_equal(np.load(file), own * 3)  # it is not done twice
    score(copy, load=lambda *_: made_anew)
    np.testing.assert_array_equal(np.load(file), own)


def test_without_the_store_int8_has_no_thresholds_and_says_why(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of torch may lie above all that it can say."""
    pytest.importorskip("onnxruntime", reason="needs the extra onnx")
    open_gate(monkeypatch)
    written = export(run / "fitted", tmp_path / "out", to="onnx", precision="int8")
    assert read_json(written / "card.json")["healthy_scores"]["of"] == "none"
    assert "since the run's store was not at hand" in (written / "MODEL_CARD.md").read_text()
    model = load_model(written)
    assert model.healthy is None
    assert any("export it again where the store of its run is at hand" in said for said in model.lacks())
    assert model.rules().scan.sentence.endswith(f"no scores of healthy people; {EXPORT_AGAIN}.")
    assert advice_for_thresholds(written) == EXPORT_AGAIN
    assert advice_for_thresholds(run / "fitted") == FIT_AGAIN


def test_one_without_thresholds_is_passed_by_where_torch_has_them(
    int8: Path, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Unless its engine is named, torch has none either, or a store is scored, whose normal slices are scored too."""
    copy = tmp_path / "run"
    shutil.copytree(run, copy, ignore=shutil.ignore_patterns("exported"))
    without = copy / "exported" / "onnx-int8"
    shutil.copytree(int8, without)
    card = read_json(int8 / "card.json") | {"slices_per_s": {"torch fp32": 1.0, "exported": 9.0}}
    write_json(without / "card.json", card)
    write_checksums(without)
    assert engine_for(copy, "auto", None) is not None
    (without / NAME).unlink()
    write_json(without / "card.json", {**card, "healthy_scores": {"of": "none", "why": "it was not at hand"}})
    write_checksums(without)
    with reporting(Console()):
        assert engine_for(copy, "auto", None) is None
    assert f"{without} is passed by: it keeps no thresholds of its own" in " ".join(capsys.readouterr().err.split())
    assert engine_for(copy, "onnxruntime", None) is not None
    assert engine_for(copy, "auto", None, pretext=True) is not None
    (copy / "fitted" / NAME).unlink()
    assert engine_for(copy, "auto", None) is not None


def test_int8_of_an_earlier_version_is_refused_and_passed_by(int8: Path, run: Path, tmp_path: Path) -> None:
    """Its thresholds are those of torch."""
    card = read_json(int8 / "card.json")
    del card["healthy_scores"]
    copy = tmp_path / "run"
    shutil.copytree(run, copy, ignore=shutil.ignore_patterns("exported"))
    older = copy / "exported" / "onnx-int8"
    shutil.copytree(int8, older)
    write_json(older / "card.json", {**card, "slices_per_s": {"torch fp32": 1.0, "exported": 9.0}})
    write_checksums(older)
    with pytest.raises(UserError, match="in int8 by an earlier version, with the thresholds of torch"):
        load_exported(older)
    assert engine_for(copy, "auto", None) is None


def test_a_damaged_model_is_named_and_passed_by_where_nobody_asked_for_its_engine(
    onnx: Path, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(run, tmp_path / "run", ignore=shutil.ignore_patterns("exported"))
    for name, speed in (("whole", 2.0), ("damaged", 9.0)):
        folder = tmp_path / "run" / "exported" / name
        shutil.copytree(onnx, folder)
        speeds = {"torch fp32": 1.0, "exported": speed}
        write_json(folder / "card.json", {**read_json(folder / "card.json"), "slices_per_s": speeds})
        write_checksums(folder)
    (folder / "classify.onnx").write_bytes(b"half")
    with reporting(Console()):
        chosen = engine_for(tmp_path / "run", "auto", FP32)
    assert chosen is not None
    assert chosen(tmp_path, None).folder == folder.with_name("whole")  # type: ignore[attr-defined]
    said = capsys.readouterr().err
    assert f"{folder} is passed by" in said
    assert "checksum differs" in " ".join(said.split())
    shutil.rmtree(folder.with_name("whole"))
    assert engine_for(tmp_path / "run", "auto", FP32) is None
    with pytest.raises(UserError, match="checksum differs"):
        engine_for(tmp_path / "run", "onnxruntime", FP32)

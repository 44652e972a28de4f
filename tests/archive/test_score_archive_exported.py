"""An archive scored with an exported model: its scores, and the rules that its flags are raised by, are its own."""

import csv
from dataclasses import replace

import pytest

from anomae.archive import worker
from anomae.archive.score_archive import score_archive
from anomae.errors import UserError
from anomae.export.export import export
from anomae.files import read_json, write_json
from anomae.inference.exported.folder import CARD, HEALTHY, write_checksums
from anomae.inference.fitted import load_model
from anomae.runs.healthy_file import read_healthy_scores, write_healthy_scores
from anomae.stages.score_scans import score_scans

from .test_score_archive import table


@pytest.fixture
def exported(run, tmp_path):
    pytest.importorskip("onnxruntime", reason="needs the extra onnx")
    return export(run, tmp_path / "exported", to="onnx")


def as_int8(folder):
    """The card of a model in int8, beside scores of healthy people that are its own."""
    write_json(folder / CARD, read_json(folder / CARD) | {"precision": "int8", HEALTHY: {"of": "itself"}})
    healthy = read_healthy_scores(folder)
    write_healthy_scores(folder, replace(healthy, scores=healthy.scores / 2, computed_on="itself"))
    write_checksums(folder)


def test_an_exported_model_gives_the_numbers_and_rules_of_the_single_process(
    exported, run, manifest, scans, here, tmp_path
):
    listed = manifest(tmp_path / "list.csv", scans[:2])
    options = {"workers": 1, "threads": 3, "maps": "none", "bounds": (0.5, 0.5), "force": True}
    tops = []
    for precision in ("fp32", "int8"):
        if precision == "int8":
            as_int8(exported)
        out = score_archive(listed, tmp_path / precision, run=exported, **options)
        score_scans(exported, scans[:2], tmp_path / f"single-{precision}", bounds=(0.5, 0.5), force=True, overlays=0)
        with (tmp_path / f"single-{precision}" / "scores.csv").open(newline="") as handle:
            expected = [(float(row["score"]), row["flag"]) for row in csv.DictReader(handle)]
        assert [(row["score"], str(int(row["flag"]))) for row in table(out, "slices")] == expected  # to the bit
        facts, rules = read_json(out / "archive.json"), load_model(exported).rules((0.5, 0.5))
        assert facts["computed_on"].startswith("onnxruntime")
        assert facts["computed_on"].endswith(precision)
        assert {level: said["threshold"] for level, said in facts["rules"].items()} == {
            level: getattr(rules, level).threshold for level in ("slice", "scan", "finding")
        }
        assert {row["threshold"] for row in table(out, "scans")} == {rules.scan.threshold}
        tops.append(rules.scan.threshold)
        loaded, *_ = worker._model(here[-1].job)
        assert loaded.detector.threads == 3
    assert tops[1] == tops[0] / 2
    with pytest.raises(UserError, match="differ in: model"):  # which what torch computes is not mixed with
        score_archive(listed, tmp_path / "fp32", run=run, **options)
    worker._model.cache_clear()

"""A metric is one entry of a list: report, page, comparison and docs follow."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from anomae.stages.compare import compare
from anomae.stages.evaluate import evaluate
from anomae.statistics.metric_specs import METRICS, MetricSpec

from ..stages.test_compare import another
from ..stages.test_evaluate import made_up_run


def best_youden(tp: np.ndarray, fp: np.ndarray) -> np.ndarray:
    abnormal, normal = (np.where(counts[:, -1:] > 0, counts[:, -1:], np.nan) for counts in (tp, fp))
    return np.asarray(np.max(tp / abnormal - fp / normal, axis=1, initial=0.0))


YOUDEN = MetricSpec(
    "best_youden",
    best_youden,
    "best Youden index",
    "The largest sensitivity + specificity - 1 over all thresholds.",
)


def docs_text() -> str:
    path = Path(__file__).resolve().parents[2] / "docs" / "report_schema.py"
    found = importlib.util.spec_from_file_location("report_schema", path)
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    text: str = module.tables()
    return text


def test_an_added_metric_is_everywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = made_up_run(tmp_path)
    assert "best_youden" not in docs_text()
    monkeypatch.setitem(METRICS, YOUDEN.name, YOUDEN)
    report = evaluate(run, resamples=50)
    score = [line.split(",")[5:7] for line in (run / "findings" / "scores.csv").read_text().splitlines()[1:]]
    label, value = np.array([int(one) for one, _ in score]), np.array([float(two) for _, two in score])
    expected = max((value[label == 1] >= t).mean() - (value[label == 0] >= t).mean() for t in value)
    assert report["slice"]["best_youden"]["value"] == pytest.approx(expected)
    assert report["scores"]["score_mae"]["best_youden"]["value"] is not None
    assert report["patient"]["metrics"]["max"]["best_youden"] is not None
    assert report["definitions"]["best_youden"] == f"{YOUDEN.definition} Higher is better."
    page = (run / "report" / "report.html").read_text(encoding="utf-8")
    assert "<th>best Youden index</th>" in page
    assert YOUDEN.definition in page
    compared = compare([run, another(run, "second", 8)], tmp_path / "out", resamples=50)
    assert compared["runs"]["second"]["best_youden"]["value"] <= 1
    assert compared["seeds"]["run"]["metrics"]["best_youden"]["mean"] <= 1
    assert "best Youden index" in (tmp_path / "out" / "compare.html").read_text(encoding="utf-8")
    assert "| `best_youden` | [Share](#share) or null | best Youden index; higher is better." in docs_text()

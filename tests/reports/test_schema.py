"""The schema bites, and the page that documents it is printed from it."""

import importlib.util
from pathlib import Path

import pytest
from pydantic import ValidationError

from anomae.reports.schema_maps import MapFigures
from anomae.reports.schema_values import MetricFigures, Share
from anomae.statistics.metric_specs import METRICS

DOCS = Path(__file__).resolve().parents[2] / "docs"


def test_docs_are_those_of_the_schema():
    found = importlib.util.spec_from_file_location("report_schema", DOCS / "report_schema.py")
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    written = (DOCS / "report.md").read_text(encoding="utf-8")
    assert written == module.tables(), "run: python docs/report_schema.py > docs/report.md"
    assert "| None |" not in written  # every key says what it holds


def test_the_schema_bites():
    good = {"value": 0.5, "low": 0.4, "high": None}
    Share.model_validate(good)
    for bad in (
        {**good, "value": 1.2},
        {**good, "value": None},
        {**good, "more": 1},
        {"value": 0.5},
        {**good, "value": float("nan")},
    ):
        with pytest.raises(ValidationError):
            Share.model_validate(bad)
    every = dict.fromkeys(METRICS, good)
    assert MetricFigures.model_validate(every)["auroc"] == Share.model_validate(good)
    for bad in ({"auroc": good}, {**every, "more": good}, {**every, "auroc": {**good, "value": 1.2}}):
        with pytest.raises(ValidationError):
            MetricFigures.model_validate(bad)
    assert "aupro" in MapFigures.model_fields

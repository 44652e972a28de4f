"""Reports are read back by the version that wrote them; older ones, and older runs, say what to do."""

from pathlib import Path

import pytest

from anomae.errors import UserError
from anomae.files import read_json, write_json
from anomae.reports.report import read_report
from anomae.reports.schema import ReportContent
from anomae.reproduction.figures_of_runs import figures_of
from anomae.stages.compare import compare
from anomae.stages.evaluate import evaluate

from ..stages.test_compare import another
from ..stages.test_evaluate import made_up_run


def test_what_was_written_is_read_back(tmp_path: Path) -> None:
    run = made_up_run(tmp_path)
    report = evaluate(run, resamples=50)
    assert read_report(run / "report" / "report.json") == report
    assert ReportContent.model_validate(report).model_dump(mode="json") == report
    assert report["schema_version"] == 3


@pytest.mark.parametrize("before", [{"schema_version": 2}, {}])
def test_an_older_report_is_refused_where_it_is_read(tmp_path: Path, before: dict[str, int]) -> None:
    write_json(tmp_path / "report" / "report.json", before)
    with pytest.raises(UserError, match="this version reads 3; run `anomae evaluate` again"):
        read_report(tmp_path / "report" / "report.json")
    with pytest.raises(UserError, match="run `anomae evaluate` again"):
        figures_of(tmp_path)


def test_a_run_of_an_older_version_says_what_to_do(tmp_path: Path) -> None:
    run = made_up_run(tmp_path)
    other = another(run, "second", 8)
    path = tmp_path / "store" / "prepare.json"
    write_json(path, {**read_json(path), "format": 1})
    for stage in (lambda: evaluate(run), lambda: compare([run, other], tmp_path / "out")):
        with pytest.raises(UserError, match="a store of an older version; prepare, fit and score anew"):
            stage()


def test_reconstructions_without_a_channel_axis_are_to_be_scored_again(tmp_path: Path) -> None:
    import numpy as np

    run = made_up_run(tmp_path)
    path = run / "findings" / "reconstructions.npy"
    np.save(path, np.load(path)[:, 0])
    with pytest.raises(UserError, match="run `anomae score` again"):
        evaluate(run)

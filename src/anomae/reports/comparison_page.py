"""compare.json and the self-contained page compare.html."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from anomae.files import read_json, write_json, write_text
from anomae.nested import flat_settings
from anomae.reports.comparison_plots import differences_plot, runs_roc_plot
from anomae.reports.comparison_schema import ComparisonContent
from anomae.reports.definitions import definitions
from anomae.reports.plots import baselines_plot
from anomae.reports.report import environment, metric_titles
from anomae.reports.report_plots import Row, baseline_rows
from anomae.statistics.metric_specs import METRICS
from anomae.statistics.scored import ScoredSlices

MOST_PAIRS_DRAWN = 28


def comparison_definitions(unit: str = "patient") -> dict[str, str]:
    """What the figures of a comparison mean; unit: what is resampled."""
    all_of_them = definitions(unit)
    return {name: all_of_them[name] for name in ("interval", "delong", "gain", *METRICS)}


def write_comparison(
    folder: Path, content: ComparisonContent, slices: ScoredSlices, scores: Mapping[str, npt.NDArray[np.float64]]
) -> dict[str, Any]:
    """Write FOLDER/compare.html and last FOLDER/compare.json; returns the content of the latter."""
    values = {name: row["auroc"].value for name, row in content.runs.items() if row["auroc"] is not None}
    best = max(values, key=lambda name: values[name], default=None)  # as in the verdict: the first of equal ones
    rows: list[Row] = [
        (name, row["auroc"], "score" if name == best else "other_score") for name, row in content.runs.items()
    ]
    if content.merged:
        rows.append(("all runs merged", content.merged["auroc"], "other_score"))
    rows += baseline_rows(content.trivial_baselines, content.best_trivial_baseline)
    plots = {"runs": baselines_plot(rows, str(content.provenance["unit"])), "roc": runs_roc_plot(slices.label, scores)}
    if 0 < len(content.pairs) <= MOST_PAIRS_DRAWN:
        plots["differences"] = differences_plot(content.pairs)
    written = content.model_dump(mode="json")
    page = (
        environment()
        .get_template("compare.html.j2")
        .render(report=written, plots=plots, metric_titles=metric_titles(), best=best, differing=_differing(written))
    )
    write_text(folder / "compare.html", page)
    write_json(folder / "compare.json", written)
    back: dict[str, Any] = read_json(folder / "compare.json")
    return back


def _differing(written: Mapping[str, Any]) -> dict[str, list[str]]:
    """What is not the same of all runs, such as a setting of their fits: key -> the values, run after run."""
    facts = [dict(flat_settings(run)) for run in written["provenance"]["runs"].values()]
    keys = dict.fromkeys(key for run in facts for key in run)
    values = {key: ["–" if run.get(key) is None else str(run[key]) for run in facts] for key in keys}
    return {key: each for key, each in values.items() if len(set(each)) > 1 and key != "sha256"}

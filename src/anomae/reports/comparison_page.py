"""compare.json and the self-contained page compare.html."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from anomae.files import read_json, write_json, write_text
from anomae.reports.comparison_plots import differences_plot, runs_roc_plot
from anomae.reports.comparison_schema import ComparisonContent
from anomae.reports.definitions import DEFINITIONS
from anomae.reports.plots import baselines_plot
from anomae.reports.report import METRIC_TITLES, environment
from anomae.statistics.scored import ScoredSlices

SCHEMA_VERSION = 1
SAID = ("interval", "delong", "gain", *METRIC_TITLES)
MOST_PAIRS_DRAWN = 28


def write_comparison(
    folder: Path, content: Mapping[str, Any], slices: ScoredSlices, scores: Mapping[str, npt.NDArray[np.float64]]
) -> dict[str, Any]:
    """Write FOLDER/compare.html and last FOLDER/compare.json; returns the content of the latter."""
    full = {
        "schema_version": SCHEMA_VERSION,
        **content,
        "definitions": {name: DEFINITIONS[name] for name in SAID},
    }
    ComparisonContent.model_validate(full)
    rows: list[tuple[str, Mapping[str, Any] | None, str]] = [
        (name, row["auroc"], "score" if index == 0 else "other_score")
        for index, (name, row) in enumerate(content["runs"].items())
    ]
    if content["merged"]:
        rows.append(("all runs merged", content["merged"]["auroc"], "other_score"))
    for name, row in content["trivial_baselines"].items():
        kind = (
            "best_baseline"
            if name == content["best_trivial_baseline"]
            else "labelled"
            if row["uses_labels"]
            else "baseline"
        )
        rows.append((row["title"], row, kind))
    drawings = {"runs": baselines_plot(rows), "roc": runs_roc_plot(slices.label, scores)}
    if 0 < len(content["pairs"]) <= MOST_PAIRS_DRAWN:
        drawings["differences"] = differences_plot(content["pairs"])
    page = environment().get_template("compare.html.j2")
    write_text(folder / "compare.html", page.render(report=full, drawings=drawings, metric_titles=METRIC_TITLES))
    write_json(folder / "compare.json", full)
    written: dict[str, Any] = read_json(folder / "compare.json")
    return written

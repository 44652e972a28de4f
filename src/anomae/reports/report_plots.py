"""Which drawings a report has, and what stands in each."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from anomae.reports import figures
from anomae.reports.comparison_plots import bands_plot
from anomae.reports.report import score_title
from anomae.statistics.scored import ScoredSlices
from anomae.statistics.trivial_baselines import TRIVIAL_BASELINES

MOST_DRAWN = 6  # sites, scanners or kinds of file, the largest
BAND_TITLES = {
    "position": "place in the scan",
    "tissue_area": "tissue area",
    "site": "site",
    "scanner": "scanner",
    "source": "kind of file",
}
Columns = Mapping[str, npt.NDArray[np.float64]]


def report_drawings(
    slices: ScoredSlices,
    scores: Columns,
    trivial_baselines: Columns,
    content: Mapping[str, Any],
    journal: Sequence[Mapping[str, Any]],
    resamples: int,
    seed: int,
) -> dict[str, str]:
    """Name -> SVG text; a drawing that says nothing here (no journal, no positions, one class) is left out.

    content: as `assess` gives it.  journal: lines with stage, step and loss.
    """
    drawings = {"loss": figures.loss_plot(journal)} if journal else {}
    if not slices.both_classes:
        return drawings
    best = content["best_trivial_baseline"]
    title = TRIVIAL_BASELINES[best].title if best else ""
    roc, precision = figures.curve_bands(slices, scores["score"], resamples, seed)
    drawings |= {
        "baselines": figures.baselines_plot(_baseline_rows(content)),
        "roc": figures.roc_plot(slices.label, scores, trivial_baselines, best, title, roc),
        "precision_recall": figures.precision_recall_plot(
            slices.label, scores, trivial_baselines, best, title, precision
        ),
        "histogram": figures.score_histogram(slices, scores["score"]),
    }
    if np.isfinite(slices.relative_position).any():
        drawings["position"] = figures.position_plot(slices, scores["score"])
    bands = dict(content["bands"])
    for name, part in content["strata"].items():
        kind, _, group = name.partition(": ")
        if group and len(bands.get(kind, ())) < MOST_DRAWN:
            trivial_baseline = part["trivial_baselines"].get(best) if best else None
            bands.setdefault(kind, []).append(
                {**part, "name": group, "score": part["scores"]["score"], "trivial_baseline": trivial_baseline}
            )
    if any(row["score"] for rows in bands.values() for row in rows):
        drawings["bands"] = bands_plot(bands, BAND_TITLES, title)
    return drawings


def _baseline_rows(content: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any] | None, str]]:
    rows: list[tuple[str, Mapping[str, Any] | None, str]] = [
        (score_title(name), row["auroc"], "score" if name == "score" else "other_score")
        for name, row in content["scores"].items()
    ]
    for name, row in sorted(content["trivial_baselines"].items(), key=lambda item: -item[1]["value"]):
        kind = (
            "best_baseline"
            if name == content["best_trivial_baseline"]
            else "labelled"
            if row["uses_labels"]
            else "baseline"
        )
        rows.append((row["title"], row, kind))
    return rows

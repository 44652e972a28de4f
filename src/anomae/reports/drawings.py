"""Which drawings a report has, and what stands in each."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from anomae.reports import figures
from anomae.reports.comparison_figures import bands_plot
from anomae.reports.report import score_title
from anomae.statistics.scored import ScoredSlices
from anomae.statistics.trivial_baselines import FLOORS

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
    floors: Columns,
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
    best = content["best_floor"]
    title = FLOORS[best].title if best else ""
    roc, precision = figures.curve_bands(slices, scores["score"], resamples, seed)
    drawings |= {
        "rivals": figures.rivals_plot(_rival_rows(content)),
        "roc": figures.roc_plot(slices.label, scores, floors, best, title, roc),
        "precision_recall": figures.precision_recall_plot(slices.label, scores, floors, best, title, precision),
        "histogram": figures.score_histogram(slices, scores["score"]),
    }
    if np.isfinite(slices.relative_position).any():
        drawings["position"] = figures.position_plot(slices, scores["score"])
    bands = dict(content["bands"])
    for name, part in content["strata"].items():
        kind, _, group = name.partition(": ")
        if group and len(bands.get(kind, ())) < MOST_DRAWN:
            floor = part["floors"].get(best) if best else None
            bands.setdefault(kind, []).append({**part, "name": group, "score": part["scores"]["score"], "floor": floor})
    if any(row["score"] for rows in bands.values() for row in rows):
        drawings["bands"] = bands_plot(bands, BAND_TITLES, title)
    return drawings


def _rival_rows(content: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any] | None, str]]:
    rows: list[tuple[str, Mapping[str, Any] | None, str]] = [
        (score_title(name), row["auroc"], "score" if name == "score" else "other_score")
        for name, row in content["scores"].items()
    ]
    for name, row in sorted(content["floors"].items(), key=lambda item: -item[1]["value"]):
        kind = "best_rival" if name == content["best_floor"] else "labelled" if row["uses_labels"] else "rival"
        rows.append((row["title"], row, kind))
    return rows

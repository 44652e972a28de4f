"""Which plots a report has, and what stands in each."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from anomae.reports import plots
from anomae.reports.comparison_plots import bands_plot
from anomae.reports.report import score_title
from anomae.reports.schema import Assessment, Band, ComparedBaseline
from anomae.reports.schema_values import Share
from anomae.statistics.intervals import PatientBootstrap
from anomae.statistics.scored import ScoredSlices
from anomae.statistics.trivial_baselines import TRIVIAL_BASELINES

MOST_DRAWN = 6  # sites, scanners or kinds of file, the largest
BAND_TITLES = {
    "position": "position in the scan",
    "tissue_area": "tissue area",
    "site": "site",
    "scanner": "scanner",
    "source": "kind of file",
}
Columns = Mapping[str, npt.NDArray[np.float64]]
Row = tuple[str, Share | None, str]


def report_plots(
    slices: ScoredSlices,
    scores: Columns,
    trivial_baselines: Columns,
    assessment: Assessment,
    journal: Sequence[Mapping[str, Any]],
    bootstrap: PatientBootstrap,
    unit: str = "patient",
) -> dict[str, str]:
    """Name -> SVG text; a plot that says nothing here (no journal, no positions, one class) is left out.

    journal: lines with stage, step and loss.  unit: what the intervals are over.
    """
    drawn = {"loss": plots.loss_plot(journal)} if journal else {}
    if not slices.both_classes:
        return drawn
    best = assessment.best_trivial_baseline
    title = TRIVIAL_BASELINES[best].title if best else ""
    roc, precision = plots.curve_bands(slices, scores["score"], bootstrap)
    drawn |= {
        "baselines": plots.baselines_plot(_rows(assessment), unit),
        "roc": plots.roc_plot(slices.label, scores, trivial_baselines, best, title, roc),
        "precision_recall": plots.precision_recall_plot(
            slices.label, scores, trivial_baselines, best, title, precision
        ),
        "histogram": plots.score_histogram(slices, scores["score"]),
    }
    if np.isfinite(slices.relative_position).any():
        drawn["position"] = plots.position_plot(slices, scores["score"])
    bands = {kind: list(rows) for kind, rows in assessment.bands.items()}
    for name, part in assessment.strata.items():
        kind, _, group = name.partition(": ")
        if group and len(bands.get(kind, ())) < MOST_DRAWN:
            bands.setdefault(kind, []).append(
                Band(
                    name=group,
                    normal=part.normal,
                    abnormal=part.abnormal,
                    score=part.scores["score"],
                    trivial_baseline=part.trivial_baselines.get(best) if best else None,
                )
            )
    if any(row.score for rows in bands.values() for row in rows):
        drawn["bands"] = bands_plot(bands, BAND_TITLES, title)
    return drawn


def baseline_rows(trivial_baselines: Mapping[str, ComparedBaseline], best: str | None) -> list[Row]:
    """Title, AUROC and kind of each trivial baseline, as `baselines_plot` takes them."""

    def kind(name: str, row: ComparedBaseline) -> str:
        return "best_baseline" if name == best else "labelled" if row.uses_labels else "baseline"

    return [(row.title, row, kind(name, row)) for name, row in trivial_baselines.items()]


def _rows(assessment: Assessment) -> list[Row]:
    scores: list[Row] = [
        (score_title(name), row["auroc"] if row else None, "score" if name == "score" else "other_score")
        for name, row in assessment.scores.items()
    ]
    return scores + baseline_rows(assessment.trivial_baselines, assessment.best_trivial_baseline)

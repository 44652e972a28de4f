"""report.json and the self-contained page report.html, from figures that are already there."""

import base64
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup, escape

from anomae.files import read_json, write_json, write_text
from anomae.nested import flat_settings
from anomae.reports.definitions import DEFINITIONS
from anomae.reports.pictures import Strip
from anomae.reports.schema import ReportContent
from anomae.statistics.intervals import three_places
from anomae.statistics.neighbours import NEIGHBOURS
from anomae.statistics.trivial_baselines import TRIVIAL_BASELINES

SCHEMA_VERSION = 2
SCORE_TITLES = {
    "score": "the detector's score",
    "score_mse": "reconstruction alone: mean squared error",
    "score_mae": "reconstruction alone: mean absolute error",
    "score_ssim": "reconstruction alone: 1 - SSIM",
    NEIGHBOURS: "smoothed over the neighbouring slices of its scan",
}
METRIC_TITLES = {
    "auroc": "AUROC",
    "average_precision": "average precision",
    "fpr_at_95_tpr": "normal flagged at 95 % found",
    "sensitivity_at_90_specificity": "found at 90 % specificity",
    "sensitivity_at_95_specificity": "found at 95 % specificity",
    "sensitivity_at_99_specificity": "found at 99 % specificity",
}
STRATUM_TITLES = {"all": "all slices", "without_empty": "without empty", "mid": "mid-scan"}
MATCHED_TITLES = {
    "position": "same tenth of the scan",
    "tissue_area": "same tissue area",
    "site": "same site",
    "scanner": "same scanner",
    "source": "same kind of file",
}


def write_report(
    folder: Path, content: Mapping[str, Any], drawings: Mapping[str, str], strips: Sequence[Strip]
) -> dict[str, Any]:
    """Write FOLDER/figures/*.svg, FOLDER/report.html and last FOLDER/report.json; returns the content of the last.

    content: as `assess` gives it, with what `ReportContent` names besides.  drawings: name -> SVG text.
    """
    full = {"schema_version": SCHEMA_VERSION, **content, "definitions": DEFINITIONS}
    ReportContent.model_validate(full)  # what is written is what docs/report.md says
    for name, drawing in drawings.items():
        write_text(folder / "figures" / f"{name}.svg", drawing)
    write_text(folder / "report.html", render(full, drawings, strips))
    write_json(folder / "report.json", full)
    written: dict[str, Any] = read_json(folder / "report.json")
    return written


def environment() -> Any:
    """The templates and their filters; every text is escaped."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    room = Environment(
        loader=PackageLoader("anomae.reports"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    room.filters |= {
        "interval": _interval,
        "svg_address": _svg_address,
        "svg_width": _svg_width,
        "flat": flat_settings,
        "percent": _percent,
    }
    return room


def render(content: Mapping[str, Any], drawings: Mapping[str, str], strips: Sequence[Strip]) -> str:
    """The page: one file, no script, nothing fetched."""
    page: str = (
        environment()
        .get_template("report.html.j2")
        .render(
            report=content,
            drawings=drawings,
            strips=strips,
            score_title=score_title,
            baseline_titles={name: trivial_baseline.title for name, trivial_baseline in TRIVIAL_BASELINES.items()},
            metric_titles=METRIC_TITLES,
            stratum_titles=STRATUM_TITLES,
            matched_titles=MATCHED_TITLES,
            aggregation_titles={"max": "highest slice score", "mean_of_top_3": "mean of the three highest"},
        )
    )
    return page


def score_title(column: str) -> str:
    """What a score column is called in the report."""
    return SCORE_TITLES.get(column, column.removeprefix("score_").replace("_", " "))


def _interval(figure: Mapping[str, Any] | None) -> Markup:
    """A figure with its interval in small type; a dash where there is none."""
    if figure is None or figure.get("value") is None:
        return Markup('<span class="none">&ndash;</span>')
    value = Markup('<span class="value">{}</span>').format(three_places(figure["value"]))
    if figure.get("low") is None:
        return value
    return value + Markup(' <span class="ci">[{}, {}]</span>').format(
        three_places(figure["low"]), three_places(figure["high"])
    )


def _percent(share: float) -> str:
    """A share in per cent, to three digits."""
    return f"{100 * share:.3g} %"


def _svg_address(drawing: str) -> str:
    return "data:image/svg+xml;base64," + base64.b64encode(drawing.encode()).decode("ascii")


def _svg_width(drawing: str) -> Markup:
    """The width that the drawing itself asks for, in points."""
    found = re.search(r'width="([\d.]+)pt"', drawing)
    return escape(found.group(1) if found else "400")

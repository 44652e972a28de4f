"""report.json and the self-contained page report.html: written from a report's content, and read back."""

import base64
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup, escape

from anomae.errors import UserError
from anomae.files import read_json, write_json, write_text
from anomae.nested import flat_settings
from anomae.reports.pictures import Strip
from anomae.reports.schema import ReportContent
from anomae.statistics.intervals import three_places
from anomae.statistics.metric_specs import METRICS
from anomae.statistics.neighbours import ALONE, NEIGHBOURS
from anomae.statistics.operating_point import in_full
from anomae.statistics.trivial_baselines import TRIVIAL_BASELINES

SCHEMA_VERSION = 3
SCORE_TITLES = {
    "score": "the detector's score",
    "score_mse": "reconstruction alone: mean squared error",
    "score_mae": "reconstruction alone: mean absolute error",
    "score_ssim": "reconstruction alone: 1 - SSIM",
    ALONE: "of each slice alone, where the score is smoothed",
    NEIGHBOURS: "smoothed over the neighbouring slices of its scan",
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
    folder: Path, content: ReportContent, plots: Mapping[str, str], strips: Sequence[Strip]
) -> dict[str, Any]:
    """Write FOLDER/plots/*.svg, FOLDER/report.html and last FOLDER/report.json; returns the content of the last.

    plots: name -> SVG text.
    """
    for name, plot in plots.items():
        write_text(folder / "plots" / f"{name}.svg", plot)
    written = content.model_dump(mode="json")
    write_text(folder / "report.html", render(written, plots, strips))
    write_json(folder / "report.json", written)
    return read_report(folder / "report.json")


def read_report(path: Path) -> dict[str, Any]:
    """The content of a report.json.  Raises UserError where it is missing, broken, or of another schema version."""
    content: dict[str, Any] = read_json(path)
    if content.get("schema_version") != SCHEMA_VERSION:
        raise UserError(
            f"{path} has schema version {content.get('schema_version')}, and this version reads {SCHEMA_VERSION}; run "
            "`anomae evaluate` again (where that refuses too, score or fit anew, as it says)."
        )
    return content


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
        "in_full": in_full,
        "ends_together": _ends_together,
    }
    return room


def _ends_together(text: str) -> str:
    """The two ends of every interval or range on one line: no break between brackets that hold numbers."""
    return re.sub(r"[\[(]-?\d[^\])]*[\])]", lambda ends: ends[0].replace(" ", "\N{NO-BREAK SPACE}"), text)


def render(content: Mapping[str, Any], plots: Mapping[str, str], strips: Sequence[Strip]) -> str:
    """The page, of what report.json holds: one file, no script, nothing fetched."""
    page: str = (
        environment()
        .get_template("report.html.j2")
        .render(
            report=content,
            plots=plots,
            strips=strips,
            score_title=score_title,
            baseline_titles={name: trivial_baseline.title for name, trivial_baseline in TRIVIAL_BASELINES.items()},
            metric_titles=metric_titles(),
            stratum_titles=STRATUM_TITLES,
            matched_titles=MATCHED_TITLES,
            aggregation_titles={"max": "highest slice score", "mean_of_top_3": "mean of the three highest"},
        )
    )
    return page


def metric_titles() -> dict[str, str]:
    """Metric -> the head of its column."""
    return {spec.name: spec.title for spec in METRICS.values()}


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


def _svg_address(plot: str) -> str:
    return "data:image/svg+xml;base64," + base64.b64encode(plot.encode()).decode("ascii")


def _svg_width(plot: str) -> Markup:
    """The width that the plot itself asks for, in points."""
    found = re.search(r'width="([\d.]+)pt"', plot)
    return escape(found.group(1) if found else "400")

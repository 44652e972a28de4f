"""The FROC curve of findings against lesions, an SVG as text."""

import numpy as np
from matplotlib.axes import Axes

from anomae.reports.plot_style import BASELINE, RULE, SCORE, plot
from anomae.reports.schema_findings import FindingFigures, FrocFigures
from anomae.statistics.froc import RATES

_LEAST, _MOST = 1 / 16, 12.0  # where the logarithmic axis begins and ends


def froc_plot(findings: FindingFigures) -> str:
    """Recall of lesions against false findings per scan: of the map, of the image itself, and at the threshold."""
    with plot(4.6, 3.6) as (figure, text):
        axes = figure.add_subplot()
        if findings.image_intensity is not None:
            _steps(axes, findings.image_intensity, BASELINE, "the image itself", 1.5)
        if findings.froc is not None:
            figures = list(findings.froc.sensitivity.items())
            for name, share in figures:
                if share.low is not None and share.high is not None:
                    axes.plot([RATES[name]] * 2, [share.low, share.high], color=SCORE, lw=5, alpha=0.16)
            _steps(axes, findings.froc, SCORE, "the map, with 95 % intervals", 2)
        at = findings.at_threshold
        if at is not None and at.false_per_scan is not None and at.lesions["all"].found is not None:
            across = min(max(at.false_per_scan.value, _LEAST), _MOST)
            axes.plot(
                across, at.lesions["all"].found.value, "o", color=SCORE, ms=7, mec="white", label="at the threshold"
            )
        axes.set_xscale("log", base=2)
        axes.set_xlim(_LEAST, _MOST)
        axes.set_xticks(list(RATES.values()), list(RATES))
        axes.minorticks_off()
        axes.set_ylim(-0.01, 1.01)
        axes.set_xlabel(f"false findings per {findings.unit}")
        axes.set_ylabel("share of lesions found")
        axes.grid(color=RULE, lw=0.5)
        axes.set_axisbelow(True)
        figure.legend(loc="outside lower center", ncols=2)
    return text()


def _steps(axes: Axes, curve: FrocFigures, colour: str, title: str, width: float) -> None:
    across = np.clip([_LEAST, *(point.false_per_scan for point in curve.curve), _MOST], _LEAST, _MOST)
    up = np.array([0.0, *(point.recall for point in curve.curve)])
    axes.step(across, np.append(up, up[-1]), where="post", color=colour, lw=width, label=title)

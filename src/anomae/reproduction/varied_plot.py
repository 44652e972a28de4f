"""The paper's Fig. 5, from our runs."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from anomae.reports.comparison_plots import COLOURS
from anomae.reports.plot_style import QUIET, RULE, plot

AXES = {"mask ratio": "mask ratio", "of the training": "share of the full training"}
LINES = {"all": ("all slices", COLOURS[0]), "mid": ("middle slices", COLOURS[1])}


def varied_plot(rows: Sequence[Mapping[str, Any]]) -> str:
    """Fig. 5: AUROC with its interval against the mask ratio and against the length of the training.

    rows: cells with title, position on the axis, and figures (stratum -> {"value", "low", "high"}).
    """
    panels = {ending: [row for row in rows if ending in row["title"]] for ending in AXES}
    panels = {ending: found for ending, found in panels.items() if found}
    with plot(4.2 * len(panels), 3.2) as (figure, text):
        for index, (ending, found) in enumerate(panels.items(), start=1):
            axes = figure.add_subplot(1, len(panels), index)
            found = sorted(found, key=lambda row: float(row["position"]))
            for shift, (stratum, (name, colour)) in enumerate(LINES.items()):
                points = [(row["position"], row["figures"][stratum]) for row in found if row["figures"].get(stratum)]
                across = np.array([float(at) for at, _ in points]) + 0.006 * shift
                axes.plot(across, [figures["value"] for _, figures in points], "o-", color=colour, ms=4.5, label=name)
                for at, (_, figures) in zip(across, points, strict=True):
                    if figures["low"] is not None:
                        axes.plot([at, at], [figures["low"], figures["high"]], color=colour, lw=1, alpha=0.6)
            axes.axhline(0.5, color=QUIET, lw=0.8, ls=(0, (4, 3)))
            axes.set_xlabel(AXES[ending])
            axes.set_ylabel("AUROC")
            axes.grid(axis="y", color=RULE, lw=0.6)
            if index == 1:
                axes.legend()
    return text()

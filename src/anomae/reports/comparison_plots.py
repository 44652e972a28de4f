"""Plots of several scores side by side, and of one score within bands of alike slices."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from anomae.reports.comparison_schema import Pair
from anomae.reports.plot_style import BASELINE, INK, QUIET, RULE, SCORE, plain, plot, square, thin
from anomae.reports.schema import Band
from anomae.reports.schema_values import Share
from anomae.statistics.metrics import roc_points

COLOURS = ("#00695c", "#4477aa", "#cc4c33", "#8a6bbe", "#b7791f", "#5b9a92", "#7b8794", "#a0527a")


def bands_plot(bands: Mapping[str, Sequence[Band]], titles: Mapping[str, str], best_title: str) -> str:
    """AUROC of the score in each band of each kind, as bars with intervals, the best baseline's beside it.

    bands: by kind.
    """
    widths = [max(len(rows), 2) for rows in bands.values()]
    with plot(0.95 + 0.75 * sum(widths), 3.1) as (figure, text):
        panels = figure.subplots(1, len(bands), width_ratios=widths, sharey=True, squeeze=False)[0]
        for axes, (kind, rows) in zip(panels, bands.items(), strict=True):
            for column, shift, colour in (("score", -0.2, SCORE), ("trivial_baseline", 0.2, BASELINE)):
                for index, row in enumerate(rows):
                    share: Share | None = getattr(row, column)
                    if share is None:
                        continue
                    axes.bar(index + shift, share.value, 0.36, color=colour, alpha=0.75 if column == "score" else 0.45)
                    if share.low is not None and share.high is not None:
                        axes.plot([index + shift] * 2, [share.low, share.high], color=INK, lw=1.1)
            for index, row in enumerate(rows):
                if row.score is None:
                    axes.text(index, 0.03, "one\nclass", ha="center", va="bottom", color=QUIET, fontsize=8)
            names = [plain(f"{row.name.replace(' to ', '-')[:11]}\n{row.abnormal}/{row.normal}") for row in rows]
            axes.set_xticks(range(len(rows)), names, fontsize=7.5)
            axes.axhline(0.5, color=QUIET, lw=0.8, ls=(0, (4, 3)))
            axes.set_ylim(0, 1)
            axes.set_title(plain(titles.get(kind, kind)))
            axes.tick_params(axis="x", length=0)
        panels[0].set_ylabel("AUROC within")
        beside = f"green: score; brown: {best_title or 'no baseline'}"
        figure.supxlabel(plain(f"below: abnormal/normal slices   ({beside})"), fontsize=8.5)
    return text()


def runs_roc_plot(labels: npt.NDArray[Any], scores: Mapping[str, npt.NDArray[np.float64]]) -> str:
    """The ROC curves of all runs in one square."""
    return roc_curves_plot({name: roc_points(labels, column)[:2] for name, column in scores.items()})


def roc_curves_plot(curves: Mapping[str, tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]]) -> str:
    """ROC curves in one square; title -> (false-positive rates, true-positive rates)."""
    with plot(5.2, 5.4) as (figure, text):
        axes = figure.add_subplot()
        axes.plot([0, 1], [0, 1], color=QUIET, lw=0.8, ls=(0, (4, 3)))
        for index, (title, (fpr, tpr)) in enumerate(curves.items()):
            axes.plot(*thin(fpr, tpr), color=COLOURS[index % len(COLOURS)], lw=1.6, label=plain(title))
        square(axes, "1 - specificity (normal slices flagged)", "sensitivity (abnormal slices flagged)")
        figure.legend(loc="outside lower center", ncols=2)
    return text()


def differences_plot(pairs: Sequence[Pair]) -> str:
    """AUROC of one minus the other of each pair, with its interval by patient and, thin above, DeLong's."""
    with plot(7.2, 0.7 + 0.34 * len(pairs)) as (figure, text):
        axes = figure.add_subplot()
        for height, pair in enumerate(pairs):
            by_patient, delong = pair.difference, pair.delong
            if delong.low is not None and delong.high is not None:
                axes.plot([delong.low, delong.high], [height - 0.2] * 2, color=QUIET, lw=1)
            if by_patient.low is not None and by_patient.high is not None:
                axes.plot([by_patient.low, by_patient.high], [height] * 2, color=SCORE, lw=2.4)
            axes.plot(by_patient.value, height, "o", color=SCORE, ms=5.5)
        axes.axvline(0, color=INK, lw=0.8, ls=(0, (4, 3)))
        axes.set_yticks(range(len(pairs)), [plain(f"{pair.one} - {pair.other}") for pair in pairs])
        axes.set_ylim(len(pairs) - 0.4, -0.6)
        axes.set_xlabel("difference in AUROC, 95 % interval by patient   (thin, grey: DeLong)")
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        axes.grid(axis="x", color=RULE, lw=0.6)
    return text()

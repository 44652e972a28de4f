"""The plots of the report, each an SVG as text; made without pyplot, so nothing global is touched."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator

from anomae.reports.plot_style import ABNORMAL, BASELINE, NORMAL, QUIET, RULE, SCORE, plain, plot, square, thin
from anomae.reports.schema_values import Share
from anomae.statistics.intervals import PatientBootstrap
from anomae.statistics.metrics import precision_recall_points, roc_points
from anomae.statistics.scored import ScoredSlices

Columns = Mapping[str, npt.NDArray[np.float64]]


def baselines_plot(rows: Sequence[tuple[str, Share | None, str]], unit: str = "patient") -> str:
    """AUROC of each row with its interval, a line a row; rows: (title, AUROC or None, kind).

    kind: "score", "other_score", "best_baseline", "baseline" or "labelled".  unit: what the intervals are over.
    """
    colours = {
        "score": SCORE,
        "other_score": "#5b9a92",
        "best_baseline": BASELINE,
        "baseline": QUIET,
        "labelled": "#b0a3c8",
    }
    with plot(7.2, 0.55 + 0.27 * len(rows)) as (figure, text):
        axes = figure.add_subplot()
        for height, (_, share, kind) in enumerate(rows):
            if share is None:
                continue
            colour = colours[kind]
            if share.low is not None and share.high is not None:
                axes.plot([share.low, share.high], [height] * 2, color=colour, lw=2.2, solid_capstyle="butt")
            axes.plot(share.value, height, "o", color=colour, ms=6.5 if kind == "score" else 5)
        axes.axvline(0.5, color=QUIET, lw=0.8, ls=(0, (4, 3)))
        reference = next((share for _, share, kind in rows if kind == "score"), None)
        if reference is not None:
            axes.axvline(reference.value, color=SCORE, lw=0.8, alpha=0.45)
        axes.set_yticks(range(len(rows)), [plain(title) for title, _, _ in rows])
        axes.set_ylim(len(rows) - 0.4, -0.6)
        ends = [end for _, share, _ in rows if share for end in (share.value, share.low, share.high)]
        values = [end for end in ends if end is not None]
        axes.set_xlim(max(0.0, min([0.45, *values]) - 0.03), min(1.0, max([0.75, *values]) + 0.03))
        axes.set_xlabel(f"AUROC, with 95 % interval over {unit}s   (dashed: chance)")
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        axes.grid(axis="x", color=RULE, lw=0.6)
        axes.set_axisbelow(True)
    return text()


def roc_plot(
    labels: npt.NDArray[Any],
    scores: Columns,
    trivial_baselines: Columns,
    best: str | None,
    best_title: str,
    band: npt.NDArray[Any],
) -> str:
    """ROC of `score` with its band (2, g) over false-positive rates 0..1; the best baseline, others thin and grey."""
    with plot(4.6, 4.7) as (figure, text):
        axes = figure.add_subplot()
        axes.plot([0, 1], [0, 1], color=QUIET, lw=0.8, ls=(0, (4, 3)))
        others = [name for name in trivial_baselines if name != best]
        for index, name in enumerate(others):
            fpr, tpr, _ = roc_points(labels, trivial_baselines[name])
            axes.plot(*thin(fpr, tpr), color="#b8c0c8", lw=0.8, label="other baselines" if index == 0 else None)
        if best is not None:
            fpr, tpr, _ = roc_points(labels, trivial_baselines[best])
            axes.plot(*thin(fpr, tpr), color=BASELINE, lw=1.5, label=f"best baseline: {best_title}")
        axes.fill_between(np.linspace(0, 1, band.shape[1]), band[0], band[1], color=SCORE, alpha=0.16, lw=0)
        fpr, tpr, _ = roc_points(labels, scores["score"])
        axes.plot(*thin(fpr, tpr), color=SCORE, lw=2, label="score, with 95 % band")
        square(axes, "1 - specificity (normal slices flagged)", "sensitivity (abnormal slices flagged)")
        figure.legend(loc="outside lower center", ncols=2)
    return text()


def precision_recall_plot(
    labels: npt.NDArray[Any],
    scores: Columns,
    trivial_baselines: Columns,
    best: str | None,
    best_title: str,
    band: npt.NDArray[Any],
) -> str:
    """Precision against recall of `score` with its band (2, g) over recalls 0..1, and of the best baseline."""
    with plot(4.6, 4.7) as (figure, text):
        axes = figure.add_subplot()
        axes.axhline(float(np.mean(labels)), color=QUIET, lw=0.8, ls=(0, (4, 3)), label="share of abnormal slices")
        if best is not None:
            precision, recall, _ = precision_recall_points(labels, trivial_baselines[best])
            axes.plot(*thin(recall, precision), color=BASELINE, lw=1.5, label=f"best baseline: {best_title}")
        grid = np.linspace(0, 1, band.shape[1])
        axes.fill_between(grid[1:], band[0][1:], band[1][1:], color=SCORE, alpha=0.16, lw=0)
        precision, recall, _ = precision_recall_points(labels, scores["score"])
        axes.plot(*thin(recall, precision), color=SCORE, lw=2, label="score, with 95 % band")
        square(axes, "recall (abnormal slices flagged)", "precision (flagged slices that are abnormal)")
        figure.legend(loc="outside lower center", ncols=2)
    return text()


def _drawable(scores: npt.NDArray[np.float64]) -> tuple[npt.NDArray[np.float64], str]:
    """Scores that axes can hold, and what to call them: beyond 1e100 or below 1e-6, over a power of ten."""
    largest = float(np.abs(scores).max(initial=0.0))
    if largest == 0 or 1e-6 <= largest <= 1e100:
        return scores, "score"
    power = int(np.clip(np.floor(np.log10(largest)), -307, 308))
    return scores / 10.0**power, f"score / 1e{power}"


def score_histogram(slices: ScoredSlices, scores: npt.NDArray[np.float64]) -> str:
    """How the scores of normal and abnormal slices lie, each class as shares of its own."""
    scores, words = _drawable(scores)
    low, high = np.percentile(scores, (0.2, 99.8))
    bins = int(np.clip(len(np.unique(scores)) // 4, 5, 50))  # fewer where scores are few whole numbers
    edges = np.linspace(low, high if high > low else low + 1, bins + 1)
    with plot(4.6, 3.0) as (figure, text):
        axes = figure.add_subplot()
        for label, colour, title in ((0, NORMAL, "normal"), (1, ABNORMAL, "abnormal")):
            chosen = np.clip(scores[slices.label == label], edges[0], edges[-1])
            if len(chosen):
                shares = np.histogram(chosen, edges)[0] / len(chosen)
                axes.stairs(shares, edges, fill=True, color=colour, alpha=0.28)
                axes.stairs(shares, edges, color=colour, lw=1.3, label=f"{title} ({len(chosen)})")
        axes.set_xlabel(words)
        axes.set_ylabel("share of the class")
        axes.legend()
    return text()


def position_plot(slices: ScoredSlices, scores: npt.NDArray[np.float64]) -> str:
    """Score against position in the scan, a dot a slice (at most 4,000), with the median of each class by tenth."""
    position, (scores, words) = slices.relative_position, _drawable(scores)
    known = np.flatnonzero(np.isfinite(position))
    shown = known[:: max(1, -(-len(known) // 4000))]
    with plot(4.6, 3.0) as (figure, text):
        axes = figure.add_subplot()
        for label, colour, title in ((0, NORMAL, "normal"), (1, ABNORMAL, "abnormal")):
            dots = shown[slices.label[shown] == label]
            axes.plot(
                position[dots], scores[dots], ".", color=colour, ms=4, mew=0, alpha=0.45, rasterized=True, zorder=1
            )
            chosen = known[slices.label[known] == label]
            tenth = np.minimum((position[chosen] * 10).astype(int), 9)
            filled = [number for number in range(10) if np.count_nonzero(tenth == number) >= 5]
            medians = [float(np.median(scores[chosen[tenth == number]])) for number in filled]
            centres = [number / 10 + 0.05 for number in filled]
            axes.plot(centres, medians, "-", color="white", lw=3.6, zorder=2)
            axes.plot(centres, medians, "-", color=colour, lw=1.8, label=f"{title}, median", zorder=3)
        low, high = np.percentile(scores[known], (0.2, 99.8))
        axes.set_ylim(low - 0.05 * (high - low) - 1e-9, high + 0.05 * (high - low) + 1e-9)
        axes.set_xlim(0, 1)
        axes.set_xlabel("position in the scan (0 first slice, 1 last)")
        axes.set_ylabel(words)
        axes.legend()
    return text()


def loss_plot(journal: Sequence[Mapping[str, Any]]) -> str:
    """The training loss of each stage in the journal, step by step, with its running median."""
    stages = list(dict.fromkeys(str(line["stage"]) for line in journal))
    with plot(4.6 * max(len(stages), 1), 2.7) as (figure, text):
        for index, stage in enumerate(stages):
            lines = [line for line in journal if line["stage"] == stage]
            steps = np.array([line["step"] for line in lines], dtype=np.float64)
            losses = np.array([line["loss"] for line in lines], dtype=np.float64)
            axes = figure.add_subplot(1, len(stages), index + 1)
            axes.plot(*thin(steps, losses, 1500), color="#9fb8b4", lw=0.7)
            width = max(1, len(losses) // 40)
            windows = np.lib.stride_tricks.sliding_window_view(losses, width)
            axes.plot(*thin(steps[width - 1 :], np.median(windows, axis=1), 1500), color=SCORE, lw=1.6)
            if len(losses) and losses.min() > 0 and losses.max() / losses.min() > 20:
                axes.set_yscale("log")
                _plain_numbers(axes, few=losses.max() / losses.min() < 1000)
            axes.set_title(plain(stage))
            axes.set_xlabel("step")
            axes.set_ylabel("loss")
    return text()


def _plain_numbers(axes: Axes, few: bool) -> None:
    """0.05 on a logarithmic axis where matplotlib has powers of ten as formulas; `few` decades: 2 and 5 too."""
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_locator(LogLocator(subs=(2, 5) if few else ()))
    axes.yaxis.set_minor_formatter("{x:g}")


def curve_bands(
    slices: ScoredSlices, scores: npt.NDArray[np.float64], bootstrap: PatientBootstrap
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """The 95 % bands (2, 101) of the ROC and the precision-recall curve, from at most 1,000 resamples."""
    return bootstrap.of(slices.patient, most=1000).curves(slices.label, scores, np.linspace(0, 1, 101))

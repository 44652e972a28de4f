"""One picture of what a run found: slices spread evenly over the scores of their class, none of them picked by hand."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from anomae.errors import UserError
from anomae.files import written_whole
from anomae.reports.finding_threshold import finding_threshold
from anomae.reports.overlay_picture import FINDING, coloured
from anomae.reports.overlays import grey_range
from anomae.reports.picture_strips import said_slice
from anomae.runs.findings import open_findings
from anomae.runs.run import Run

_LESION, _IGNORED = "#ff8c28", "#be82ff"
CLASSES = ((1, "abnormal"), (0, "normal"))


def run_picture(run: Path | str, out: Path | str | None = None, *, each: int = 5) -> Path:
    """Draw `each` abnormal and as many normal test slices, and their maps above them; returns the PNG.

    Of each class the slices are those in the middles of `each` equal stretches of its scores, lowest to highest: a fair
    sample, misses and false positives included.  Regions of the map above the threshold of findings are outlined, where
    the run keeps scores of healthy people.  out: None: RUN/picture.png.  Raises UserError where there are no findings
    with maps, or a class is missing.
    """
    opened_run = Run(Path(run))
    found = open_findings(opened_run)
    if found.maps is None:
        raise UserError(f"{run} has no maps; run `anomae score` without --no-maps.")
    index, scores = found.store.index, found.scores["score"]
    labels = index.label[found.rows]
    chosen = [_spread(np.flatnonzero(labels == kind), scores, each) for kind, _ in CLASSES]
    if not all(len(indices) for indices in chosen):
        raise UserError(f"{run} has no test slices of both classes to draw.")
    images = [found.store.select(found.rows[indices]).pictures(slice(None)) for indices in chosen]
    maps = [np.asarray(found.maps[indices], dtype=np.float32) for indices in chosen]
    rows = [found.rows[indices] for indices in chosen]
    captions = [
        [f"{name} {score:.2f}{said_slice(found.store, one)}" for score, one in zip(scores[at], row, strict=True)]
        for (_, name), at, row in zip(CLASSES, chosen, rows, strict=True)
    ]
    lesions = [found.store.lesions(found.rows[indices]) if found.store.has_lesions else None for indices in chosen]
    ignored = [~found.store.judged(row) if found.store.has_ignored else None for row in rows]
    target = Path(out) if out is not None else opened_run.folder / "picture.png"
    # A slice whose position in the world is known is seen from the feet; a picture may be any way.
    sides = bool(np.isfinite(index.position_mm[np.concatenate(rows)]).all())
    threshold = finding_threshold(opened_run)
    _draw(target, images, maps, captions, lesions, ignored, found.map_name, threshold=threshold, sides=sides)
    return target


def _spread(indices: npt.NDArray[np.int64], scores: npt.NDArray[np.float64], each: int) -> npt.NDArray[np.int64]:
    """Indices in the middles of `each` equal stretches of the scores."""
    rising = indices[np.argsort(scores[indices], kind="stable")]
    at = np.unique(((np.arange(each) + 0.5) / each * len(rising)).astype(np.int64)) if len(rising) else rising
    return np.asarray(rising[at[at < len(rising)]])


def _draw(
    path: Path,
    images: list[npt.NDArray[np.float32]],
    maps: list[npt.NDArray[np.float32]],
    captions: list[list[str]],
    lesions: list[npt.NDArray[np.bool_] | None],
    ignored: list[npt.NDArray[np.bool_] | None],
    map_name: str,
    *,
    threshold: float | None,
    sides: bool,
) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    low, high = grey_range(np.concatenate(images))
    top = max(float(np.percentile(np.concatenate(maps), 99.8)), 1e-6)
    columns = max(len(block) for block in images)
    figure = Figure(figsize=(1.5 * columns + 0.4, 7.1), dpi=110, facecolor="white")
    FigureCanvasAgg(figure)
    axes = figure.subplots(4, columns, squeeze=False)
    for panel in axes.ravel():
        panel.set_axis_off()
    for row in range(len(CLASSES)):
        for column, (image, heat, caption) in enumerate(zip(images[row], maps[row], captions[row], strict=True)):
            above, below = axes[2 * row, column], axes[2 * row + 1, column]
            above.set_title(caption, fontsize=7.5)
            for panel in (above, below):
                panel.imshow(image, cmap="gray", vmin=low, vmax=max(high, low + 1e-6))
                if sides:
                    _mark_sides(panel, size=6.5)
            below.imshow(coloured(heat, top))
            _mark_outline(below, heat, threshold, width=0.9)
            lesion = lesions[row]
            if lesion is not None and lesion[column].any():
                above.contour(lesion[column], [0.5], colors=_LESION, linewidths=0.9)
            hidden = ignored[row]
            if hidden is not None and hidden[column].any():
                for panel in (above, below):
                    _hatch(panel, hidden[column])
    lines: list[Any] = (
        []
        if threshold is None
        else [Line2D([], [], color=FINDING, lw=1.4, label=f"finding: map above {threshold:.3g}")]
    )
    if any(lesion is not None for lesion in lesions):
        lines.append(Line2D([], [], color=_LESION, lw=1.4, label="true lesion"))
    sliced = ", slice" if any("slice" in caption for row in captions for caption in row) else ""
    if any(hidden is not None and hidden.any() for hidden in ignored):
        lines.append(Patch(fill=False, edgecolor=_IGNORED, hatch="////", lw=0.6, label="not to be judged"))
    if lines:
        figure.legend(
            handles=lines, loc="lower center", bbox_to_anchor=(0.5, 0.038), ncols=3, fontsize=7.5, frameon=False
        )
    figure.text(
        0.5,
        0.005,
        f"colour: {map_name}, up to {top:.2g}\nabove each: class, score{sliced}; "
        "slices are spread evenly over the scores of their class",
        ha="center",
        fontsize=7.5,
    )
    figure.subplots_adjust(0.01, 0.085, 0.99, 0.965, 0.03, 0.16)
    with written_whole(path) as temporary:
        figure.savefig(temporary, format="png")


def _hatch(panel: Any, where: npt.NDArray[np.bool_]) -> None:
    """Hatch what is not to be judged (h, w), and draw its border."""
    padded = np.pad(where.astype(np.float32), 1)  # closed at the edges of the picture
    rows, columns = (np.arange(-1, side + 1) for side in where.shape)
    filled = panel.contourf(columns, rows, padded, [0.5, 1.5], colors="none", hatches=["////"])
    filled.set_edgecolor(_IGNORED)
    filled.set_linewidth(0.0)
    panel.contour(columns, rows, padded, [0.5], colors=_IGNORED, linewidths=0.6)
    panel.set(xlim=(-0.5, where.shape[1] - 0.5), ylim=(where.shape[0] - 0.5, -0.5))


def _mark_outline(axes: Any, heat: npt.NDArray[Any], threshold: float | None, width: float = 1.2) -> None:
    """Draw the border of the regions of `heat` (h, w) above `threshold` along the sides of their pixels."""
    from matplotlib.collections import LineCollection

    if threshold is None or not (heat > threshold).any():
        return
    inside = np.pad(heat > threshold, 1)
    rows, columns = np.nonzero(inside[1:, 1:-1] != inside[:-1, 1:-1])
    flat = np.stack([np.stack([columns - 0.5, rows - 0.5], 1), np.stack([columns + 0.5, rows - 0.5], 1)], 1)
    rows, columns = np.nonzero(inside[1:-1, 1:] != inside[1:-1, :-1])
    upright = np.stack([np.stack([columns - 0.5, rows - 0.5], 1), np.stack([columns - 0.5, rows + 0.5], 1)], 1)
    lines = list(np.concatenate([flat, upright]))
    axes.add_collection(LineCollection(lines, colors="black", linewidths=width * 2, alpha=0.5), autolim=False)
    axes.add_collection(LineCollection(lines, colors=FINDING, linewidths=width), autolim=False)


def _mark_sides(axes: Any, size: float = 9) -> None:
    """Write R and L at the edges of a slice that is seen from the feet: the patient's right is on the left."""
    from matplotlib.patheffects import withStroke

    for across, letter in ((0.02, "R"), (0.98, "L")):
        axes.text(
            across,
            0.5,
            letter,
            transform=axes.transAxes,
            ha="left" if letter == "R" else "right",
            va="center",
            color="white",
            fontsize=size,
            fontweight="bold",
            path_effects=[withStroke(linewidth=2, foreground="black")],
        )

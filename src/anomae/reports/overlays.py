"""Overlay pictures: a slice of a scan in grey, beside it the same with what the detector marks in colour above it."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from anomae.files import written_whole
from anomae.progress import progress
from anomae.runs.scoring_folder import ScoredScan, ScoringFolder

FINDING = "#3fe0d0"  # the outline of findings, on pages too: no colour of the maps is near it
_KEY = "anomae findings above"  # in the PNG: by which threshold it was drawn
CLEAR_BELOW = 0.1  # share of the colour scale below which the scan alone is seen


def draw_overlays(
    folder: ScoringFolder, overlays: int, scale_before: float | None, map_name: str, threshold: float | None = None
) -> float | None:
    """Draw the highest slices of all scans of `folder` on one colour scale; returns its upper end.

    overlays: of a scan, at most.  scale_before: of the overlays that are there; drawn anew is only what is missing, or
    all where the scale or the threshold has changed.  map_name: what the maps' numbers are, with unit.  threshold:
    regions of the map above it are findings, and outlined; None where there is none.
    """
    scans = [scan for scan in folder.scans.values() if scan.heat_top is not None and scan.pictured]
    if not scans or not overlays:
        return None
    scale = max(scan.heat_top or 0.0 for scan in scans)
    with progress("draw", len(scans), "scans") as bar:
        for scan in scans:
            drawn = folder.overlays(scan.name)
            if (
                scale != scale_before
                or len(drawn) != min(overlays, scan.pictured)
                or any(_threshold_of(path) != _said(threshold) for path in drawn)
            ):
                for old in drawn:
                    old.unlink()
                _draw_scan(folder, scan, overlays, scale, map_name, threshold)
            bar.advance()
    return scale


def _draw_scan(
    folder: ScoringFolder, scan: ScoredScan, overlays: int, scale: float, map_name: str, threshold: float | None
) -> None:
    with np.load(folder.highest_path(scan.name), allow_pickle=False) as kept:
        grey, heat, aspect = kept["grey"], kept["heat"], float(kept["aspect"])
        # Kept by earlier versions without them: nothing is then said of sides, nor of how many slices there are.
        sides, count = bool(kept.get("sides", False)), int(kept.get("count", 0))
        for index, (number, score) in enumerate(zip(kept["slices"][:overlays], kept["scores"], strict=False)):
            draw_overlay(
                folder.overlay_path(scan.name, int(number)),
                grey[index],
                heat[index],
                grey=(0, 255),
                heat_top=scale,
                title=f"{scan.name}{'' if count == 1 else f'   slice {number}'}   score {score:.4g}",
                aspect=aspect,
                map_name=map_name,
                threshold=threshold,
                slice_of=(int(number), count) if count > 1 else None,
                sides=sides,
            )


def draw_overlay(
    path: Path,
    image: npt.NDArray[np.float32],
    heat: npt.NDArray[np.float32],
    *,
    grey: tuple[float, float],
    heat_top: float,
    title: str,
    map_name: str,
    aspect: float = 1.0,
    threshold: float | None = None,
    slice_of: tuple[int, int] | None = None,
    sides: bool = False,
) -> None:
    """Write a PNG to `path`.

    image, heat: (h, w), of the same pixels.  grey: the values of `image` drawn black and white.  heat_top: the value
    of `heat` at the upper end of the colour bar, the same for all pictures that are to be compared; what is below a
    tenth of it stays grey.  aspect: height of a pixel over its width.  map_name: what `heat` is.  threshold: of
    findings, which are outlined.  slice_of: the number of the slice, counted from the feet, and how many there are.
    sides: mark the patient's right, which is on the left, and left.
    """
    # The object interface draws without a display and leaves the user's pyplot state alone.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize
    from matplotlib.figure import Figure

    height, width = image.shape[0] * aspect, max(image.shape[1], 1)
    panel = float(np.clip(height / width, 0.4, 2.5))  # height of a panel whose width is 1
    across, title_height, foot = 4.2, 0.35, 0.32  # inches
    total = panel * across + title_height + foot
    figure = Figure(figsize=(2 * across + 1.0, total), dpi=100)
    FigureCanvasAgg(figure)
    figure.suptitle(title, fontsize=10, y=0.99, parse_math=False)
    # Positions by hand: matplotlib's own layouts cost more time than all the rest of a picture.
    share, bottom, panel_share = across / (2 * across + 1.0), foot / total, panel * across / total
    low, high = grey
    top = heat_top if heat_top > 0 else 1.0
    for left, is_map in ((0.0, False), (share, True)):
        axes = figure.add_axes((left + 0.005, bottom + 0.01, share - 0.01, panel_share - 0.02))
        axes.imshow(image, cmap="gray", vmin=low, vmax=max(high, low + 1e-6), aspect=aspect, interpolation="nearest")
        axes.set_axis_off()
        if is_map:
            axes.imshow(coloured(heat, top), aspect=aspect, interpolation="nearest")
            outline(axes, heat, threshold)
        if sides:
            mark_sides(axes)
    scale = ScalarMappable(Normalize(0.0, top), "inferno")
    cax = figure.add_axes((2 * share + 0.005, bottom + 0.1 * panel_share, 0.02, 0.8 * panel_share))
    bar = figure.colorbar(scale, cax=cax)
    bar.set_label(map_name, fontsize=8, parse_math=False)
    bar.ax.tick_params(labelsize=8)
    foot_axes = figure.add_axes((0.0, 0.0, 1.0, bottom))
    foot_axes.set(xlim=(0, 1), ylim=(0, 1))
    foot_axes.set_axis_off()
    if slice_of is not None:
        _draw_position(foot_axes, *slice_of, start=0.02, end=share - 0.17)
    if threshold is not None:
        if threshold <= top:
            bar.ax.axhline(threshold, color=FINDING, lw=1.6)
        foot_axes.plot((share + 0.01, share + 0.04), (0.5, 0.5), color=FINDING, lw=1.6)
        said = f"finding: above {threshold:.4g}" + ("" if (heat > threshold).any() else " (none in this slice)")
        foot_axes.text(share + 0.05, 0.5, said, fontsize=8.5, va="center")
    with written_whole(path) as temporary:
        figure.savefig(temporary, format="png", metadata={_KEY: _said(threshold)})


def outline(axes: Any, heat: npt.NDArray[Any], threshold: float | None, width: float = 1.2) -> None:
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


def mark_sides(axes: Any, size: float = 9) -> None:
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


def _draw_position(axes: Any, number: int, count: int, start: float, end: float) -> None:
    """A line from feet to head with the slice on it."""
    at = start + 0.035 + (end - start - 0.075) * number / max(count - 1, 1)
    axes.text(start, 0.5, "feet", fontsize=8.5, va="center")
    axes.text(end, 0.5, "head", fontsize=8.5, va="center", ha="right")
    axes.plot((start + 0.035, end - 0.04), (0.5, 0.5), color="#9aa5b1", lw=1.5, zorder=1)
    axes.plot((at,), (0.5,), marker="o", ms=5, color="#1f2933", zorder=2)
    axes.text(end + 0.012, 0.5, f"slice {number} of {count}", fontsize=8.5, va="center")


def _said(threshold: float | None) -> str:
    return "none" if threshold is None else repr(float(threshold))


def _threshold_of(picture: Path) -> str:
    """By which threshold the findings of an overlay were outlined; "" in a picture of an earlier version."""
    from PIL import Image

    with Image.open(picture) as opened:
        return str(opened.info.get(_KEY, ""))


def coloured(heat: npt.NDArray[np.float32], top: float) -> npt.NDArray[np.float64]:
    """A map (h, w) as colours (h, w, 4) to be laid over its image: clear below a tenth of `top`."""
    from matplotlib import colormaps

    colours: npt.NDArray[np.float64] = colormaps["inferno"](np.clip(heat / top, 0.0, 1.0))
    colours[..., 3] = np.clip((heat / top - CLEAR_BELOW) / 0.5, 0.0, 0.75)
    return colours


def heat_top(heat: npt.NDArray[np.float32], threshold: float | None = None) -> float:
    """The upper end of a colour scale that suits a map: its 99.9th percentile, but no less than the threshold."""
    top = max(float(np.percentile(heat, 99.9)), threshold or 0.0)
    return top if top > 0 else 1.0


def grey_range(image: npt.NDArray[Any]) -> tuple[float, float]:
    """The values to draw black and white: the 0.5th and the 99.5th percentile of what is finite in `image`."""
    finite = image[np.isfinite(image)] if image.dtype.kind == "f" else image.ravel()
    if finite.size == 0:
        return (0.0, 1.0)
    low, high = np.percentile(finite, (0.5, 99.5))
    return (float(low), float(high))

"""Overlay pictures: a slice of a scan in grey, beside it the same with what the detector marks in colour above it."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from anomae.files import written_whole
from anomae.progress import progress
from anomae.runs.scoring_folder import ScoredScan, ScoringFolder

CLEAR_BELOW = 0.1  # share of the colour scale below which the scan alone is seen


def draw_overlays(folder: ScoringFolder, overlays: int, scale_before: float | None, map_name: str) -> float | None:
    """Draw the highest slices of all scans of `folder` on one colour scale; returns its upper end.

    overlays: of a scan, at most.  scale_before: of the overlays that are there; drawn anew is only what is missing, or
    all where the scale has changed.  map_name: what the maps' numbers are, with unit.
    """
    scans = [scan for scan in folder.scans.values() if scan.heat_top is not None and scan.pictured]
    if not scans or not overlays:
        return None
    scale = max(scan.heat_top or 0.0 for scan in scans)
    with progress("draw", len(scans), "scans") as bar:
        for scan in scans:
            drawn = folder.overlays(scan.name)
            if scale != scale_before or len(drawn) != min(overlays, scan.pictured):
                for old in drawn:
                    old.unlink()
                _draw_scan(folder, scan, overlays, scale, map_name)
            bar.advance()
    return scale


def _draw_scan(folder: ScoringFolder, scan: ScoredScan, overlays: int, scale: float, map_name: str) -> None:
    with np.load(folder.highest_path(scan.name), allow_pickle=False) as kept:
        grey, heat, aspect = kept["grey"], kept["heat"], float(kept["aspect"])
        for index, (number, score) in enumerate(zip(kept["slices"][:overlays], kept["scores"], strict=False)):
            draw_overlay(
                folder.overlay_path(scan.name, int(number)),
                grey[index],
                heat[index],
                grey=(0, 255),
                heat_top=scale,
                title=f"{scan.name}   slice {number}   score {score:.4g}",
                aspect=aspect,
                map_name=map_name,
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
) -> None:
    """Write a PNG to `path`.

    image, heat: (h, w), of the same pixels.  grey: the values of `image` drawn black and white.  heat_top: the value
    of `heat` at the upper end of the colour bar, the same for all pictures that are to be compared; what is below a
    tenth of it stays grey.  aspect: height of a pixel over its width.  map_name: what `heat` is.
    """
    # The object interface draws without a display and leaves the user's pyplot state alone.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize
    from matplotlib.figure import Figure

    height, width = image.shape[0] * aspect, max(image.shape[1], 1)
    panel = float(np.clip(height / width, 0.4, 2.5))  # height of a panel whose width is 1
    across, title_height = 4.2, 0.35  # inches
    figure = Figure(figsize=(2 * across + 1.0, panel * across + title_height), dpi=100)
    FigureCanvasAgg(figure)
    figure.suptitle(title, fontsize=10, y=0.99)
    # Positions by hand: matplotlib's own layouts cost more time than all the rest of a picture.
    share, top_share = across / (2 * across + 1.0), panel * across / (panel * across + title_height)
    low, high = grey
    for left in (0.0, share):
        panel_axes = figure.add_axes((left + 0.005, 0.01, share - 0.01, top_share - 0.02))
        panel_axes.imshow(
            image, cmap="gray", vmin=low, vmax=max(high, low + 1e-6), aspect=aspect, interpolation="nearest"
        )
        panel_axes.set_axis_off()
    top = heat_top if heat_top > 0 else 1.0
    scale = ScalarMappable(Normalize(0.0, top), "inferno")
    panel_axes.imshow(coloured(heat, top), aspect=aspect, interpolation="nearest")
    bar = figure.colorbar(scale, cax=figure.add_axes((2 * share + 0.005, 0.1 * top_share, 0.02, 0.8 * top_share)))
    bar.set_label(map_name, fontsize=8)
    bar.ax.tick_params(labelsize=8)
    with written_whole(path) as temporary:
        figure.savefig(temporary, format="png")


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
    finite = image[np.isfinite(image)]
    if finite.size == 0:
        return (0.0, 1.0)
    low, high = np.percentile(finite, (0.5, 99.5))
    return (float(low), float(high))

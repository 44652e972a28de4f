"""Overlay pictures: a slice of a scan in grey, beside it the same with what the detector marks in colour above it."""

from typing import Any

import numpy as np
import numpy.typing as npt

from anomae.progress import progress
from anomae.reports.overlay_picture import draw_overlay, said, threshold_of
from anomae.runs.scoring_folder import ScoredScan, ScoringFolder


def draw_overlays(folder: ScoringFolder, overlays: int, scale_before: float | None, map_name: str) -> float | None:
    """Draw the highest slices of all scans of `folder` on one colour scale; returns its upper end.

    overlays: of a scan, at most.  scale_before: of the overlays that are there; drawn anew is only what is missing, or
    all where the scale or the scan's threshold has changed.  map_name: what the maps' numbers are, with unit.  What is
    outlined are the findings of each scan: none where none were looked for.
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
                or any(threshold_of(path) != said(scan.finding_threshold) for path in drawn)
            ):
                for old in drawn:
                    old.unlink()
                _draw_scan(folder, scan, overlays, scale, map_name)
            bar.advance()
    return scale


def _draw_scan(folder: ScoringFolder, scan: ScoredScan, overlays: int, scale: float, map_name: str) -> None:
    refused = bool(scan.unsuited) and scan.finding_threshold is None
    with np.load(folder.highest_path(scan.name), allow_pickle=False) as kept:
        grey, heat, aspect = kept["grey"], kept["heat"], float(kept["aspect"])
        # Kept by earlier versions without them: nothing is then said of sides, nor of how many slices there are.
        sides, count = bool(kept.get("sides", False)), int(kept.get("count", 0))
        window = f"   {kept['window']}" if "window" in kept else ""
        for index, (number, score) in enumerate(zip(kept["slices"][:overlays], kept["scores"], strict=False)):
            draw_overlay(
                folder.overlay_path(scan.name, int(number)),
                grey[index],
                heat[index],
                grey=(0, 255),
                heat_top=scale,
                title=f"{scan.name}{'' if count == 1 else f'   slice {number}'}   score {score:.4g}{window}",
                aspect=aspect,
                map_name=map_name,
                threshold=scan.finding_threshold,
                without="no findings were looked for: the model was not made for this scan" if refused else "",
                slice_of=(int(number), count) if count > 1 else None,
                sides=sides,
            )


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

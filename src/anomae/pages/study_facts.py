"""What a study page says in words and numbers, as JSON: scores, flags, findings, windows, and why."""

from typing import Any

import numpy as np

from anomae.inference.decision import Decision
from anomae.inference.finding import Finding
from anomae.inference.study import Study
from anomae.pages.identifiers import label_of
from anomae.pages.presets import windows_of
from anomae.pages.shown import Shown, on_page
from anomae.reports.overlay_picture import CLEAR_BELOW
from anomae.reports.overlays import heat_top

COLOURS = "inferno"  # the colour map of all maps, as in overlays and reports


def study_facts(study: Study, shown: Shown, identify: bool) -> dict[str, Any]:
    """All that study.js needs beside the voxels.  Positions are (z, y, x) in the page's order at full resolution."""
    result, decision, windows = study.result, study.decision, windows_of(study)
    findings = () if study.regions is None else study.regions.findings
    top = None
    if result.map is not None:
        top = max([heat_top(result.map, decision.rules.finding.threshold), *(each.maximum for each in findings)])
    highest = int(np.argmax(decision.scores))
    return {
        "label": label_of(study.name, identify),
        "volume": shown.grid is not None,
        "shape": list(shown.shape),
        "by": list(shown.by),
        "shown": list(shown.scan.stored.shape[:3]),
        "spacing_mm": _spacing(study, shown),
        "affine": None if shown.grid is None else shown.grid.affine_lps()[:3].round(6).tolist(),
        "colour": shown.scan.stored.ndim == 4,
        "scan": {"slope": shown.scan.slope, "intercept": shown.scan.intercept, "type": shown.scan.stored.dtype.name},
        "map": None
        if shown.heat is None or top is None
        else {
            "slope": shown.heat.slope,
            "top": top,
            "name": result.map_name,
            "threshold": None if study.regions is None else decision.rules.finding.threshold,
            "clear_below": CLEAR_BELOW,
            "colours": colour_table(),
        },
        "has_findings": shown.labels is not None,
        "unit": windows.unit,
        "modality": windows.modality,
        "modality_guessed": windows.guessed,
        "windows": [{"name": name, "low": low, "high": high} for name, (low, high) in windows.ranges.items()],
        "window": windows.first,
        "slices": {
            "index": result.kept.tolist(),
            "number": result.slices.tolist(),
            "score": [_rounded(score) for score in decision.scores],
            "flag": None if decision.flags is None else decision.flags.tolist(),
            "share": None if decision.shares_below is None else [round(float(s), 4) for s in decision.shares_below],
            "position_mm": [None if np.isnan(mm) else round(float(mm), 2) for mm in result.positions_mm],
        },
        "calibration": decision.calibration,
        "threshold": decision.rules.slice.threshold,
        "findings": [_finding(study, each) for each in findings],
        "start": _start(study, shown, findings, int(result.kept[highest])),
    }


def verdict(decision: Decision) -> dict[str, str]:
    """One line about the scan: "state" is "flagged", "clear" or "none"; "title" and "sentence" say so in words."""
    score, rule = f"{decision.scan_score:.4g}", decision.rules.scan
    if decision.scan_flag is None or rule.threshold is None:
        return {
            "state": "none",
            "title": "No flag",
            "sentence": f"The scan's score is {score}. {decision.unflagged.removeprefix('No flag.').strip()}",
        }
    above = "above" if decision.scan_flag else "not above"
    score, threshold = _told_apart(decision.scan_score, rule.threshold)
    return {
        "state": "flagged" if decision.scan_flag else "clear",
        "title": "Flagged" if decision.scan_flag else "Not flagged",
        "sentence": f"Its highest slice score, {score}, is {above} the threshold of scans, {threshold}.",
    }


def _told_apart(score: float, threshold: float) -> tuple[str, str]:
    """Both in four digits, or in as many as say which is higher."""
    for digits in range(4, 17):
        said = f"{score:.{digits}g}", f"{threshold:.{digits}g}"
        if (float(said[0]) > float(said[1])) == (score > threshold):
            return said
    return repr(float(score)), repr(float(threshold))


def rule_sentences(study: Study) -> list[tuple[str, str]]:
    """By which rules scans, slices and findings are flagged, and from what they were made: (what, sentence)."""
    rules = study.decision.rules
    lines = [("Scan", rules.scan.sentence), ("Slice", rules.slice.sentence), ("Finding", rules.finding.sentence)]
    if study.decision.calibration:
        lines.append(("Calibration", f"{study.decision.calibration}."))
    near = study.suitability
    if near.distance is not None:
        further = "" if near.percentile is None else f", farther than {near.percentile:.3g} % of held-out healthy scans"
        lines.append(("Distance", f"Its features lie {near.distance:.3g} from the training normals{further}."))
    return lines


def no_findings_sentence(study: Study) -> str:
    """Why the table of findings is empty."""
    rule = study.decision.rules.finding
    if study.regions is None and rule.threshold is not None and not study.suitability.suited:
        return "No findings were looked for: the model was not made for this scan."
    if study.regions is None:
        return rule.sentence
    if rule.threshold is None:
        return "No finding."
    return f"No region of the map is above {rule.threshold:.4g}."


def colour_table() -> list[list[int]]:
    """256 colours (red, green, blue), 0..255."""
    from matplotlib import colormaps

    table: list[list[int]] = (colormaps[COLOURS](np.arange(256))[:, :3] * 255).round().astype(int).tolist()
    return table


def _finding(study: Study, finding: Finding) -> dict[str, Any]:
    return {
        "number": finding.number,
        "at": list(on_page(study, finding.peak)),
        "slices": list(finding.slices),
        "maximum": _rounded(finding.maximum),
        "mean": _rounded(finding.mean),
        "voxels": finding.voxels,
        "volume_mm3": None if finding.volume_mm3 is None else _rounded(finding.volume_mm3),
        "centroid_mm": None if finding.centroid_mm is None else [round(mm, 1) for mm in finding.centroid_mm],
    }


def _start(study: Study, shown: Shown, findings: tuple[Finding, ...], highest: int) -> list[int]:
    """Where a page begins: at the highest finding, else at the map's highest point in the highest slice."""
    if findings:
        return list(on_page(study, findings[0].peak))
    heat = study.result.axial_map
    if heat is None or not np.ptp(heat[highest]) > 0:
        return [highest, shown.shape[1] // 2, shown.shape[2] // 2]
    row, column = (int(side) for side in np.unravel_index(int(np.argmax(heat[highest])), heat[highest].shape))
    if shown.grid is None:
        return [highest, row, column]
    return [highest, shown.shape[1] - 1 - row, shown.shape[2] - 1 - column]


def _spacing(study: Study, shown: Shown) -> list[float]:
    if shown.grid is None:
        return [1.0, *(float(mm) for mm in study.result.case.spacing_mm)]
    return [mm / step for mm, step in zip(shown.grid.spacing_mm, shown.by, strict=True)]


def _rounded(value: float) -> float:
    """To seven significant digits: more than a page shows, and half the text."""
    return float(f"{value:.7g}")

"""Findings of the maps evaluated against lesions, a scan at a time, beside the image itself taken as a map."""

from typing import Any

import numpy as np
import numpy.typing as npt

from anomae.progress import progress
from anomae.reports.map_evaluation import MOST_RESAMPLES, image_threshold
from anomae.reports.schema_findings import (
    FindingFigures,
    FindingsAtThreshold,
    FoundLesions,
    FrocFigures,
    FrocPoint,
    Rate,
)
from anomae.reports.schema_values import Share
from anomae.runs.calibration import LevelCounts
from anomae.slices.store import SliceStore
from anomae.statistics.froc import FindingCounts, froc, match, stacked
from anomae.statistics.holders import holders
from anomae.statistics.intervals import PatientBootstrap, mean_estimate
from anomae.statistics.lesions import SIZES
from anomae.statistics.operating_point import Threshold
from anomae.statistics.pixels import level_value, map_threshold
from anomae.statistics.rates import rate
from anomae.statistics.ratios import ratio

MOST_POINTS = 200  # of a curve, in report.json
NO_BASE = "No FROC curve: there are no maps of held-out normal slices to say from which value on a region is a finding."
CROWDED = "The map is noisy: above the base of the FROC curve it has {:.0f} findings a scan."
MANY = 50  # findings of one scan; of more than these, the results of new scans hold the highest only
Rows = npt.NDArray[np.int64]


def evaluate_findings(
    store: SliceStore,
    rows: Rows,
    maps: npt.NDArray[Any] | None,
    indices: Rows,
    ordered: npt.NDArray[np.bool_],
    rule: tuple[Threshold | None, str],
    calibration: LevelCounts | None,
    bootstrap: PatientBootstrap,
) -> FindingFigures | None:
    """None where no lesion, no mask or no map is known.

    rows: (n,) of the store.  indices: (n,), where in `maps` each of them stands.  ordered: (n,), whether the slices of
    its scan are neighbours by their numbers; each other slice stands alone.  rule: the threshold of findings and its
    sentence.  calibration: pixels of held-out healthy tissue by level (m, 4096), and their patients.  bootstrap: over
    patients; at most 1,000 of its resamples are used.
    """
    index = store.index
    known = np.flatnonzero(~np.isnan(index.lesion_fraction[rows]))
    if maps is None or not store.has_lesions or not (index.lesion_fraction[rows[known]] > 0).any():
        return None
    scans = _scans(index.case[rows], ordered, known)
    names, patient = np.unique([index.patient[rows[one[0]]] for one in scans], return_inverse=True)
    threshold, sentence = rule
    base = None if calibration is None else map_threshold(*calibration)
    base_of_images = image_threshold(store)
    at, of_map, of_images = FindingCounts(), FindingCounts(), FindingCounts()
    with progress("findings", len(scans), "scans") as bar:
        for who, one in zip(patient.tolist(), scans, strict=True):
            z = stacked(index.slice[rows[one]])
            lesions = _volume(store.lesions(rows[one]), z, False)
            judged = store.judged(rows[one]) if store.has_ignored else None
            heat = _heat(np.asarray(maps[indices[one]], dtype=np.float32), judged, z)
            at.add(match(heat, lesions, np.inf if threshold is None else threshold.value), who)
            if base is not None:
                of_map.add(match(heat, lesions, level_value(base)), who)
            if base_of_images is not None:
                pictures = _heat(store.select(rows[one]).pictures(slice(None)), judged, z)
                of_images.add(match(pictures, lesions, level_value(base_of_images)), who)
            bar.advance()
    own = bootstrap.of(np.arange(len(names)), most=MOST_RESAMPLES)
    each = len(of_map.column("scores")) / len(scans)
    return FindingFigures(
        unit="scan" if bool(ordered[known].any()) else "image",
        scans=len(scans),
        healthy_scans=int(np.count_nonzero(at.healthy)),
        lesions=len(at.column("voxels")),
        threshold_sentence=sentence,
        at_threshold=None if threshold is None else _at_threshold(at, threshold),
        froc=None if base is None else _curve(of_map, level_value(base), own),
        image_intensity=None if base_of_images is None else _curve(of_images, level_value(base_of_images), own),
        note=" ".join([*([NO_BASE] if base is None else []), *([CROWDED.format(each)] if each > MANY else [])]),
    )


def _scans(case: npt.NDArray[np.str_], ordered: npt.NDArray[np.bool_], known: Rows) -> list[Rows]:
    """Which of the tested slices make up each scan; one of its own for each slice that has no neighbours."""
    _, scan = np.unique(case[known], return_inverse=True)
    order = np.argsort(scan, kind="stable")
    parts = np.split(known[order], np.flatnonzero(np.diff(scan[order])) + 1)
    return [one for part in parts for one in ([part] if ordered[part].all() else np.split(part, len(part)))]


def _volume(slices: npt.NDArray[Any], z: Rows, elsewhere: Any) -> npt.NDArray[Any]:
    """(k, h, w) put at z (k,) along the first axis."""
    out = np.full((int(z.max()) + 1, *slices.shape[1:]), elsewhere, dtype=slices.dtype)
    out[z] = slices
    return out


def _heat(slices: npt.NDArray[np.float32], judged: npt.NDArray[np.bool_] | None, z: Rows) -> npt.NDArray[np.float32]:
    return _volume(slices if judged is None else np.where(judged, slices, np.float32(-np.inf)), z, -np.inf)


def _curve(counts: FindingCounts, base: float, bootstrap: PatientBootstrap) -> FrocFigures | None:
    found = froc(counts, bootstrap)
    if found is None:
        return None
    kept = np.unique(np.linspace(0, len(found.score) - 1, min(MOST_POINTS, len(found.score))).astype(int))
    return FrocFigures.model_validate(
        {
            "base": base,
            "sensitivity": {name: Share.of(estimate) for name, estimate in found.sensitivity.items()},
            "mean": Share.of(mean_estimate(list(found.sensitivity.values()))),
            "most_false_per_scan": float(found.false_per_scan[-1]) if len(kept) else 0.0,
            "curve": [
                FrocPoint(
                    score=float(found.score[point]),
                    false_per_scan=float(found.false_per_scan[point]),
                    recall=float(found.recall[point]),
                )
                for point in kept
            ],
        }
    )


def _at_threshold(counts: FindingCounts, threshold: Threshold) -> FindingsAtThreshold:
    scans, healthy = counts.scans(), counts.healthy
    true, of_finding = counts.column("true").astype(np.bool_), counts.patients_of("true")
    return FindingsAtThreshold.model_validate(
        {
            "threshold": threshold.value,
            "bound": threshold.bound,
            "findings": len(true),
            "true": Share.of_known(_share(true, of_finding, len(scans))),
            "lesions": _by_size(counts, len(scans)),
            "false_per_scan": Rate.of_known(rate(counts.false(), scans)),
            "false_per_healthy_scan": Rate.of_known(rate(counts.false(healthy), counts.scans(healthy))),
        }
    )


def _by_size(counts: FindingCounts, patients: int) -> dict[str, FoundLesions]:
    voxels, patient = counts.column("voxels"), counts.patients_of("voxels")
    found = np.isfinite(counts.column("found_at"))
    band = np.searchsorted(np.quantile(voxels, (1 / 3, 2 / 3)), voxels, side="left")
    groups = {}
    for name, here in [("all", band >= 0), *((name, band == number) for number, name in enumerate(SIZES))]:
        if here.any():
            groups[name] = FoundLesions(
                lesions=int(np.count_nonzero(here)),
                smallest=int(voxels[here].min()),
                largest=int(voxels[here].max()),
                found=Share.of_known(_share(found[here], patient[here], patients)),
            )
    return groups


def _share(hit: npt.NDArray[np.bool_], patient: Rows, patients: int) -> Any:
    over, under = (np.bincount(patient[chosen], minlength=patients) for chosen in (hit, np.ones_like(hit)))
    return ratio(over.astype(np.float64), under.astype(np.float64), (holders("findings or lesions", under),))

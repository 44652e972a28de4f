"""Figures of whole patients and whole scans, and of the slices of one band of the scan or of tissue area."""

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from anomae.statistics.aggregation import WAYS, whole
from anomae.statistics.intervals import PatientBootstrap
from anomae.statistics.metrics import SLICE_METRICS
from anomae.statistics.scored import ScoredSlices

BANDS = 5


def whole_figures(
    slices: ScoredSlices, unit: str, scores: npt.NDArray[np.float64], resamples: int, seed: int
) -> dict[str, Any] | None:
    """AUROC of each way to aggregate, and under `metrics` every metric; null where units are of one class.

    unit: "patient" or "case".  None where a unit is a slice: the slice figures say it already.
    """
    patient, label, columns = whole(slices, unit, scores)
    if len(label) == len(slices):
        return None
    abnormal = int(np.count_nonzero(label))
    content: dict[str, Any] = {"normal": len(label) - abnormal, "abnormal": abnormal}
    if abnormal in (0, len(label)):
        nothing = dict.fromkeys(SLICE_METRICS)
        return {**content, **dict.fromkeys(columns), "metrics": dict.fromkeys(WAYS, nothing)}
    bootstrap = PatientBootstrap(patient, resamples, seed)
    judged = bootstrap.aurocs(label, columns)
    metrics = bootstrap.metrics(label, {way: columns[way] for way in WAYS})
    return {
        **content,
        **{way: estimate.interval().to_json() for way, estimate in judged.items()},
        "metrics": {
            way: {name: estimate.interval().to_json() for name, estimate in row.items()} for way, row in metrics.items()
        },
    }


def banded_figures(
    slices: ScoredSlices,
    scores: npt.NDArray[np.float64],
    trivial_baseline: npt.NDArray[np.float64] | None,
    bootstrap: PatientBootstrap,
) -> dict[str, list[dict[str, Any]]]:
    """AUROC of the score, and of the best `trivial_baseline` of all slices, in each fifth of the scan and of tissue.

    Bands without both classes have no figure.  Kinds of which nothing is known are left out.
    """
    found: dict[str, list[dict[str, Any]]] = {}
    columns: Mapping[str, Any] = (
        {"score": scores} if trivial_baseline is None else {"score": scores, "trivial_baseline": trivial_baseline}
    )
    for kind, (band, names) in _bands(slices).items():
        for number, name in enumerate(names):
            indices = np.flatnonzero(band == number)
            abnormal = int(np.count_nonzero(slices.label[indices]))
            row: dict[str, Any] = {
                "name": name,
                "normal": len(indices) - abnormal,
                "abnormal": abnormal,
                "score": None,
                "trivial_baseline": None,
            }
            if 0 < abnormal < len(indices):
                judged = bootstrap.aurocs(slices.label, columns, rows=indices)
                row |= {column: estimate.interval().to_json() for column, estimate in judged.items()}
            found.setdefault(kind, []).append(row)
    return found


def _bands(slices: ScoredSlices) -> dict[str, tuple[npt.NDArray[np.int64], list[str]]]:
    found = {}
    position = slices.relative_position
    if np.isfinite(position).any():
        band = np.where(np.isnan(position), -1, np.minimum(np.nan_to_num(position) * BANDS, BANDS - 1)).astype(np.int64)
        found["position"] = (band, [f"{k / BANDS:.1f} to {(k + 1) / BANDS:.1f}" for k in range(BANDS)])
    known = np.isfinite(slices.body_fraction)
    if known.any():
        edges = np.unique(np.quantile(slices.body_fraction[known], np.linspace(0, 1, BANDS + 1)))
        if len(edges) > 2:
            band = np.searchsorted(edges[1:-1], slices.body_fraction, side="right")
            names = [f"{100 * low:.0f} to {100 * high:.0f} %" for low, high in pairwise(edges)]
            found["tissue_area"] = (np.where(known, band, -1).astype(np.int64), names)
    return found

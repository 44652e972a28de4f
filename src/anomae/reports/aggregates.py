"""Figures of patients and scans, and of the slices of one band of the scan or of tissue area."""

from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from anomae.reports.schema import Aggregate, Band
from anomae.reports.schema_values import MetricFigures, Share
from anomae.statistics.aggregation import WAYS, aggregated
from anomae.statistics.intervals import PatientBootstrap
from anomae.statistics.scored import ScoredSlices

BANDS = 5


def aggregated_figures(
    slices: ScoredSlices, level: str, scores: npt.NDArray[np.float64], bootstrap: PatientBootstrap
) -> Aggregate | None:
    """AUROC of each way to aggregate, and under `metrics` every metric; None figures where all are of one class.

    level: "patient" or "case".  bootstrap: over the patients of `slices`.  None where each has one slice: the slice
    figures say it already.
    """
    patient, label, columns = aggregated(slices, level, scores)
    if len(label) == len(slices):
        return None
    abnormal = int(np.count_nonzero(label))
    shares: dict[str, Any] = dict.fromkeys(columns)
    metrics = dict.fromkeys(WAYS, MetricFigures.of(None))
    if abnormal not in (0, len(label)):
        own = bootstrap.of(patient)
        shares = {way: Share.of(auroc) for way, auroc in own.aurocs(label, columns).items()}
        measured = own.metrics(label, {way: columns[way] for way in WAYS})
        metrics = {way: MetricFigures.of(measured[way]) for way in WAYS}
    return Aggregate.model_validate(
        {"normal": len(label) - abnormal, "abnormal": abnormal, **shares, "metrics": metrics}
    )


def banded_figures(
    slices: ScoredSlices,
    scores: npt.NDArray[np.float64],
    trivial_baseline: npt.NDArray[np.float64] | None,
    bootstrap: PatientBootstrap,
) -> dict[str, list[Band]]:
    """AUROC of the score, and of the best `trivial_baseline` of all slices, in each fifth of the scan and of tissue.

    Bands without both classes have no figure.  Kinds of which nothing is known are left out.
    """
    kinds: dict[str, list[Band]] = {}
    columns = {"score": scores}
    if trivial_baseline is not None:
        columns["trivial_baseline"] = trivial_baseline
    for kind, (band, names) in _bands(slices).items():
        for number, name in enumerate(names):
            indices = np.flatnonzero(band == number)
            abnormal = int(np.count_nonzero(slices.label[indices]))
            shares: dict[str, Share] = {}
            if 0 < abnormal < len(indices):
                aurocs = bootstrap.aurocs(slices.label, columns, rows=indices)
                shares = {column: Share.of(auroc) for column, auroc in aurocs.items()}
            kinds.setdefault(kind, []).append(
                Band(
                    name=name,
                    normal=len(indices) - abnormal,
                    abnormal=abnormal,
                    score=shares.get("score"),
                    trivial_baseline=shares.get("trivial_baseline"),
                )
            )
    return kinds


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

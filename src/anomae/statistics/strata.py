"""Subsets of the test set in which a score is evaluated again, and groups within which slices are compared."""

import numpy as np
import numpy.typing as npt

from anomae.statistics.positions import tenth_of_scan
from anomae.statistics.scored import ScoredSlices

MID_SCAN = (0.35, 0.80)
MID_BODY = 0.15
MOST_SITES = 12


def strata(slices: ScoredSlices) -> dict[str, npt.NDArray[np.int64]]:
    """Indices of the slices in each stratum: `all`, `without_empty`, `mid`, `site: NAME`, `scanner: ...`, `source: ..`.

    `without_empty` where some slice is empty; `mid` (relative position 0.35..0.80 and more than 15 % filled) where
    positions are known: filled as it was scanned, so that the same slices count under every preparation, or by tissue
    area where that is not known; sites, scanners and sources where there are two or more, of each the 12 largest.
    """
    every = np.arange(len(slices))
    found = {"all": every}
    if slices.empty.any() and not slices.empty.all():
        found["without_empty"] = np.flatnonzero(~slices.empty)
    position = np.nan_to_num(slices.relative_position, nan=-1.0)
    mid = (position >= MID_SCAN[0]) & (position <= MID_SCAN[1]) & ~slices.empty
    filled = slices.body_fraction
    if slices.filled is not None:
        filled = np.where(np.isnan(slices.filled), filled, slices.filled)
    mid &= np.isnan(filled) | (filled > MID_BODY)
    if 0 < np.count_nonzero(mid) < len(slices):
        found["mid"] = np.flatnonzero(mid)
    for kind, column in slices.groups().items():
        names, counts = np.unique(column[column != ""], return_counts=True)
        for name in names[np.argsort(-counts, kind="stable")][:MOST_SITES]:
            found[f"{kind}: {name}"] = np.flatnonzero(column == name)
    return found


def matching_bands(slices: ScoredSlices) -> dict[str, npt.NDArray[np.int64]]:
    """Band of each slice (n,) by name, -1 where unknown: slices of one band are alike in what the name says.

    `position`: tenths of the scan; `tissue_area`: tenths of the test slices by tissue area; `site`, `scanner`,
    `source`.
    """
    found = {}
    if np.isfinite(slices.relative_position).any():
        found["position"] = tenth_of_scan(slices.relative_position)
    known = np.isfinite(slices.body_fraction)
    if known.any() and len(np.unique(slices.body_fraction[known])) > 1:
        edges = np.quantile(slices.body_fraction[known], np.linspace(0.1, 0.9, 9))
        band = np.searchsorted(edges, slices.body_fraction, side="right")
        found["tissue_area"] = np.where(known, band, -1).astype(np.int64)
    for kind, column in slices.groups().items():
        _, group = np.unique(column, return_inverse=True)
        found[kind] = np.where(column != "", group, -1).astype(np.int64)
    return found

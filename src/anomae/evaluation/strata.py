"""Parts of the test set in which a score is judged again, and groups within which slices are compared."""

import numpy as np
import numpy.typing as npt

from anomae.evaluation.positions import tenth_of_scan
from anomae.evaluation.scored import ScoredSlices

MID_SCAN = (0.35, 0.80)
MID_BODY = 0.15
MOST_SITES = 12


def strata(slices: ScoredSlices) -> dict[str, npt.NDArray[np.int64]]:
    """Places of the slices in each stratum: `all`, `without_empty`, `mid` and `site: NAME`.

    `without_empty` where some slice is empty; `mid` (relative position 0.35..0.80 and more than 15 % tissue) where
    positions are known; sites where there are two or more.
    """
    every = np.arange(len(slices))
    found = {"all": every}
    if slices.empty.any() and not slices.empty.all():
        found["without_empty"] = np.flatnonzero(~slices.empty)
    position = np.nan_to_num(slices.relative_position, nan=-1.0)
    mid = (position >= MID_SCAN[0]) & (position <= MID_SCAN[1]) & ~slices.empty
    mid &= np.isnan(slices.body_fraction) | (slices.body_fraction > MID_BODY)
    if 0 < np.count_nonzero(mid) < len(slices):
        found["mid"] = np.flatnonzero(mid)
    sites, counts = np.unique(slices.site[slices.site != ""], return_counts=True)
    if len(sites) > 1:
        for site in sites[np.argsort(-counts, kind="stable")][:MOST_SITES]:
            found[f"site: {site}"] = np.flatnonzero(slices.site == site)
    return found


def matching_bands(slices: ScoredSlices) -> dict[str, npt.NDArray[np.int64]]:
    """Band of each slice (n,) by name, -1 where unknown: slices of one band are alike in what the name says.

    `position`: tenths of the scan; `tissue_area`: tenths of the test slices by tissue area; `site`.
    """
    found = {}
    if np.isfinite(slices.relative_position).any():
        found["position"] = tenth_of_scan(slices.relative_position)
    known = np.isfinite(slices.body_fraction)
    if known.any() and len(np.unique(slices.body_fraction[known])) > 1:
        edges = np.quantile(slices.body_fraction[known], np.linspace(0.1, 0.9, 9))
        band = np.searchsorted(edges, slices.body_fraction, side="right")
        found["tissue_area"] = np.where(known, band, -1).astype(np.int64)
    if len(np.unique(slices.site[slices.site != ""])) > 1:
        _, site = np.unique(slices.site, return_inverse=True)
        found["site"] = np.where(slices.site != "", site, -1).astype(np.int64)
    return found

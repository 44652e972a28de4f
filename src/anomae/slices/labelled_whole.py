"""Abnormal scans without a lesion mask: told, as every slice of them counts as abnormal, those beside a lesion too."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from anomae.cohorts.case import ABNORMAL
from anomae.slices.index import SliceIndex


def labelled_whole(
    index: SliceIndex, pairing: Mapping[str, Any], rows: npt.NDArray[np.int64] | None = None
) -> list[str]:
    """A sentence, without its full stop, where several slices of a scan have the label of the scan; [] elsewhere.

    pairing: of scans and masks, as the cohort tells it; without one, labels are not taken from folders.  rows: which
    slices to look at, None: all.
    """
    if not pairing.get("abnormal_without_mask"):
        return []
    case, label, share = (
        column if rows is None else column[rows] for column in (index.case, index.label, index.lesion_fraction)
    )
    _, scan, slices = np.unique(case, return_inverse=True, return_counts=True)
    otherwise = np.zeros(len(slices), dtype=np.bool_)
    otherwise[scan[(label != ABNORMAL) | ~np.isnan(share)]] = True
    count = int(np.count_nonzero(~otherwise & (slices > 1)))
    if not count:
        return []
    return [
        f"{count} abnormal scan(s) have no lesion mask: all their slices count as abnormal, those that show no lesion "
        "too; read the figures by patient, not by slice"
    ]

"""Whether the abnormal scans of a store were made otherwise than its healthy ones."""

from collections.abc import Collection
from pathlib import Path

import numpy as np
import numpy.typing as npt

from anomae.slices.acquisition import scan_facts
from anomae.slices.index import SliceIndex
from anomae.statistics.acquisition import AcquisitionFacts, SetApart, set_apart


def acquired_apart(
    store: Path, index: SliceIndex, rows: npt.NDArray[np.int64] | None = None, ill: Collection[str] = ()
) -> list[SetApart]:
    """What tells patients with an abnormal slice in `rows` of the store's index from the others there.

    rows: None for all.  ill: patients who have abnormal slices that are not in the store.
    """
    rows = np.arange(len(index)) if rows is None else rows
    rows = rows[index.label[rows] >= 0]
    cases, first, at = np.unique(index.case[rows], return_index=True, return_inverse=True)
    patient = index.patient[rows][first]
    abnormal = np.isin(patient, sorted(ill))
    np.logical_or.at(abnormal, at, index.label[rows] == 1)
    numbers, names = scan_facts(store, [str(case) for case in cases])
    names["site"] = [{str(site)} - {""} for site in index.site[rows][first]]
    return set_apart(AcquisitionFacts(numbers, names), abnormal, patient)

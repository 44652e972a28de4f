"""Scans of several slices that have one label are counted; pictures, masks and labels by slice are not."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from anomae.slices.index import COLUMNS, SliceIndex, _typed
from anomae.slices.labelled_whole import labelled_whole

PAIRING = {"abnormal_without_mask": 1}
FIELDS = dict.fromkeys(COLUMNS, "0") | {"position_mm": "", "lesion_fraction": "", "label": "1", "split": "test"}


def index(cases: str) -> SliceIndex:
    """A slice a letter, of the case of that name; all abnormal, no mask known."""
    columns = {name: (field,) * len(cases) for name, field in FIELDS.items()} | {"case": tuple(cases)}
    return SliceIndex(**_typed(columns, Path("index.csv")))


@pytest.mark.parametrize(("cases", "count"), [("aab", 1), ("aabb", 2), ("abc", 0), ("", 0)])
def test_scans_of_several_slices_are_counted(cases: str, count: int) -> None:
    said = labelled_whole(index(cases), PAIRING)
    assert [sentence.split(" abnormal scan(s)")[0] for sentence in said] == [str(count)] * bool(count)
    assert labelled_whole(index(cases), {}) == []


def test_a_mask_or_another_label_of_a_slice_is_no_label_of_the_whole() -> None:
    whole = index("aabb")
    labels = replace(whole, label=np.array([1, 0, 1, -1], np.int8))
    assert labelled_whole(labels, PAIRING) == []
    masked = replace(whole, lesion_fraction=np.array([0.5, 0.1, np.nan, np.nan]))
    assert labelled_whole(masked, PAIRING)[0].startswith("1 abnormal scan(s) have no lesion mask")
    assert labelled_whole(masked, PAIRING, np.array([0, 1, 2])) == []

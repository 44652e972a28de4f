"""What lies in a data set, told without making anything of it."""

import json

import pytest

from anomae.errors import UserError
from anomae.phantoms.layouts import write_phantom_data_set
from anomae.stages.inspect_data import inspect_data


@pytest.fixture
def brats(tmp_path):
    write_phantom_data_set(tmp_path / "brats", "brats2020", count=3, shape=(8, 16, 20))
    return tmp_path / "brats"


def test_counts_and_the_first_scan_are_told(brats):
    facts = inspect_data("brats2020", brats, modality="t2")
    assert (facts["cases"], facts["patients"], facts["with_lesion_mask"]) == (3, 3, 3)
    assert facts["first_shape"] == [8, 16, 20]
    assert facts["first_case"].endswith("_t2.nii.gz")
    assert facts["first_range"][0] < facts["first_range"][1]
    assert facts["first_labels"]["healthy"] + facts["first_labels"]["abnormal"] == 8
    assert facts["first_has_lesion_mask"] is True
    json.dumps(facts, allow_nan=False)


def test_a_broken_first_scan_is_told_not_raised(brats):
    (brats / "BraTS20_Training_001" / "BraTS20_Training_001_t1.nii.gz").write_bytes(b"broken")
    facts = inspect_data("brats2020", brats)
    assert facts["first_case"].startswith("not readable: ")
    assert facts["cases"] == 3


def test_nothing_is_written(brats):
    before = sorted(path.stat().st_mtime_ns for path in brats.rglob("*"))
    inspect_data("brats2020", brats)
    assert sorted(path.stat().st_mtime_ns for path in brats.rglob("*")) == before


def test_an_empty_folder_is_refused(tmp_path):
    with pytest.raises(UserError):
        inspect_data("brats2020", tmp_path)

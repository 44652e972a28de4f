"""What a case adds to a store: its slices' splits, what is dropped and why, and no exception that stops the others."""

import json
from pathlib import Path

import numpy as np
import pytest

from anomae.cohorts.case import ABNORMAL, HEALTHY, UNKNOWN, Case
from anomae.cohorts.released_lists import ReleasedLists
from anomae.slices.preparing import prepare_case
from anomae.slices.rows import read_rows, rows_or_reason
from anomae.slices.settings import settings_from
from anomae.slices.split_rule import SplitRule


def rows(cohort, settings, splits=None, number=0):
    return read_rows(cohort.cases()[number], cohort, splits or SplitRule(), settings)


def test_abnormal_slices_do_not_train(make_case, make_cohort, small):
    found = rows(make_cohort({"a": make_case()}), small)
    assert found.entry["columns"]["slice"] == [0, 1, 3, 4]
    assert found.entry["columns"]["label"] == [HEALTHY] * 4
    assert found.entry["dropped"] == {"abnormal in the training split": 2}
    assert found.entry["abnormal_patients"] == ["a"]
    assert found.images.dtype == np.float16
    assert len(found.images) == len(found.lesions) == found.entry["rows"] == 4


@pytest.mark.parametrize("split", ["validation", "test"])
def test_elsewhere_all_slices_stay(make_case, make_cohort, small, split):
    case = make_case()
    found = rows(make_cohort({"a": case}, {"a": split}), small)
    assert found.entry["rows"] == 6
    assert found.entry["dropped"] == {}
    prepared = prepare_case(case, small)
    np.testing.assert_array_equal(found.images, prepared.images)
    np.testing.assert_array_equal(np.unpackbits(found.lesions, axis=-1, count=12), prepared.lesions)


def test_slices_of_unknown_label_do_not_train(make_case, make_cohort, small):
    labels = np.array([HEALTHY, UNKNOWN, ABNORMAL, HEALTHY, UNKNOWN, HEALTHY], np.int8)
    found = rows(make_cohort({"a": make_case(labels=labels, lesions=False)}), small)
    assert found.entry["columns"]["slice"] == [0, 3, 5]
    assert found.entry["dropped"]["of unknown label in the training split"] == 2
    assert found.lesions is None
    assert found.entry["columns"]["lesion_fraction"] == [None] * 3


def test_empty_slices_train_unless_they_are_not_to(make_case, make_cohort):
    settings = settings_from({"image_size": 16, "drop_empty_training": True})
    cohort = make_cohort({"a": make_case(), "b": make_case()}, {"b": "test"})
    assert rows(cohort, settings).entry["columns"]["slice"] == [1, 3, 4]
    assert rows(cohort, settings).entry["dropped"]["empty in the training split"] == 1
    assert rows(cohort, settings, number=1).entry["rows"] == 6


def test_the_middle_is_counted(make_case, make_cohort):
    settings = settings_from({"image_size": 16, "slices": "mid"})
    found = rows(make_cohort({"a": make_case()}, {"a": "test"}), settings)
    assert found.entry["columns"]["slice"] == [2, 3, 4]
    assert found.entry["dropped"] == {"outside the middle of the scan": 3}


def test_the_data_set_may_say_the_part_slice_by_slice(make_case, make_cohort, small):
    splits = np.array(["train", "train", "test", "", "", "validation"])
    patients = np.array(["p", "p", "q", "q", "r", "r"])
    found = rows(make_cohort({"a": make_case(splits=splits, patients=patients)}), small)
    assert found.entry["columns"]["split"] == [0, 0, 2, 1]
    assert found.entry["columns"]["patient"] == ["p", "p", "q", "r"]
    assert found.entry["dropped"] == {"in no split": 2}
    assert found.entry["abnormal_patients"] == ["q", "r"]


def test_patients_decide_where_they_were_drawn(make_case, make_cohort, small):
    patients = np.array(["p", "p", "q", "q", "r", "r"])
    cohort = make_cohort({"a": make_case(splits=np.full(6, "test"), patients=patients)})
    found = rows(cohort, small, SplitRule(patients={"p": "train", "q": "test", "r": "validation"}))
    assert found.entry["columns"]["split"] == [0, 0, 2, 2, 1, 1]


def test_the_released_lists_decide_alone_and_drop_what_they_do_not_name(make_case, make_cohort, small):
    lists = ReleasedLists("brats2020", 10_000_000 * 7 + np.array([0, 1, 2, 4]), np.array([0, 0, 4, 3], np.int8))
    cohort = make_cohort({"volume_7": make_case(), "volume_8": make_case()}, {"volume_7": "validation"})
    found = rows(cohort, small, SplitRule(lists=lists))
    assert found.entry["columns"]["slice"] == [0, 1, 2, 4]
    assert found.entry["columns"]["split"] == [0, 0, 2, 2]
    assert rows(cohort, small, SplitRule(lists=lists), 1).entry["dropped"] == {"in no split": 6}


def test_what_is_said_can_be_journalled(make_case, make_cohort, small):
    entry = rows(make_cohort({"a": make_case()}), small).entry
    assert json.loads(json.dumps(entry, allow_nan=False)) == entry


def test_the_digest_is_of_images_and_lesions(make_case, make_cohort, small):
    def digest(case):
        return rows(make_cohort({"a": case}), small).entry["digest"]

    assert digest(make_case()) == digest(make_case())
    assert len({digest(make_case()), digest(make_case(seed=1)), digest(make_case(lesions=False))}) == 3


@pytest.mark.parametrize(
    ("raised", "said"),
    [
        ("scans/a is cut short.", "scans/a is cut short."),
        (OSError("input/output error"), "scans/a: input/output error"),
        (MemoryError(), "scans/a: MemoryError"),
        (KeyError("spacing"), "scans/a: unforeseen KeyError in conftest.py"),
    ],
)
def test_a_broken_scan_gives_a_reason_that_names_it(make_cohort, small, raised, said):
    cohort = make_cohort({"a": raised})
    reason = rows_or_reason(cohort.cases()[0], cohort, SplitRule(), small)
    assert reason.startswith(said)


def test_a_scan_that_cannot_be_prepared_gives_a_reason_too(make_case, make_cohort, small):
    cohort = make_cohort({"a": make_case(images=np.full((6, 20, 24), np.nan), lesions=False)})
    assert (
        rows_or_reason(cohort.cases()[0], cohort, SplitRule(), small)
        == "scans/a: none of its voxels is a finite number."
    )


def test_a_patient_who_was_not_drawn_is_in_no_part(make_case):
    case = Case("a", "p", Path("a"))
    assert SplitRule(patients={"q": "train"}).of(case, make_case()).tolist() == [""] * 6

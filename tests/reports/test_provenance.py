"""Slices in no split, as a fold leaves them, are counted nowhere and put nobody in several splits."""

import numpy as np

from anomae.reports.provenance import count_splits, in_several_splits, leak_warning, split_sentences
from anomae.statistics.trivial_baselines import labelled_elsewhere

SPLIT = np.array(["train", "", "validation", "validation", "test", ""])
PATIENT = np.array(["a", "a", "b", "b", "c", "d"])
LABEL = np.array([0, 1, 0, 1, 1, 0], dtype=np.int8)


def test_slices_in_no_split_are_not_counted():
    counts = count_splits(SPLIT, LABEL, np.zeros(6, dtype=np.bool_), PATIENT, PATIENT)
    assert list(counts) == ["train", "validation", "test"]
    assert counts["train"]["abnormal"] == 0
    assert sum(split["normal"] + split["abnormal"] for split in counts.values()) == 4


def test_a_patient_whose_other_slices_are_in_no_split_is_in_one_split():
    assert in_several_splits(SPLIT, PATIENT) == 0
    assert in_several_splits(np.where(SPLIT == "", "test", SPLIT), PATIENT) == 1


def test_position_is_learned_from_no_slice_that_is_in_no_split():
    np.testing.assert_array_equal(labelled_elsewhere(SPLIT, LABEL, "test"), [2, 3])


def test_that_no_patient_is_in_several_splits_is_said_only_where_patients_are_known():
    counts = count_splits(SPLIT, LABEL, np.zeros(6, dtype=np.bool_), PATIENT, PATIENT)
    assert "No patient is in several splits" in " ".join(split_sentences(counts, 0, None))
    said = split_sentences(counts, 0, None, "file", "Patients unknown.")
    assert "Patients unknown." in said
    assert "several splits" not in " ".join(said)
    assert leak_warning(0, 3, True) != ""
    assert leak_warning(0, 3, True, "file", "Patients unknown.") == ""
    assert "1 of 3 files" in leak_warning(1, 3, False, "file", "Patients unknown.")

"""Folds by patient: laws for every set of patients, and refusals."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anomae.cohorts.folds import fold_of_patients, splits_in_fold
from anomae.errors import UserError


@st.composite
def cohorts(draw):
    folds = draw(st.integers(2, 6))
    count = draw(st.integers(2 * folds, 40))
    patients = [f"p{number}" for number in range(count)]
    return patients, draw(st.sets(st.sampled_from(patients))), folds, draw(st.integers(0, 99))


@given(cohorts())
def test_every_patient_is_tested_once_and_folds_are_alike_in_size_and_illness(made):
    patients, ill, folds, seed = made
    fold_of = fold_of_patients(patients, ill, folds, seed)
    assert set(fold_of) == set(patients)
    for group in (patients, ill, set(patients) - ill):
        sizes = Counter(fold_of[name] for name in group)
        counts = [sizes[fold] for fold in range(folds)]
        assert sum(counts) == len(group)
        assert max(counts) - min(counts) <= 1
    assert fold_of == fold_of_patients(reversed(patients), sorted(ill), folds, seed)


@given(cohorts())
def test_the_parts_of_a_fold_are_disjoint_and_one_in_six_validates(made):
    patients, ill, folds, seed = made
    fold_of = fold_of_patients(patients, ill, folds, seed)
    tested = []
    for fold in range(folds):
        splits = splits_in_fold(fold_of, patients, fold, seed)
        assert set(splits) == set(patients)
        own = [name for name in patients if splits[name] == "test"]
        assert own == [name for name in patients if fold_of[name] == fold]
        counts = Counter(splits.values())
        others = len(patients) - len(own)
        assert counts["validation"] == max(1, min(-(-others // 6), others - 1))
        assert counts["train"] == others - counts["validation"] >= 1
        tested += own
    assert sorted(tested) == sorted(patients)


def test_who_has_no_healthy_slice_neither_trains_nor_validates():
    patients = [f"p{number}" for number in range(12)]
    fold_of = fold_of_patients(patients, ["p0", "p1", "p2"], 3, 0)
    for fold in range(3):
        splits = splits_in_fold(fold_of, set(patients) - {"p0", "p1"}, fold, 0)
        for name in ("p0", "p1"):
            assert splits[name] == ("test" if fold_of[name] == fold else "")


def test_the_seed_decides():
    patients = [f"p{number}" for number in range(30)]
    one, other = (fold_of_patients(patients, [], 5, seed) for seed in (0, 1))
    assert one != other
    assert splits_in_fold(one, patients, 0, 0) != splits_in_fold(one, patients, 0, 1)


def test_too_few_patients_are_refused():
    with pytest.raises(UserError, match="9 patients are too few for 5 folds: 10 are needed"):
        fold_of_patients([f"p{number}" for number in range(9)], [], 5, 0)
    assert len(fold_of_patients([f"p{number}" for number in range(10)], [], 5, 0)) == 10
    with pytest.raises(UserError, match="2 folds or more"):
        fold_of_patients(["a", "b", "c"], [], 1, 0)
    with pytest.raises(UserError, match=r"leaves 1 patient\(s\) with healthy slices"):
        splits_in_fold({"a": 0, "b": 0, "c": 1, "d": 1}, ["a", "b", "c"], 0, 0)

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anomae.cohorts.case import ABNORMAL, HEALTHY, SPLITS, UNKNOWN, Case
from anomae.cohorts.splits import parse_subsets, refuse_leaks, split_names, split_patients, split_slices
from anomae.errors import LeakySplit, UserError


def scans(count, label=UNKNOWN, start=0):
    return [Case(f"scan {n}", f"patient {n}", Path("x"), label=label) for n in range(start, start + count)]


def test_the_counts_of_the_paper():
    for seed in range(5):
        splits = Counter(split_patients(scans(369), seed).values())
        assert splits == {"train": 176, "validation": 45, "test": 148}


@given(st.integers(3, 80), st.integers(0, 40), st.integers(0, 10**6), st.floats(0.05, 0.9), st.floats(0.05, 0.9))
def test_every_patient_gets_one_part_and_no_part_is_empty(useful, abnormal, seed, test, validation):
    cases = scans(useful) + scans(abnormal, ABNORMAL, start=useful)
    splits = split_patients(cases, seed, test, validation)
    assert set(splits) == {case.patient for case in cases}
    assert set(splits.values()) == set(SPLITS)
    assert not any(splits[case.patient] == "train" for case in cases if case.label == ABNORMAL)
    if abnormal >= 2:
        assert {splits[case.patient] for case in cases[useful:]} == {"validation", "test"}


@given(st.permutations(scans(12) + scans(5, ABNORMAL, start=12)), st.integers(0, 99))
def test_the_order_of_the_cases_does_not_count(cases, seed):
    assert split_patients(cases, seed) == split_patients(sorted(cases, key=lambda case: case.case), seed)


def test_another_seed_is_another_split():
    assert split_patients(scans(40), 0) != split_patients(scans(40), 1)


def test_a_patient_with_healthy_and_abnormal_scans_may_be_trained_on():
    both = [Case(f"{n}{label}", str(n), Path("x"), label=label) for n in range(30) for label in (HEALTHY, ABNORMAL)]
    assert Counter(split_patients(both, 0).values()) == {"train": 14, "validation": 4, "test": 12}


def test_abnormal_patients_are_shared_in_the_proportion_of_validation_to_test():
    splits = split_patients(scans(100) + scans(130, ABNORMAL, start=100), 0)
    abnormal = Counter(splits[f"patient {n}"] for n in range(100, 230))
    assert abnormal == {"validation": 30, "test": 100}


def test_without_validation_there_is_none():
    assert set(split_names("abcdef", "gh", 0, 0.5, 0.0).values()) == {"train", "test"}


def test_slices_are_split_by_patient_as_scans_are():
    patients = np.repeat([f"patient {n}" for n in range(9)], 4)
    labels = np.where(np.arange(36) >= 32, ABNORMAL, HEALTHY)
    splits = split_slices(patients, labels, 3)
    assert refuse_leaks(patients, splits) == 0
    assert dict(zip(patients, splits, strict=True)) == split_patients(scans(8) + scans(1, ABNORMAL, start=8), 3)


def test_parts_that_the_data_set_fixes_are_kept():
    cases = [Case("a", "p", Path("x"), split="test"), Case("b", "q", Path("x"), split="train")]
    assert split_patients(cases, 0) == {"p": "test", "q": "train"}
    with pytest.raises(LeakySplit, match="1 of 1 patients"):
        split_patients([cases[0], Case("b", "p", Path("x"), split="train")], 0)
    with pytest.raises(UserError, match="1 of 2 cases"):
        split_patients([cases[0], Case("c", "r", Path("x"))], 0)


@pytest.mark.parametrize(
    ("count", "shares"), [(0, (0.4, 0.2)), (1, (0.4, 0.2)), (9, (0.0, 0.2)), (9, (1.0, 0.2)), (9, (0.4, 1.0))]
)
def test_what_cannot_be_split_is_refused(count, shares):
    with pytest.raises(UserError):
        split_patients(scans(count), 0, *shares)


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from(["", *SPLITS])), max_size=12))
def test_a_leak_is_a_patient_in_two_parts(pairs):
    patients, splits = [name for name, _ in pairs], [split for _, split in pairs]
    expected = sum(len({split for name, split in pairs if name == each and split}) > 1 for each in set(patients))
    assert refuse_leaks(patients, splits, allow_leak=True) == expected
    if expected:
        with pytest.raises(LeakySplit, match=f"^{expected} of .*--allow-leak"):
            refuse_leaks(patients, splits)
    else:
        assert refuse_leaks(patients, splits) == 0


def test_the_refusal_names_no_patient():
    with pytest.raises(LeakySplit) as refused:
        refuse_leaks(["Jane Doe", "Jane Doe"], ["train", "test"])
    assert "Doe" not in str(refused.value)
    assert "train, test" in str(refused.value)


def test_subsets_as_text():
    assert parse_subsets("train=0-1, validation=6,test=7-8+5") == {
        0: "train",
        1: "train",
        6: "validation",
        7: "test",
        8: "test",
        5: "test",
    }
    for wrong in (
        "",
        "train",
        "train=",
        "train=0-",
        "trian=0",
        "train=0-3,test=3",
        "train=0-5,test=9-6",
        "train=0+5-4,test=9",
    ):
        with pytest.raises(UserError, match="subset"):
            parse_subsets(wrong)

"""Names of groups: in one spelling, whichever type they are stored in."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anomae.cohorts.array_cohort import Arrays
from anomae.cohorts.group_names import Spelling

WRITINGS = {
    "integers": lambda numbers: np.array(numbers, np.int64),
    "small integers": lambda numbers: np.array(numbers, np.int32),
    "floats": lambda numbers: np.array(numbers, np.float64),
    "text": lambda numbers: np.array([str(number) for number in numbers]),
    "bytes": lambda numbers: np.array([str(number).encode() for number in numbers]),
    "leading zeros": lambda numbers: np.array([f"{number:03d}" for number in numbers]),
    "text of floats": lambda numbers: np.array([f"{number}.0" for number in numbers]),
}


@given(
    numbers=st.lists(st.integers(0, 10**6), min_size=1, max_size=6),
    written=st.permutations(list(WRITINGS)),
)
def test_a_number_is_one_patient_however_it_is_written_and_spelled_as_it_was_first(numbers, written):
    spelling = Spelling()
    for name in written:
        spelling.learn(WRITINGS[name](numbers))
    first = WRITINGS[written[0]](numbers).astype(np.str_).tolist()
    for name in written:
        assert spelling.named(WRITINGS[name](numbers)) == first
    assert len(set(first)) == len(set(numbers))


@given(st.lists(st.floats() | st.integers(-(10**20), 10**20).map(float), min_size=1, max_size=6))
def test_numbers_of_one_type_stay_as_they_are(numbers):
    groups = np.array(numbers) + 0.0  # no -0.0
    spelling = Spelling()
    spelling.learn(groups)
    assert spelling.named(groups) == groups.astype(np.str_).tolist()
    assert spelling.notes({}) == []


def test_text_is_spelled_as_it_was_first_and_numbers_stay():
    spelling = Spelling()
    for groups in (["P1", "p 1"], ["P-01", "q"]):
        spelling.learn(np.array(groups))
    spelling.learn(np.array([1.01, 1.1]))
    assert spelling.named(np.array(["p1", "Q", "r"])) == ["P1", "q", "r"]
    assert spelling.named(np.array([1.01, 7])) == ["1.01", "7.0"]
    assert spelling.others == 2


def test_patients_of_two_files_in_two_spellings_are_one(tmp_path):
    for name, groups in (("a", ["P1", "P2"]), ("b", ["p 1", "P3"])):
        images = np.random.default_rng(0).random((2, 8, 8)).astype(np.float32)
        np.savez(tmp_path / f"{name}.npz", images=images, groups=np.array(groups))
    cohort = Arrays(tmp_path)
    assert [cohort.read(case).patients.tolist() for case in cohort.cases()] == [["P1", "P2"], ["P1", "P3"]]
    (said,) = cohort.notes()
    assert said.startswith("1 name(s) of patients differ")


@pytest.mark.parametrize(
    ("one", "other", "said"),
    [
        (np.array([1, 2]), np.array([1.0, 3.0]), ["1 name(s) of patients are others but for decimals"]),
        (
            np.array([1.0, 2.0]),
            np.array(["001", "003"]),
            ["1 name(s) of patients differ from another in case, leading"],
        ),
        (np.array([1, 2]), np.array(["001", "003"]), ["1 name(s) of patients differ from another in case, leading"]),
        (np.array([1.5, 2.0]), np.array([1, 3]), []),
    ],
)
def test_a_patient_of_two_files_in_two_types_is_one(one, other, said, tmp_path):
    for name, groups in (("a", one), ("b", other)):
        np.savez(tmp_path / f"{name}.npz", images=np.zeros((2, 8, 8), np.float32), groups=groups)
    cohort = Arrays(tmp_path)
    first, second = (cohort.read(case).patients.tolist() for case in cohort.cases())
    assert first == one.astype(np.str_).tolist()
    assert (second[0] == first[0], len({*first, *second})) == (bool(said), 3 if said else 4)
    notes = cohort.notes()
    assert [note.startswith(start) for note, start in zip(notes, said, strict=True)] == [True] * len(said)

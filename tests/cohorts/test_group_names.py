"""Groups in arrays: in one spelling where they are text, as they are where they are numbers."""

import numpy as np

from anomae.cohorts.array_cohort import Arrays
from anomae.cohorts.group_names import Spelling


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

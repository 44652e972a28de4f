"""Columns that say nothing of ours: named and left out, unless they could be meant as one of ours."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anomae.cohorts.case_table import COLUMNS
from anomae.cohorts.diagnosis_columns import ALIASES
from anomae.cohorts.other_columns import left_out_columns
from anomae.errors import UserError

TABLE = Path("cases.csv")


def left_out(columns, *rows):
    return left_out_columns(columns, list(enumerate(rows, 2)), COLUMNS, ALIASES, TABLE)


def slips(word):
    """Names one slip of the pen away: a letter too many, too few, exchanged, or another."""
    at = st.integers(0, len(word) - 1)
    letter = st.sampled_from("aeinrst")
    return st.one_of(
        st.builds(lambda i: word[:i] + word[i + 1 :], at),
        st.builds(lambda i, c: word[:i] + c + word[i:], at, letter),
        st.builds(lambda i, c: word[:i] + c + word[i + 1 :], at, letter),
        st.builds(lambda i: word[:i] + word[i : i + 2][::-1] + word[i + 2 :], at),
    ).filter(lambda name: name not in COLUMNS)


@given(st.sampled_from(["patient", "label", "split"]).flatmap(slips))
def test_a_slip_of_the_pen_is_never_left_out(name):
    with pytest.raises(UserError, match="not known; rename it or leave it out"):
        left_out(["file", "patient", "label", "split", name], ["a", "p", "0", "test", "x"])


@pytest.mark.parametrize(
    ("name", "role"),
    [
        *[("subject", "patient"), ("participant", "patient"), ("mrn", "patient"), ("study_uid", "patient")],
        *[("pathology", "label"), ("tumor grade", "label"), ("is_abnormal", "label"), ("fold", "split")],
        *[("subset", "split"), ("segmentation", "mask"), ("roi_file", "mask")],
    ],
)
def test_what_could_be_a_role_is_refused_where_nothing_else_tells_it(name, role):
    with pytest.raises(UserError, match=f"none called {role}; call it {role} if"):
        left_out(["file", name], ["a", "x"])
    assert name in left_out([*COLUMNS, name], ["a", "p", "0", "test", "", "", "x"])[0]


@pytest.mark.parametrize("marks", [("0", "1"), ("1.0", "0.0"), ("True", "False"), ("yes", "no")])
def test_yes_and_no_could_be_labels(marks):
    with pytest.raises(UserError, match="none called label"):
        left_out(["file", "smoker"], *(["a", mark] for mark in marks))
    assert left_out(["file", "label", "smoker"], *(["a", "0", mark] for mark in marks))


def test_nothing_to_leave_out_is_no_sentence():
    assert left_out(["file", "patient"], ["a", "p"]) == []


def test_all_are_named_also_one_without_a_name():
    (said,) = left_out(["", "file", "label", "target", "age", "localization"], ["0", "a", "1", "1", "5", "scalp"])
    assert "(one without a name), target, age, localization of the table" in said

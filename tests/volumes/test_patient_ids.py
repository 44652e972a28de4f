"""One patient in all spellings, and never two in one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anomae.volumes.patient_ids import HeaderPatient, is_missing, likeness, plain_name, pseudonym

SPELLINGS = (
    str.upper,
    str.lower,
    lambda name: f"  {name} ",
    lambda name: name.replace("-", "_"),
    lambda name: name.replace("-", " "),
    lambda name: name.replace("-", ""),
    lambda name: name.replace("-", "-000"),
    lambda name: name.replace("p", "\uff50"),  # the wide letter of an East Asian keyboard
)


@given(st.integers(1, 10**6), st.sampled_from(SPELLINGS), st.integers(1, 10**6))
def test_all_spellings_are_alike_and_other_numbers_are_not(number, spelled, other):
    name = f"pat-{number}"
    assert plain_name(spelled(name)) == plain_name(name)
    assert likeness(spelled(name)) == likeness(name)
    assert (likeness(f"pat-{other}") == likeness(name)) == (other == number)


@pytest.mark.parametrize(
    ("one", "other"),
    [("1-11", "11-1"), ("1-11", "111"), ("P10", "P1"), ("1.01", "1.1"), ("A1B", "A-1-C"), ("10", "1"), ("P0", "P")],
)
def test_what_tells_two_patients_apart_stays(one, other):
    assert plain_name(one) != plain_name(other)


def test_a_pseudonym_is_that_of_the_id_alone():
    """Of ordinary IDs it is what it was in earlier versions; that of other spellings is another one."""
    assert pseudonym("PERSON 1") == pseudonym(" PERSON 1 ") == "cbcb331212a3ce33"
    assert pseudonym("person 1") != pseudonym("PERSON 1")
    assert pseudonym("") == likeness(" ") == ""
    assert HeaderPatient.of("X") == HeaderPatient(pseudonym("X"), likeness("x"))
    assert likeness("X") != pseudonym("X")


@given(st.sampled_from(["", " ", "nan", "NaN", "N/A", "none", "?", "-"]), st.integers(0, 99))
def test_what_names_nobody(word, number):
    assert is_missing(word)
    assert not is_missing(f"{word}{number}")

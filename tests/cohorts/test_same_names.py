"""Sequences and channels of one patient are told by their names; pictures that are merely numbered are not."""

from pathlib import PurePosixPath

from hypothesis import given
from hypothesis import strategies as st

from anomae.cohorts.same_names import names_shared

PARTS = {"flair", "t1", "ses-1", "images"}


def shared(*names):
    scans = [(PurePosixPath(name).parent, PurePosixPath(name).name) for name in names]
    return names_shared(scans, lambda part: part.lower() in PARTS)


def test_sequences_of_a_name_are_one_patient():
    assert shared("healthy/P1_t1", "healthy/p1-FLAIR", "healthy/P2_t1", "abnormal/P1_t1") == [
        "healthy/P1",
        "healthy/P1",
        "",
        "",
    ]
    assert shared("h/t1/P1", "h/FLAIR/P1", "h/P2") == ["h/P1", "h/P1", ""]


def test_a_name_that_is_a_sequence_alone_is_no_patient():
    assert shared("h/t1", "h/flair", "h/a_t1_2", "h/a_t1_3") == [""] * 4


@given(st.integers(2, 9), st.integers(2, 5))
def test_channels_of_several_cases_in_a_folder(channels, cases):
    names = [f"h/imagesTr/C_{case:03d}_{channel:04d}" for case in range(cases) for channel in range(channels)]
    alone = [f"a/imagesTr/D_{channel:04d}" for channel in range(channels)]
    found = shared(*names, *alone)
    assert found[: len(names)] == [f"h/imagesTr/C_{case:03d}" for case in range(cases) for _ in range(channels)]
    assert found[len(names) :] == ["a/imagesTr/D"] * channels


@given(st.integers(2, 30), st.integers(0, 12))
def test_numbered_pictures_stay_apart(count, first):
    """Of one name in a folder, whatever its numbers; and of several, where a number is above nine."""
    names = [f"{kind}/{kind}_{number:04d}" for kind in ("healthy", "tumour") for number in range(first, first + count)]
    assert shared(*names) == [""] * len(names)
    many = [f"h/{kind}_{number:04d}" for kind in "ab" for number in range(11)]
    assert shared(*many) == [""] * len(many)


def test_equal_names_of_unlike_endings_stay_apart():
    assert shared("h/1", "h/1", "h/IMG_1", "h/img_1") == [""] * 4

"""Sequences and channels of one patient are told by their names; pictures that are merely numbered are not."""

from pathlib import PurePosixPath

from hypothesis import given
from hypothesis import strategies as st

from anomae.cohorts.same_names import NamedScan, names_shared

PARTS = {"flair", "t1", "ses-1", "images"}


def looked_at(*names, visits=()):
    """Names are CLASS/.../STEM."""
    scans = []
    for name in names:
        above, _, inside = name.partition("/")
        path = PurePosixPath(inside)
        scans.append(NamedScan(PurePosixPath(above), path.parent, path.name))
    return names_shared(scans, lambda part: part.lower() in {*PARTS, *visits}, lambda part: part in visits)


def shared(*names, visits=()):
    return [name for name, _ in looked_at(*names, visits=visits)]


def test_sequences_of_a_name_are_one_patient():
    assert shared("healthy/P1_t1", "healthy/p1-FLAIR", "healthy/P2_t1", "abnormal/P1_t1") == [
        "healthy/P1",
        "healthy/P1",
        "",
        "",
    ]
    assert shared("h/t1/P1", "h/FLAIR/P1", "h/P2") == ["h/P1", "h/P1", ""]


VISITS = ("v1", "v2", "v3")
CLASSES = st.sampled_from(["healthy", "abnormal"])


@given(st.sets(st.tuples(CLASSES, st.sampled_from(VISITS), st.sampled_from(["H0", "H1", "h2"])), min_size=2))
def test_who_comes_to_several_visits_is_one_patient_in_whichever_class_folders(scans):
    names = sorted(scans)
    found = looked_at(*(f"{kind}/{visit}/{who}" for kind, visit, who in names), visits=VISITS)
    for (_, _, who), (name, unclear) in zip(names, found, strict=True):
        assert name == (who if sum(each[2] == who for each in names) > 1 else "")
        assert not unclear


def test_who_comes_to_visits_may_also_lie_beside_them():
    names = ("healthy/v1/H0", "healthy/ses-1/H0", "healthy/H0", "abnormal/v2/H0", "abnormal/H1")
    assert shared(*names, visits=VISITS) == ["H0"] * 4 + [""]


def test_who_is_called_alike_in_the_sequences_of_two_classes_stays_two_patients_and_is_unclear():
    names = [f"{kind}/{sequence}/P1" for kind in ("healthy", "abnormal") for sequence in ("t1", "flair")]
    found = looked_at(
        *names, "healthy/t1/P2", "healthy/flair/P2", "healthy/P3_t1", "healthy/P3_flair", "abnormal/P3_t1"
    )
    assert [name for name, _ in found[:4]] == ["healthy/P1", "healthy/P1", "abnormal/P1", "abnormal/P1"]
    assert [unclear for _, unclear in found] == [True] * 4 + [False] * 5


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

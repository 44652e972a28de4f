"""Folders of sequences, planes and visits are no patients; those of patients stay patients, whatever lies in them."""

from itertools import product
from pathlib import PurePath

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anomae.cohorts.folder import Folder
from anomae.cohorts.part_folders import NO_FOLDERS, guessed_from_folders, parts_files, told_by_content
from anomae.cohorts.patient_names import doubt_of
from anomae.cohorts.same_names import SEQUENCE_WORDS
from anomae.cohorts.splits import split_patients
from anomae.errors import LeakySplit
from anomae.volumes.write import write_picture

SOMEBODY = ("P{}", "{}", "anna{}")
VISITS = ("baseline", "Follow-up", "followup2", "visit1", "Visit_2", "timepoint3", "month12", "6months", "session 2")
SERIES = ("t1", "T1_3D", "dwi_b1000", "dwi_b2000", "flair_1mm", "run-1", "run-2", "run-3", "001", "002", "003")


def told(*names):
    return told_by_content((PurePath(name), False) for name in names)


def cohort(source, names):
    for name in names:
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).touch()
    return Folder(source)


def patients(found):
    return {case.case: case.patient for case in found.cases()}


def doubt(found):
    return doubt_of({"cohort": "folder", "patients_told": found.patients_told()})


@pytest.mark.parametrize("name", [*SEQUENCE_WORDS.split("|"), "axial", "CORONAL", "sagittal", "images", *VISITS])
def test_folders_that_part_files_are_no_patients(name):
    assert parts_files(name)
    assert guessed_from_folders(PurePath(name) / "a.nii.gz", False) == ""
    assert guessed_from_folders(PurePath(name) / "p1", True) == "p1"
    assert guessed_from_folders(PurePath("p1") / name / "a.nii", False) == "p1"


@pytest.mark.parametrize("folders", [("t1ce", "flair"), ("t1n", "t1c", "t2f", "t2w"), ("baseline", "followup"), VISITS])
@pytest.mark.parametrize("place", ["{0}/P{1}.nii.gz", "{0}/P{1}/t1.nii.gz", "{0}/P{1}.png", "{0}/{1}.png"])
def test_who_lies_in_several_of_them_is_one_patient(tmp_path, folders, place):
    names = [f"healthy/{place.format(*each)}" for each in product(folders, range(5))]
    found = patients(cohort(tmp_path, names))
    assert len({*found.values()}) == 5
    for number in range(5):
        assert len({found[f"healthy/{place.format(folder, number)}"] for folder in folders}) == 1


@pytest.mark.parametrize("folders", [("V01", "V02", "V12"), ("m0", "m12"), ("TP1", "TP2"), ("tp-1", "tp-2", "tp-3")])
@pytest.mark.parametrize("place", ["{0}/H{1:02d}_T1.nii.gz", "{0}/Case-{1}/t1.nii.gz", "{0}/anat/P 7-{1}.mha"])
def test_visits_that_hold_the_same_people_are_no_patients_and_that_is_doubted(tmp_path, folders, place):
    names = [f"healthy/{place.format(*each)}" for each in product(folders, range(4))]
    found = cohort(tmp_path, names)
    for number in range(4):
        assert len({patients(found)[f"healthy/{place.format(folder, number)}"] for folder in folders}) == 1
    assert len({*patients(found).values()}) == 4
    assert "leakage cannot be excluded" in doubt(found)
    assert any("unclear which are the patients" in note for note in found.notes())


@pytest.mark.parametrize(
    "names",
    [
        [*product(("SiteA", "SiteB", "3"), (f"Patient_{number}.nii" for number in range(4)))],
        [("a", f"H{number}.nii") for number in (0, 2, 5, 7, 9)] + [("b", f"H{number}.nii") for number in (2, 5, 7, 12)],
        [*product(("V01", "V02", "screening"), (f"H{number}.nii" for number in range(5)))],
    ],
)
def test_other_folders_that_hold_the_same_people_stay_patients_and_that_is_doubted(tmp_path, names):
    found = cohort(tmp_path, [f"healthy/{folder}/{name}" for folder, name in names])
    for case, patient in patients(found).items():
        folder = case.split("/")[1]
        assert patient == folder or folder.startswith("V")
    assert {*found.patients_told()} == {"unclear"}


@given(st.integers(2, 20), st.sets(st.sampled_from(SERIES), min_size=1), st.sampled_from(SOMEBODY))
def test_patients_whose_scans_are_called_alike_stay_patients(count, series, name):
    for place in ("{}/{}.nii.gz", "{}/anat/{}.nii.gz", "{}/ses-1/{}/x.nii.gz"):
        assert told(*(place.format(name.format(who), scan) for who in range(count) for scan in series)) == NO_FOLDERS


LETTERS = st.text("abcdefghijklmnopqrstuvwxyz", min_size=1, max_size=4)


VIEWS = (("CC", "MLO"), ("left", "right"), ("Left_Eye", "Right_Eye"), ("OD", "OS"), ("L", "R"), ("LCC", "RCC", "L-MLO"))


@pytest.mark.parametrize("views", VIEWS)
@pytest.mark.parametrize("place", ["{0}/p{1:02d}.png", "{0}/{1:03d}.png", "{0}/P{1}/x.dcm", "{0}/png/H{1}.nii.gz"])
def test_who_lies_in_several_views_or_sides_is_one_patient(tmp_path, views, place):
    names = [f"healthy/{place.format(*each)}" for each in product(views, range(12))]
    names += [f"abnormal/{place.format(view, number)}" for view in views for number in range(12, 15)]
    cohort(tmp_path, names)
    found = patients(Folder(tmp_path))
    assert len({*found.values()}) == 15
    for at, number in [("healthy", 0), ("healthy", 11), ("abnormal", 14)]:
        assert len({found[f"{at}/{place.format(view, number)}"] for view in views}) == 1
    assert doubt(Folder(tmp_path)) == ""


@pytest.mark.parametrize("views", [*VIEWS, ("AP", "LAT"), ("coronal", "sagittal")])
def test_each_class_folder_of_views_may_count_from_one(tmp_path, views):
    names = [f"healthy/{view}/{number:03d}.png" for view in views for number in range(12)]
    names += [f"abnormal/{view}/{number:03d}.png" for view in views for number in range(8)]
    found = cohort(tmp_path, names)
    assert {*patients(found).values()} == {
        *(f"healthy/{number:03d}" for number in range(12)),
        *(f"abnormal/{number:03d}" for number in range(8)),
    }
    assert "leakage cannot be excluded" in doubt(found)


@pytest.mark.parametrize("views", [*VIEWS, ("AP", "LAT")])
def test_fixed_splits_of_views_that_count_from_one_are_kept(tmp_path, views):
    folders = ("train/good", "test/good", "test/bad")
    found = cohort(tmp_path, [f"{at}/{view}/{one:03d}.png" for at in folders for view in views for one in range(6)])
    assert len(split_patients(found.cases(), 0)) == len({*patients(found).values()}) == 18
    assert "leakage cannot be excluded" in doubt(found)


@pytest.mark.parametrize("views", [("AP", "LAT"), ("CC", "ML"), ("pa", "lateral")])
def test_what_may_be_views_or_initials_is_doubted(tmp_path, views):
    found = cohort(tmp_path, [f"healthy/{view}/p{number:02d}.png" for view in views for number in range(12)])
    assert len({*patients(found).values()}) == 12
    assert "leakage cannot be excluded" in doubt(found)


@given(st.sets(st.sampled_from(["cc", "pa", "OD", "Lm", "L"]), min_size=1), st.integers(1, 40))
def test_initials_that_could_be_views_are_patients_beside_others(initials, slices):
    people = (*initials, "jk", "abe")
    assert told(*(f"{who}/{one:03d}.png" for who in people for one in range(slices))) == NO_FOLDERS


def test_views_beside_folders_of_others_are_doubted(tmp_path):
    names = [f"healthy/{view}/p{number:02d}.png" for view in ("OD", "OS", "more") for number in range(5)]
    assert "leakage cannot be excluded" in doubt(cohort(tmp_path, names))


@pytest.mark.parametrize("folders", [("day", "night"), ("scannerA", "scannerB", "scannerC")])
@pytest.mark.parametrize("name", ["p{:02d}.png", "p{:02d}.nii.gz", "Anna{}.jpg"])
def test_few_folders_of_the_same_many_people_are_doubted(tmp_path, folders, name):
    found = cohort(tmp_path, [f"healthy/{folder}/{name.format(who)}" for folder in folders for who in range(20)])
    assert {*found.patients_told()} == {"unclear"}
    assert "leakage cannot be excluded" in doubt(found)


@given(
    LETTERS | st.sampled_from(["dce", "fa", "te", "L", "lvl", "q", "dyn_"]),
    st.lists(st.integers(1, 30), min_size=2, max_size=12),
    st.integers(1, 9),
    st.sampled_from([*SOMEBODY, "{}_site"]),
)
def test_patients_whose_scans_are_counted_stay_patients_without_doubt(word, counts, step, name):
    """Whatever the word: some may have more of them than others, and numbers may go up in steps (FA2, FA5, FA8)."""
    names = [(name.format(who), f"{word}{step * one:02d}") for who, most in enumerate(counts) for one in range(most)]
    for place in ("{}/{}.nii.gz", "{}/anat/{}.nii.gz", "{}/{}/x.nii.gz"):
        assert told(*(place.format(*each) for each in names)) == NO_FOLDERS


@given(
    st.lists(st.tuples(st.integers(0, 2), st.sampled_from(["q", "Patient"]), st.integers(0, 5)), max_size=60),
    st.sampled_from([*SOMEBODY, "site{}", "tpx{}"]),
)
def test_no_folder_is_dropped_for_what_lies_in_it_but_those_called_like_visits(scans, name):
    assert told(*(f"{name.format(who)}/{word}{number}.nii" for who, word, number in scans)).parts == frozenset()


@pytest.mark.parametrize("name", ["TP{:02d}", "V{:02d}", "m{}", "t{:02d}"])
def test_patients_in_folders_called_like_visits_stay_patients(tmp_path, name):
    names = [f"healthy/{name.format(who)}/t1.nii.gz" for who in range(8)]
    names += [f"abnormal/{name.format(who)}/scan{who}.nii.gz" for who in range(8, 12)]
    found = cohort(tmp_path, names)
    assert len({*patients(found).values()}) == 12
    assert doubt(found) == ""


@given(st.integers(2, 9), st.integers(3, 60), st.sampled_from(["slice_{}.png", "{}.png", "IM{}.jpg", "Z{:03d}.tif"]))
def test_pictures_of_a_patient_count_his_slices(patients, slices, name):
    assert told(*(f"P{who}/{name.format(one)}" for who in range(patients) for one in range(slices))) == NO_FOLDERS


def test_visits_that_some_missed_are_visits():
    late = [f"v2/P{who:02d}.nii" for who in range(3)]
    found = told(*(f"v1/P{who:02d}.nii" for who in range(40)), *late)
    assert found.parts == found.visits == {"v1", "v2"}


@pytest.mark.parametrize("visit", ["visit{}", "month{}", "V0{}"])
def test_who_comes_to_visits_in_two_class_folders_is_one_patient(tmp_path, visit):
    places = [("healthy", 1), ("healthy", 2), ("abnormal", 3), ("abnormal", 4), ("abnormal", 1)]
    found = cohort(tmp_path, [f"{kind}/{visit.format(at)}/H{who:02d}.nii" for kind, at in places for who in range(8)])
    assert {case.rpartition("/")[2]: who for case, who in patients(found).items()} == {
        f"H{who:02d}.nii": f"H{who:02d}" for who in range(8)
    }
    assert bool(doubt(found)) == visit.startswith("V")
    assert visit.startswith("V") or "lie in several folders of visits" in found.notes()[-1]


@pytest.mark.parametrize("visits", [(1, 2), (1,)])
def test_a_split_that_parts_the_visits_of_a_patient_is_refused(tmp_path, visits):
    folders = ("train/good", "test/good", "test/lesion")
    found = cohort(tmp_path, [f"{each}/visit{at}/H{who}.nii" for each in folders for at in visits for who in range(4)])
    with pytest.raises(LeakySplit, match="4 of 4 patients"):
        split_patients(found.cases(), 0)


def test_planes_of_a_name_in_both_parts_of_a_split_may_be_of_one_patient_and_that_is_doubted(tmp_path):
    folders = ("train/good", "test/good", "test/lesion")
    planes = ("coronal", "sagittal")
    found = cohort(tmp_path, [f"{each}/{plane}/H{who}.nii" for each in folders for plane in planes for who in range(4)])
    assert len({*patients(found).values()}) == 12
    assert "leakage cannot be excluded" in doubt(found)


def test_unclear_pictures_may_be_clustered(tmp_path):
    names = [f"healthy/{folder}/Person{number:02d}.nii" for folder in ("A", "B") for number in range(4)]
    cohort(tmp_path, names)
    write_picture(tmp_path / "healthy/A/x.png", np.arange(144, dtype=np.uint8).reshape(12, 12))
    write_picture(tmp_path / "healthy/B/X.png", np.arange(144, dtype=np.uint8).reshape(12, 12))
    assert len(Folder(tmp_path, near_duplicates=True).cases()) == 9


def test_of_folders_like_visits_with_mere_numbers_it_is_unclear(tmp_path):
    names = [f"healthy/{folder}/{number:03d}.nii.gz" for folder in ("V01", "V02") for number in range(4)]
    found = cohort(tmp_path, names)
    assert {*patients(found).values()} == {"V01", "V02"}
    assert found.patients_told() == {"unclear": {"scans": 8, "patients": 2}}


def test_visits_of_patients_are_no_patients(tmp_path):
    names = [f"healthy/P{who}/V{visit:02d}/t1.nii.gz" for who in range(3) for visit in range(6)]
    found = cohort(tmp_path, names)
    assert {*patients(found).values()} == {"P0", "P1", "P2"}
    assert found.patients_told() == {"folder": {"scans": 18, "patients": 3}}

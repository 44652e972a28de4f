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
from anomae.volumes.write import write_picture

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


@pytest.mark.parametrize(
    "folders", [("V01", "V02", "V12"), ("m0", "m12"), ("SiteA", "SiteB"), ("first", "second", "3")]
)
@pytest.mark.parametrize("place", ["{0}/H{1:02d}_T1.nii.gz", "{0}/Case-{1}/t1.nii.gz", "{0}/anat/P 7-{1}.mha"])
def test_folders_that_hold_the_same_people_are_no_patients_and_that_is_doubted(tmp_path, folders, place):
    names = [f"healthy/{place.format(*each)}" for each in product(folders, range(4))]
    found = cohort(tmp_path, names)
    for number in range(4):
        assert len({patients(found)[f"healthy/{place.format(folder, number)}"] for folder in folders}) == 1
    assert len({*patients(found).values()}) == 4
    assert "leakage cannot be excluded" in doubt_of({"cohort": "folder", "patients_told": found.patients_told()})
    assert any("unclear which are the patients" in note for note in found.notes())


@given(st.integers(2, 20), st.sets(st.sampled_from(SERIES), min_size=1), st.sampled_from(["P{}", "{}", "anna{}"]))
def test_patients_whose_scans_are_called_alike_stay_patients(count, series, name):
    for place in ("{}/{}.nii.gz", "{}/anat/{}.nii.gz", "{}/ses-1/{}/x.nii.gz"):
        assert told(*(place.format(name.format(who), scan) for who in range(count) for scan in series)) == NO_FOLDERS


@given(st.integers(2, 9), st.integers(3, 60), st.sampled_from(["slice_{}.png", "{}.png", "IM{}.jpg", "Z{:03d}.tif"]))
def test_pictures_of_a_patient_count_his_slices(patients, slices, name):
    assert told(*(f"P{who}/{name.format(one)}" for who in range(patients) for one in range(slices))) == NO_FOLDERS


def test_visits_that_some_missed_are_visits():
    late = [f"v2/P{who:02d}.nii" for who in range(3)]
    assert told(*(f"v1/P{who:02d}.nii" for who in range(40)), *late).parts == {"v1", "v2"}


def test_unclear_pictures_may_be_clustered(tmp_path):
    names = [f"healthy/{folder}/H{number:02d}.nii" for folder in ("A", "B") for number in range(4)]
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

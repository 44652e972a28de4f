"""A table of patients: each line stands for the scans that name its patient, and what is unsure is refused."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anomae.cohorts.case import ABNORMAL, HEALTHY, UNKNOWN, Case
from anomae.cohorts.case_table import TableRow
from anomae.cohorts.folder import Folder
from anomae.cohorts.patient_rows import rows_of_scans
from anomae.errors import UserError
from anomae.volumes.patient_ids import pseudonym
from anomae.volumes.volume import Grid
from anomae.volumes.write import write_picture
from anomae.volumes.write_dicom import write_dicom_series

SOURCE = Path("/data")


def case(name):
    return Case(name, name, SOURCE / name, None, "", UNKNOWN, "", UNKNOWN)


def named(paths, *patients):
    """Path -> the patient of the table whose line it has."""
    rows = {name: TableRow(name) for name in patients}
    found, notes = rows_of_scans([case(path) for path in paths], rows, SOURCE)
    return {path.relative_to(SOURCE).as_posix(): row.patient for path, row in found.items()}, notes


@pytest.mark.parametrize(
    "path",
    [
        "P007/t1.nii.gz",
        "p-7/visit1/P007_t1.nii.gz",
        "t1/P007.nii.gz",
        "abnormal/p 7/scan.nii",
        "P007.nii.gz",
        "P007_2019_t1.nii.gz",
        "P007-t1.nii",
        "sub-P007/anat/sub-P007_T1w.nii.gz",
        "train/healthy/P007 t1.nii",
    ],
)
def test_a_patient_is_named_by_folder_file_or_subject(path):
    assert named([path, "P070/t1.nii.gz", "XP007.nii", "P0071.nii"], "P007") == (
        {path: "P007"},
        ["1 patient(s) of the table have 1 scan(s) here, by paths or headers"],
    )


def test_scans_of_a_patient_in_folders_of_classes_and_sequences_are_one_persons():
    paths = ["healthy/p1/a.nii", "abnormal/p1/a.nii", "t1/p1.nii", "flair/p1_x.nii", "p1/t1/p1_b.nii"]
    assert named(paths, "p1", "p2") == (
        dict.fromkeys(paths, "p1"),
        ["1 patient(s) of the table have 5 scan(s) here, by paths or headers; 1 more have none"],
    )
    subjects = ["a/sub-1/x.nii", "b/sub-1/y.nii"]  # BIDS has one subject of a name
    assert named(subjects, "sub-1")[0] == dict.fromkeys(subjects, "sub-1")


@pytest.mark.parametrize(
    ("paths", "patients", "complaint"),
    [
        (["p1/p2_t1.nii"], ["p1", "p2"], "could be of the patients p1 and p2"),
        (["A_1_t1.nii"], ["A", "A_1"], "could be of the patients A and A_1"),
        (["siteA/01/x.nii", "siteB/01/x.nii"], ["1", "2"], "may be two people"),
        (["pat_x/01/x.nii", "pat_y/1/x.nii"], ["01"], "01 of the table may be two people"),
        (["x.nii"], ["p1"], "none of its 1 patients, such as 'p1', is named"),
        ([], ["p1"], "such as none"),
        (["p1.nii"], ["p1", "P-01"], "differ in spelling alone"),
    ],
)
def test_what_is_unsure_is_refused(paths, patients, complaint):
    with pytest.raises(UserError, match=complaint):
        named(paths, *patients)


@given(st.lists(st.integers(1, 999), min_size=1, max_size=8, unique=True), st.sampled_from(["{}/a.nii", "{}_a.nii"]))
def test_every_scan_has_the_line_of_its_number(numbers, layout):
    paths = {layout.format(f"P{number:03d}"): f"P{number}" for number in numbers}
    assert named(paths, *paths.values())[0] == paths


def test_whom_a_header_names_is_called_by_its_pseudonym_everywhere(tmp_path):
    for folder, patient in (("one", "X1"), ("two", "X2")):
        write_dicom_series(tmp_path / folder, np.zeros((3, 8, 8), np.int16), Grid((3, 8, 8)), patient=patient)
    cases = [Case(name, name, tmp_path / name, None, "", UNKNOWN) for name in ("one", "two", "X2_t1.nii", "X3.nii")]
    rows = {name: TableRow(name, HEALTHY) for name in ("x-1", "X2", "X3")}
    found, _ = rows_of_scans(cases, rows, tmp_path)
    assert {path.name: row.patient for path, row in found.items()} == {
        "one": pseudonym("X1"),
        "two": pseudonym("X2"),
        "X2_t1.nii": pseudonym("X2"),
        "X3.nii": "X3",
    }
    with pytest.raises(UserError, match="two could be of the patients X2 and two"):
        rows_of_scans(cases[1:2], {name: TableRow(name) for name in ("X2", "two")}, tmp_path)


def test_scans_of_one_name_and_two_people_by_their_headers_are_refused(tmp_path):
    for folder, patient in (("p1/a", "X1"), ("p1/b", "X2")):
        write_dicom_series(tmp_path / folder, np.zeros((3, 8, 8), np.int16), Grid((3, 8, 8)), patient=patient)
    cases = [Case(name, name, tmp_path / name, None, "", UNKNOWN) for name in ("p1/a", "p1/b")]
    assert len(rows_of_scans(cases[:1], {"p1": TableRow("p1")}, tmp_path)[0]) == 1
    with pytest.raises(UserError, match=r"p1/b and another scan .* are of two people by their PatientID"):
        rows_of_scans(cases, {"p1": TableRow("p1")}, tmp_path)


def test_a_folder_with_a_table_of_patients(tmp_path):
    rng = np.random.default_rng(0)
    for name in ("sub-01/anat/a.png", "sub-01/anat/b.png", "sub-02/anat/a.png", "sub-03/anat/a.png"):
        write_picture(tmp_path / "set" / name, rng.integers(0, 255, (9, 9)))
    table = tmp_path / "participants.tsv"
    table.write_text("participant_id\tsex\tgroup\nsub-01\tF\tHC\nsub-02\tM\tglioma\nsub-09\tM\tHC\n")
    cohort = Folder(tmp_path / "set", table=str(table), healthy="hc")
    assert {case.case: (case.patient, case.label) for case in cohort.cases()} == {
        "sub-01/anat/a.png": ("sub-01", HEALTHY),
        "sub-01/anat/b.png": ("sub-01", HEALTHY),
        "sub-02/anat/a.png": ("sub-02", ABNORMAL),
    }
    notes = cohort.notes()
    assert "2 patient(s) of the table have 3 scan(s) here, by paths or headers; 1 more have none" in notes
    assert "the table says of which class each scan is; 1 that it lacks were left out" in notes
    assert cohort.patients_told() == {"table": {"scans": 3, "patients": 2}}

"""Whom DICOM headers name, whatever way they spell it."""

import shutil

import numpy as np
import pydicom
import pytest

from anomae.cohorts.folder import Folder
from anomae.cohorts.header_patients import patient_in_headers
from anomae.cohorts.splits import split_patients
from anomae.errors import UserError
from anomae.volumes.patient_ids import HeaderPatient, pseudonym
from anomae.volumes.read import read_volume
from anomae.volumes.volume import Grid
from anomae.volumes.write_dicom import write_dicom_series

GRID = Grid((2, 8, 8), (2.0, 1.0, 1.0))


def series(folder, patient, number=0):
    voxels = np.random.default_rng(number).integers(0, 99, GRID.shape)
    write_dicom_series(folder, voxels, GRID, patient=patient)


def spell_anew(folder, patient):
    """The last slice of a series names its patient so."""
    path = max(folder.iterdir())
    header = pydicom.dcmread(path)
    header.PatientID = patient
    header.save_as(path)


def test_all_spellings_are_one_patient_in_one_split_and_that_is_said(tmp_path):
    spellings = ["P-007", "p7", "P 07", "P_7", "q1", "Q-01", "R-1", "S1"]
    for number, patient in enumerate(spellings):
        series(tmp_path / ("abnormal" if number % 4 == 1 else "healthy") / f"study{number}", patient, number)
    cohort = Folder(tmp_path)
    cases = cohort.cases()
    patients = {int(case.source.name[-1]): case.patient for case in cases}
    assert {patients[number] for number in range(4)} == {pseudonym("p7")}  # the first by its path
    assert patients[4] == patients[5] == pseudonym("Q-01")
    assert (patients[6], patients[7]) == (pseudonym("R-1"), pseudonym("S1"))  # as they were
    (said,) = [note for note in cohort.notes() if "taken as the same patient" in note]
    assert said.startswith("4 name(s)")
    assert "abnormal/study1 and healthy/study0" in said
    splits = split_patients(cases, 0)
    assert len({splits[case.patient] for case in cases if case.source.name[-1] in "0123"}) == 1


def test_a_series_that_spells_its_patient_in_two_ways_is_read(tmp_path):
    series(tmp_path / "a", "P 1")
    spell_anew(tmp_path / "a", "p1")
    assert patient_in_headers(tmp_path / "a").pseudonym in (pseudonym("P 1"), pseudonym("p1"))
    assert read_volume(tmp_path / "a").voxels.shape == GRID.shape
    spell_anew(tmp_path / "a", "p2")
    with pytest.raises(UserError, match="2 patients by their PatientID"):
        patient_in_headers(tmp_path / "a")


@pytest.mark.parametrize("name", ["aNONYMOUS", "Anonymous ", "0", "000", "N/A"])
def test_what_anonymisers_leave_behind_names_nobody_in_any_spelling(tmp_path, name):
    series(tmp_path / "a", name)
    assert patient_in_headers(tmp_path / "a") == HeaderPatient()


def test_localizers_are_no_cases_and_a_folder_of_nothing_else_says_so(tmp_path):
    series(tmp_path / "healthy" / "study" / "scan", "p1")
    for folder in ("healthy/study/scout", "abnormal/study/scout"):
        series(tmp_path / folder, "p1", 1)
        for path in (tmp_path / folder).iterdir():
            header = pydicom.dcmread(path)
            header.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
            header.save_as(path)
    (tmp_path / "cases.csv").write_text("file,site\nabnormal/study,A\nhealthy/study,B\n")  # it wins over every guess
    cases = Folder(tmp_path, table=str(tmp_path / "cases.csv")).cases()
    assert {case.case: case.site for case in cases} == {"abnormal/study/scout": "A", "healthy/study/scan": "B"}
    cohort = Folder(tmp_path)
    assert [case.case for case in cohort.cases()] == ["healthy/study/scan"]
    assert "Passed over: 2, DICOM: localizer, told because its ImageType says LOCALIZER" in cohort.notes()
    shutil.rmtree(tmp_path / "healthy" / "study" / "scan")
    with pytest.raises(
        UserError, match=r"no scans or pictures in its class folders\. Passed over: 2, DICOM: localizer"
    ):
        Folder(tmp_path).cases()

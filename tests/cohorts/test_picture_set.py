"""What all cohorts of pictures share, on a layout that is told outright."""

import pickle

import numpy as np
import pytest

from anomae.cohorts.case import ABNORMAL, COLOURS, HEALTHY
from anomae.cohorts.picture_set import UNKNOWN_PATIENTS, Picture, PictureSet, folder_of, pictures_in
from anomae.errors import UserError
from anomae.seeds import generator
from anomae.volumes.write import write_picture


class Flat(PictureSet):
    """Pictures in one folder: those whose names begin with ill are abnormal."""

    name = "flat"
    names_of_patients = (r"[a-z]+_(p\d)",)

    def find(self):
        found = pictures_in(self.source)
        return [Picture(path, ABNORMAL if path.name[:3] == "ill" else HEALTHY) for path in found], []


def draw(folder, *names, pixels=None):
    for name in names:
        drawn = generator(0, name).integers(0, 255, (24, 24)) if pixels is None else pixels
        write_picture(folder / name, drawn)


def told(folder, **options):
    cohort = Flat(folder, **options)
    return {case.case: (case.patient, case.label) for case in cohort.cases()}, cohort


def test_patients_are_those_of_the_names_where_one_pattern_fits_all(tmp_path):
    draw(tmp_path, "well_p1a.png", "well_p1b.png", "ill_p2.png")
    cases, cohort = told(tmp_path)
    assert cases == {"ill_p2.png": ("p2", ABNORMAL), "well_p1a.png": ("p1", HEALTHY), "well_p1b.png": ("p1", HEALTHY)}
    assert (cohort.notes(), cohort.patients_told()) == (("2 patients were told from the names of the pictures",), {})
    draw(tmp_path, "well.png")
    cases, cohort = told(tmp_path)
    assert [patient for patient, _ in cases.values()] == list(cases)
    assert cohort.notes() == (UNKNOWN_PATIENTS,)
    assert cohort.patients_told() == {"unknown": {"scans": 4, "patients": 4}}


def test_a_pattern_has_to_fit_every_picture(tmp_path):
    draw(tmp_path, "well_1_a.png", "well_1_b.png", "ill_2_a.png")
    cases, cohort = told(tmp_path, patient_pattern=r"_(\d)_")
    assert [patient for patient, _ in cases.values()] == ["2", "1", "1"]
    assert cohort.patients_told() == {"pattern": {"scans": 3, "patients": 2}}
    draw(tmp_path, "well.png")
    with pytest.raises(UserError, match=r"does not match well\.png"):
        told(tmp_path, patient_pattern=r"_(\d)_")
    with pytest.raises(UserError, match="not both"):
        Flat(tmp_path, patient_pattern="(x)", near_duplicates=True)


def test_what_a_pattern_finds_in_two_spellings_is_one_patient_and_this_is_said(tmp_path):
    draw(tmp_path, "well_1_a.png", "well_2_a.png", "ill_001_b.png", "ill_P-7_b.png", "well_p7_a.png")
    cases, cohort = told(tmp_path, patient_pattern=r"_([\w-]+)_")
    assert [patient for patient, _ in cases.values()] == ["001", "P-7", "001", "2", "P-7"]
    (said,) = cohort.notes()
    assert said.startswith("2 name(s) of patients differ from another in case, leading zeros")
    assert cohort.patients_told() == {"pattern": {"scans": 5, "patients": 3}}


def test_near_duplicates_are_one_patient_and_this_is_said(tmp_path):
    draw(tmp_path, "a.png", "b.png")
    draw(tmp_path, "c.png", pixels=generator(0, "a.png").integers(0, 255, (24, 24))[:, ::-1])
    cases, cohort = told(tmp_path, near_duplicates=True)
    assert cases["a.png"][0] == cases["c.png"][0] != cases["b.png"][0]
    assert cohort.patients_told() == {"cluster": {"scans": 3, "patients": 2}}


def test_a_mask_beside_its_picture_is_no_picture(tmp_path):
    draw(tmp_path, "well.png", "ill.png", "Ill_mask.png", "other_mask.png", "ill_seg.tif")
    cases, cohort = told(tmp_path)
    assert list(cases) == ["ill.png", "other_mask.png", "well.png"]
    assert "2 files are by their names masks of a picture beside them and were left out" in cohort.notes()


def test_colour_and_what_another_process_gets(tmp_path):
    write_picture(tmp_path / "well.png", np.dstack([np.full((8, 8), grey, np.uint8) for grey in (9, 99, 199)]))
    cohort = pickle.loads(pickle.dumps(Flat(tmp_path, colour=True)))
    assert cohort.channel_names == COLOURS
    assert cohort.read(cohort.cases()[0]).images[0, :, 0, 0].tolist() == [9, 99, 199]


def test_pictures_of_a_folder_and_folders_in_any_case(tmp_path):
    draw(tmp_path, "B.PNG", "a.tif", "._c.png", "in/d.png")
    (tmp_path / "Thumbs.db").touch()
    (tmp_path / "folder.png").mkdir()
    assert [path.name for path in pictures_in(tmp_path)] == ["B.PNG", "a.tif"]
    assert folder_of(tmp_path, "out", "IN") == tmp_path / "in"
    assert folder_of(tmp_path, "out") is None
    with pytest.raises(UserError, match="holds no pictures"):
        Flat(tmp_path / "folder.png").cases()


def test_pictures_in_folders_without_a_role_are_said(tmp_path):
    draw(tmp_path, "well.png", "ill.png")
    assert "lie in folders" not in " ".join(told(tmp_path)[1].notes())
    for folder in ("extra/deep", "masks", ".hidden", "__MACOSX"):
        (tmp_path / folder).mkdir(parents=True)
        draw(tmp_path / folder, "a.png", "b.png")
    (said,) = (note for note in told(tmp_path)[1].notes() if "lie in folders" in note)
    assert said.startswith("2 pictures lie in folders")
    assert said.endswith("as extra/deep/a.png")

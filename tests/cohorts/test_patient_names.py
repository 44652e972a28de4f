"""Header before path, sessions are one patient, and nothing is claimed where nothing is known."""

import re
import tempfile
from pathlib import Path, PurePath

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anomae.cohorts.case import HEALTHY, Case
from anomae.cohorts.folder import Folder
from anomae.cohorts.patient_names import (
    doubt_of,
    name_patients,
    patient_of_scan,
    subjects_in,
    told_notes,
    unit_of,
)
from anomae.cohorts.splits import refuse_leaks, split_patients
from anomae.errors import LeakySplit, UserError
from anomae.seeds import generator
from anomae.volumes.dicom_headers import patient_in_header
from anomae.volumes.patient_ids import plain_name, pseudonym
from anomae.volumes.volume import Grid
from anomae.volumes.write import write_picture, write_volume
from anomae.volumes.write_dicom import write_dicom_series

GRID = Grid((2, 8, 8), (2.0, 1.0, 1.0))


def series(folder, patient):
    voxels = generator(0, str(folder)).integers(0, 99, GRID.shape)
    write_dicom_series(folder, voxels, GRID, patient=patient)


def touched(source, names):
    """Files without content: reading them as scans is not what is tried here."""
    for name in names:
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).touch()


def patients(source, **options):
    return {case.case: case.patient for case in Folder(source, **options).cases()}


def test_five_people_in_thirteen_folders_are_five_patients(tmp_path):
    for number in range(13):
        series(tmp_path / ("healthy" if number % 2 else "abnormal") / f"study{number}", f"PERSON {number % 5}")
    cohort = Folder(tmp_path)
    cases = cohort.cases()
    assert {case.patient for case in cases} == {pseudonym(f"PERSON {number}") for number in range(5)}
    assert len(cases) == 13
    for case in cases:
        assert case.patient == pseudonym(f"PERSON {int(case.source.name.removeprefix('study')) % 5}")
        assert "PERSON" not in case.patient
    assert cohort.patients_told() == {"header": {"scans": 13, "patients": 5}}
    assert cohort.notes()[-1].startswith("5 patient(s) of 13 scan(s) were told by the PatientID")
    splits = split_patients(cases, 0)
    assert refuse_leaks([case.patient for case in cases], [splits[case.patient] for case in cases]) == 0


def test_a_split_of_the_data_set_that_parts_a_patient_is_refused(tmp_path):
    for name in ("train/good/a", "test/good/b"):
        series(tmp_path / name, "ONE")
    touched(tmp_path / "bids", ["train/good/sub-1_ses-1.nii.gz", "test/good/sub-1_ses-2.nii.gz"])
    for source in (tmp_path, tmp_path / "bids"):
        with pytest.raises(LeakySplit, match="1 of 1 patients"):
            split_patients(Folder(source).cases(), 0)


def test_sessions_of_a_subject_are_one_patient(tmp_path):
    names = [
        "healthy/sub-01_ses-1_T1w.nii.gz",
        "abnormal/Sub-01_ses-2_T1w.nii.gz",
        "healthy/sub-01/ses-3/anat/x.nii.gz",
        "healthy/ses-1/sub-02.nii",
        "healthy/group/sub-02-late.nii",
    ]
    touched(tmp_path, names)
    assert set(patients(tmp_path).values()) == {"sub-01", "sub-02"}
    assert Folder(tmp_path).patients_told() == {"bids": {"scans": 5, "patients": 2}}


def test_a_header_wins_over_the_path_and_takes_its_other_files_along(tmp_path):
    series(tmp_path / "healthy/sub-1/ct", "ONE")
    series(tmp_path / "healthy/sub-2/ct", "ONE")
    series(tmp_path / "abnormal/somebody/ct", "TWO")
    touched(tmp_path, ["abnormal/sub-1_T1w.nii.gz", "healthy/somebody/t1.nii.gz", "healthy/alone.nii"])
    found = patients(tmp_path)
    one, two = pseudonym("ONE"), pseudonym("TWO")
    assert found == {
        "healthy/sub-1/ct": one,
        "healthy/sub-2/ct": one,
        "abnormal/sub-1_T1w.nii.gz": one,
        "abnormal/somebody/ct": two,
        "healthy/somebody/t1.nii.gz": two,
        "healthy/alone.nii": "healthy/alone.nii",
    }
    assert "patients unknown for 1 file(s)" in Folder(tmp_path).notes()[-1]


def test_a_scan_of_two_possible_patients_is_refused(tmp_path):
    series(tmp_path / "healthy/sub-1/a", "ONE")
    series(tmp_path / "healthy/sub-1/b", "TWO")
    assert len(set(patients(tmp_path).values())) == 2
    touched(tmp_path, ["healthy/sub-1/c.nii.gz"])
    with pytest.raises(UserError, match=r"c\.nii\.gz could be of 2 patients"):
        Folder(tmp_path).cases()


def test_a_path_of_two_subjects_is_refused(tmp_path):
    touched(tmp_path, ["healthy/sub-1/sub-2_T1w.nii"])
    with pytest.raises(UserError, match="2 BIDS subjects"):
        Folder(tmp_path).cases()


def test_the_series_of_two_patients_in_one_folder_are_of_two_patients(tmp_path):
    series(tmp_path / "healthy/a", "ONE")
    series(tmp_path / "b", "TWO")
    for file in (tmp_path / "b").iterdir():
        file.rename(tmp_path / "healthy/a" / f"two_{file.name}")
    assert len(set(patients(tmp_path).values())) == 2
    assert Folder(tmp_path).patients_told() == {"header": {"scans": 2, "patients": 2}}


@pytest.mark.parametrize("name", ["Anonymous", "ANON", "unknown", "0000", ""])
def test_an_id_that_names_nobody_names_no_patient(tmp_path, name):
    series(tmp_path / "healthy/p1", name)
    series(tmp_path / "abnormal/p2", name)
    assert set(patients(tmp_path).values()) == {"p1", "p2"}
    assert Folder(tmp_path).patients_told() == {"folder": {"scans": 2, "patients": 2}}
    assert patient_of_scan(tmp_path / "x.dcm", pseudonym(name)) == ""


def test_reading_who_it_is_reads_no_pixels(tmp_path):
    series(tmp_path / "a", "ONE")
    file = tmp_path / "a/slice_0001.dcm"
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) - 100])  # the pixels are cut short
    assert patient_in_header(file).pseudonym == pseudonym("ONE")


def test_a_pattern_is_for_what_nothing_else_names(tmp_path):
    touched(tmp_path, ["healthy/sub-7_p1.nii", "healthy/p2_a.nii", "abnormal/p2_b.nii"])
    assert list(patients(tmp_path, patient_pattern=r"p(\d)").values()) == ["2", "2", "sub-7"]
    with pytest.raises(UserError, match=r"matches none of the 3 paths .* its one group is the patient"):
        Folder(tmp_path, patient_pattern=r"q(\d)").cases()
    with pytest.raises(UserError, match="does not match abnormal/p2_b"):
        Folder(tmp_path, patient_pattern=r"p(\d)_a").cases()
    with pytest.raises(UserError, match="one is needed"):
        Folder(tmp_path, patient_pattern="p")


def test_the_table_wins_and_takes_the_other_scans_of_its_patient_along(tmp_path):
    cases = [Case(f"healthy/{name}", f"healthy/{name}", tmp_path / "healthy" / name) for name in ("sub-1_a", "sub-1_b")]
    named = name_patients(cases, tmp_path, table={"healthy/sub-1_a": "anna"})
    assert [case.patient for case in named.cases] == ["anna", "anna"]
    assert named.counts() == {"table": {"scans": 1, "patients": 1}, "bids": {"scans": 1, "patients": 1}}


def test_pictures_that_name_their_patients_are_not_clustered(tmp_path):
    for number in (1, 2):
        write_picture(tmp_path / f"healthy/sub-1_{number}.png", generator(number, "x").integers(0, 255, (12, 12)))
    with pytest.raises(UserError, match="leave near_duplicates out"):
        Folder(tmp_path, near_duplicates=True).cases()


def test_what_is_not_known_is_said():
    unknown, header = {"scans": 3, "patients": 3}, {"scans": 2, "patients": 1}
    store = {"cohort": "folder", "patients_told": {"unknown": unknown}}
    assert unit_of(store) == "file"
    assert doubt_of(store) == "Patients unknown: each file counted as one; leakage cannot be excluded."
    assert told_notes({"unknown": unknown}) == [
        "patients unknown: each file counted as one; leakage cannot be excluded"
    ]
    store["patients_told"] = {"header": header, "unknown": unknown}
    assert unit_of(store) == "patient"
    assert doubt_of(store).startswith("Patients unknown for 3 of 5 files: each file")
    store["patients_told"] = {"unclear": header, "unknown": unknown}
    assert doubt_of(store).startswith("Patients unknown for 3 of 5 files: each file")
    assert doubt_of(store).endswith("the patients of 2 scans: leakage cannot be excluded.")
    store["patients_told"] = {"cluster": unknown}
    assert unit_of(store) == "cluster"
    assert "each cluster of near-duplicates" in doubt_of(store)
    store["patients_told"] = {"header": header}
    assert (unit_of(store), doubt_of(store)) == ("patient", "")
    assert "earlier version" in doubt_of({"cohort": "folder"})
    assert (unit_of({"cohort": "lgg"}), doubt_of({"cohort": "lgg"})) == ("patient", "")


def test_the_patient_of_a_new_scan():
    assert patient_of_scan(Path("in/sub-3/sub-4_T1w.nii"), "") == "sub-4"
    assert patient_of_scan(Path("sub-3/ct"), pseudonym("ONE")) == pseudonym("ONE")
    assert patient_of_scan(Path("in/submarine-1.nii"), "") == ""


def test_volumes_are_named_by_their_header_alike(tmp_path):
    """The name in the store is that of the reader, so scoring and preparing agree."""
    from anomae.volumes.read import read_volume

    series(tmp_path / "healthy/a", "ONE")
    write_volume(tmp_path / "healthy/b.nii.gz", np.ones(GRID.shape, np.int16), GRID)
    (first, _) = Folder(tmp_path).cases()
    assert read_volume(first.source).patient == first.patient


LABELS = st.text("abAB012", min_size=1, max_size=3)
PLACES = st.sampled_from(
    ["sub-{0}/x.nii", "sub-{0}/ses-{1}/x.nii", "sub-{0}_ses-{1}.nii", "SUB-{0}_{1}.nii.gz", "g{1}/sub-{0}_T1w.mha"]
)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(["healthy", "abnormal"]), PLACES, LABELS, LABELS), min_size=4, max_size=16),
    st.integers(0, 99),
)
def test_no_subject_is_in_two_splits(drawn, seed):
    """Whatever the names, nesting and case: who is one by name is one in the split."""
    subject_of = {f"{kind}/{place.format(who, more)}": who.lower() for kind, place, who, more in drawn}
    healthy = {plain_name(who) for name, who in subject_of.items() if name.startswith("healthy")}
    with tempfile.TemporaryDirectory() as folder:
        touched(Path(folder), subject_of)
        if not healthy:
            return
        cases = Folder(Path(folder)).cases()
    assert len({case.patient for case in cases}) == len({*map(plain_name, subject_of.values())})
    if len(healthy) < 2:
        return
    splits = split_patients(cases, seed)
    found: dict[str, set[str]] = {}
    for case in cases:
        (subject,) = subjects_in(PurePath(case.case))
        found.setdefault(plain_name(subject), set()).add(splits[case.patient])
        assert case.label == HEALTHY or case.case.startswith("abnormal")
        assert re.fullmatch(r"sub-[ab012]+", case.patient)
    assert all(len(each) == 1 for each in found.values())


spellings = st.sampled_from([str.upper, str.lower, lambda name: f" {name} ", lambda name: f"00{name}"])


@given(st.integers(1, 99), st.lists(spellings, min_size=1, max_size=3))
def test_names_spelled_alike_are_one_patient(number, changes):
    """Spreadsheets drop leading zeros, and people mind no case: no leakage follows from that."""
    names = [f"{number}A", *(change(f"{number}a") for change in changes), f"{number}B", f"{number + 1}a"]
    cases = [Case(f"{at}.png", f"{at}.png", Path(f"{at}.png"), label=HEALTHY) for at in range(len(names))]
    table = {case.case: name for case, name in zip(cases, names, strict=True)}
    named = name_patients(cases, Path(), table=table)
    patients = [case.patient for case in named.cases]
    assert patients == patients[:1] * (len(changes) + 1) + names[-2:]
    assert named.alike == len({*names[:-2]}) - 1
    said = any("taken as the same patient" in note for note in told_notes(named.counts(), named.alike))
    assert said == bool(named.alike)


def test_accents_written_in_two_ways_are_one_patient(tmp_path):
    names = ("healthy/M\u00fcller/a.png", "abnormal/Mu\u0308ller/b.png", "healthy/007/a.png", "abnormal/7/b.png")
    touched(tmp_path, names)
    assert len({*patients(tmp_path).values()}) == 2


def test_channels_and_sequences_of_a_case_are_one_patient_and_that_is_said(tmp_path):
    names = [f"healthy/imagesTr/C{case}_{channel:04d}.nii.gz" for case in range(3) for channel in (0, 1)]
    names += ["healthy/FLAIR/P1.nii", "healthy/T1/P1.nii", "abnormal/Q_t1.png", "abnormal/q_flair.png"]
    touched(tmp_path, [*names, "abnormal/alone_t1.png"])
    found = patients(tmp_path)
    assert len({*found.values()}) == 6
    assert all(found[f"healthy/imagesTr/C{case}_0000.nii.gz"] == f"healthy/C{case}" for case in range(3))
    assert Folder(tmp_path).patients_told() == {
        "name": {"scans": 10, "patients": 5},
        "unknown": {"scans": 1, "patients": 1},
    }
    notes = Folder(tmp_path).notes()
    assert any("names that differ in the sequence or the channel alone" in note for note in notes)
    assert "patients unknown for 1 file(s)" in notes[-1]


def test_a_table_that_names_one_sequence_names_the_others(tmp_path):
    touched(tmp_path, ["healthy/P1_t1.nii", "healthy/P1_flair.nii", "healthy/P2_t1.nii"])
    (tmp_path / "t.csv").write_text("file,patient\nhealthy/P1_t1.nii,anna\n")
    assert patients(tmp_path, table=str(tmp_path / "t.csv")) == {
        "healthy/P1_t1.nii": "anna",
        "healthy/P1_flair.nii": "anna",
        "healthy/P2_t1.nii": "healthy/P2_t1.nii",
    }


def test_subjects_with_and_without_leading_zeros_are_one(tmp_path):
    touched(tmp_path, ["healthy/sub-01_T1w.nii", "healthy/sub-1_ses-2_T1w.nii", "healthy/sub-10_T1w.nii"])
    assert len({*patients(tmp_path).values()}) == 2
    assert any("taken as the same patient" in note for note in Folder(tmp_path).notes())

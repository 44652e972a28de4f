import csv
import shutil
from collections import Counter

import pytest

from anomae.cohorts.lgg import Lgg
from anomae.cohorts.splits import refuse_leaks, split_patients
from anomae.errors import UserError
from anomae.phantoms.layouts import write_phantom_data_set


@pytest.fixture
def written(tmp_path):
    write_phantom_data_set(tmp_path / "lgg", "lgg", count=6, seed=1, shape=(10, 16, 16))
    return tmp_path / "lgg"


def test_patients_without_the_modality_are_told(written):
    assert Lgg(written).notes() == ()
    without = Lgg(written, "t1")
    assert len(Lgg(written).cases()) == len(without.cases()) + 1 == 6
    assert without.notes() == ("1 of 6 patients have no t1 and are left out",)


def test_the_table_fixes_the_parts(written):
    with (written / "patients.csv").open(newline="") as handle:
        lines = {line["patient"]: line for line in csv.DictReader(handle)}
    cohort = Lgg(written)
    for case in cohort.cases():
        assert case.split == {"report": "test"}.get(lines[case.patient]["part"], lines[case.patient]["part"])
        assert cohort.read(case).labels.sum() == int(lines[case.patient]["tumour_slices"])


def test_folders_and_table_that_differ_are_told(written):
    folders = sorted(path for path in written.iterdir() if path.is_dir())
    shutil.rmtree(folders[0])
    table = written / "patients.csv"
    table.write_text("".join(line for line in table.read_text().splitlines(True) if folders[1].name not in line))
    cohort = Lgg(written)
    assert [case.case for case in cohort.cases()] == [folder.name for folder in folders[2:]]
    assert cohort.notes() == (
        "1 patients are not in patients.csv and are left out",
        "1 patients of patients.csv have no folder",
    )
    table.unlink()
    assert {case.split for case in cohort.cases()} == {""}
    assert len(cohort.cases()) == 5


def test_a_table_that_is_none_and_an_unknown_modality_are_refused(written):
    (written / "patients.csv").write_text("patient,part\nx,elsewhere\n")
    with pytest.raises(UserError, match=r"patients.csv must have"):
        Lgg(written).cases()
    with pytest.raises(UserError, match="flair and t1"):
        Lgg(written, "t2")


@pytest.mark.real_data
@pytest.mark.parametrize("modality", ["flair", "t1"])
def test_the_real_patients(development_images, modality):
    source = development_images / "lgg"
    cohort = Lgg(source, modality)
    cases = cohort.cases()
    expected = {"flair": {"train": 42, "validation": 10, "test": 25}, "t1": {"train": 38, "validation": 9, "test": 25}}
    assert Counter(case.split for case in cases) == expected[modality]
    assert {case.site for case in cases} == {"CS", "DU", "EZ", "FG", "HT"}
    splits = split_patients(cases, 0)
    assert refuse_leaks([case.patient for case in cases], [splits[case.patient] for case in cases]) == 0
    assert len(cohort.notes()) == (modality == "t1")
    with (source / "patients.csv").open(newline="") as handle:
        lines = {line["patient"]: line for line in csv.DictReader(handle)}
    for case in cases[::6]:
        found = cohort.read(case)
        assert found.images.shape == (int(lines[case.case]["slices"]), 1, 160, 160)
        assert found.labels.sum() == int(lines[case.case]["tumour_slices"])

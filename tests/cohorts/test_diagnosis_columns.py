"""Tables of diagnoses: each picture gets the class that its line says, or one sentence why not."""

import numpy as np
import pytest

from anomae.cohorts.case import ABNORMAL, HEALTHY
from anomae.cohorts.folder import Folder
from anomae.errors import UserError
from anomae.seeds import generator
from anomae.volumes.write import write_picture

CLASSES = {"ISIC_1": "NV", "ISIC_2": "MEL", "ISIC_3": "NV", "ISIC_4": "BKL"}


@pytest.fixture
def pictures(tmp_path):
    for name in (*CLASSES, "ISIC_9"):
        path = tmp_path / "in" / ("part_1" if name < "ISIC_3" else "part_2") / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_picture(path, generator(0, name).integers(0, 255, (16, 16)))
    return tmp_path / "in"


def one_hot(names=("MEL", "NV", "BKL"), yes="1.0", no="0.0"):
    lines = [",".join(("image", *names))]
    return "\n".join(
        [*lines, *(",".join((file, *(yes if name == it else no for name in names))) for file, it in CLASSES.items())]
    )


def opened(pictures, text, **options):
    table = pictures.parent / "truth.csv"
    table.write_text(text)
    return Folder(pictures, table=str(table), **options)


def listed(column, rename=str, name="image_id"):
    return "\n".join([f"{name};{column}", *(f"{file};{rename(it)}" for file, it in CLASSES.items())])


TABLES = {
    "one-hot": (one_hot(), "NV"),
    "whole numbers": (one_hot(yes="1", no="0"), "nv"),
    "label": (listed("label"), "NV"),
    "dx": (listed("dx", str.lower, "isic_id"), "Nv"),
    "several healthy": (listed("Diagnosis", lambda it: it.replace("NV", "SK")), "nv, sk"),
    "numbers": (listed("target", lambda it: str(int(it != "NV")), "image_name"), ""),
}


@pytest.mark.parametrize("kind", TABLES)
def test_each_picture_is_of_the_class_in_its_line(kind, pictures):
    text, healthy = TABLES[kind]
    cohort = opened(pictures, text, healthy=healthy)
    cases = cohort.cases()
    assert {case.source.stem: case.label for case in cases} == {
        name: HEALTHY if it == "NV" else ABNORMAL for name, it in CLASSES.items()
    }
    assert [cohort.read(case).labels.tolist() for case in cases] == [[case.label] for case in cases]
    assert len({case.patient for case in cases}) == len(cases)  # part_1 is no patient
    notes = " ".join(cohort.notes())
    assert "1 that it lacks were left out" in notes
    assert "was read as file" in notes
    assert ("count as healthy" in notes) == bool(healthy)


REFUSED = {
    "no healthy": (one_hot(), {}, "say which of them are healthy, .*--set healthy=MEL"),
    "label unsaid": (listed("label"), {}, "say which diagnoses are healthy: --set healthy=NAME"),
    "misspelt": (one_hot(), {"healthy": "NVV"}, "no column 'nvv'. Did you mean"),
    "misspelt label": (listed("dx"), {"healthy": "NVV"}, "No line of .* has the diagnosis 'nvv'"),
    "two": (one_hot().replace("ISIC_2,1.0,0.0", "ISIC_2,1.0,1.0"), {"healthy": "NV"}, "line 3, has 1 in 2 of"),
    "none": (one_hot().replace("ISIC_2,1.0,0.0", "ISIC_2,0.0,0.0"), {"healthy": "NV"}, "line 3, has 1 in 0 of"),
    "not there": (one_hot().replace("ISIC_2", "ISIC_7"), {"healthy": "NV"}, "line 3, names 'ISIC_7', .*not there"),
    "two labels": ("image,target,dx\nISIC_1,0,nv\n", {"healthy": "NV"}, "columns target and dx; rename"),
    "misspelt column": ("image_id,dx,patiant\nISIC_1,nv,50\n", {"healthy": "NV"}, "'patiant'.*Did you mean patient"),
    "a column like ours": ("image_id,dx,subject\nISIC_1,nv,50\n", {"healthy": "NV"}, "none called patient; call it"),
    "no diagnoses": ("image_id,site\nISIC_1,a\n", {"healthy": "NV"}, "no column of them"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_leaves_a_doubt_is_refused_in_one_sentence(what, pictures):
    text, options, sentence = REFUSED[what]
    with pytest.raises(UserError, match=sentence):
        opened(pictures, text, **options).cases()


def test_a_name_that_two_files_have_is_refused(pictures):
    write_picture(pictures / "part_2" / "ISIC_1.tif", np.eye(16))
    with pytest.raises(UserError, match=r"'ISIC_1', which .*ISIC_1\.png and .*ISIC_1\.tif are both"):
        opened(pictures, one_hot(), healthy="NV").cases()


def test_healthy_needs_a_table(pictures):
    with pytest.raises(UserError, match="--table"):
        Folder(pictures, healthy="NV")


def test_a_table_may_lack_the_classes_where_folders_tell_them(pictures):
    (pictures / "part_1").rename(pictures / "healthy")
    (pictures / "part_2").rename(pictures / "abnormal")
    cohort = opened(pictures, "image_id,patient_id\nISIC_1,p\nISIC_2,p\n")
    cases = cohort.cases()
    assert [case.label for case in cases] == [ABNORMAL, ABNORMAL, ABNORMAL, HEALTHY, HEALTHY]
    assert [case.patient for case in cases[3:]] == ["p", "p"]


def test_splits_of_the_download_stay(pictures):
    (pictures / "part_1").rename(pictures / "Train")
    (pictures / "part_2").rename(pictures / "test")
    cases = opened(pictures, one_hot(), healthy="NV").cases()
    assert {case.source.stem: case.split for case in cases} == {
        "ISIC_1": "train",
        "ISIC_2": "train",
        "ISIC_3": "test",
        "ISIC_4": "test",
    }


HAM10000 = """lesion_id,image_id,dx,dx_type,age,sex,localization,dataset
HAM_0000001,ISIC_1,nv,histo,50.0,male,scalp,vidir_modern
HAM_0000001,ISIC_2,nv,histo,50.0,male,scalp,vidir_modern
HAM_0000002,ISIC_3,mel,follow_up,,female,ear,rosendahl
HAM_0000002,ISIC_4,mel,follow_up,,female,ear,rosendahl
"""


def test_the_metadata_of_ham10000_is_read_as_it_comes(pictures):
    """lesion_id is the group: several pictures of one lesion are never in two splits."""
    cohort = opened(pictures, HAM10000, healthy="nv")
    assert {case.source.stem: (case.patient, case.label) for case in cohort.cases()} == {
        "ISIC_1": ("HAM_0000001", HEALTHY),
        "ISIC_2": ("HAM_0000001", HEALTHY),
        "ISIC_3": ("HAM_0000002", ABNORMAL),
        "ISIC_4": ("HAM_0000002", ABNORMAL),
    }
    notes = " ".join(cohort.notes())
    assert "the column(s) dx_type, age, sex, localization, dataset of the table say nothing that is used" in notes
    assert "lesion_id of the table was read as patient" in notes
    assert "leakage between these cannot be excluded" in notes


def test_a_patient_column_wins_over_the_lesions(pictures):
    lines = HAM10000.splitlines()
    text = "\n".join([f"patient_id,{lines[0]}", *(f"P{number},{line}" for number, line in enumerate(lines[1:]))])
    cohort = opened(pictures, text, healthy="nv")
    assert [case.patient for case in cohort.cases()] == ["P0", "P1", "P2", "P3"]
    assert "lesion_id, dx_type" in " ".join(cohort.notes())


def test_marks_of_diagnoses_beside_other_columns(pictures):
    lines = one_hot().splitlines()
    text = "\n".join([f"age,{lines[0]}", *(f"{50 + number},{line}" for number, line in enumerate(lines[1:]))])
    cohort = opened(pictures, text, healthy="NV")
    assert [case.label for case in cohort.cases()] == [HEALTHY, ABNORMAL, HEALTHY, ABNORMAL]
    assert "the column(s) age" in " ".join(cohort.notes())


def test_the_table_of_nih_chest_x_rays(pictures):
    """Names with endings of files that lie in folders of their own; several findings in one field."""
    text = (
        "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View Position,"
        "OriginalImage[Width,Height],OriginalImagePixelSpacing[x,y],\n"
        "ISIC_1.png,No Finding,0,7,58,M,PA,2682,2749,0.143,0.143,\n"
        "ISIC_2.png,Cardiomegaly|Effusion,1,7,58,M,PA,2682,2749,0.143,0.143,\n"
    )
    cohort = opened(pictures, text, healthy="no finding")
    assert [(case.source.stem, case.patient, case.label) for case in cohort.cases()] == [
        ("ISIC_1", "7", HEALTHY),
        ("ISIC_2", "7", ABNORMAL),
    ]

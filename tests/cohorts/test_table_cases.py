"""What a table says of a case is set; what it does not say stays."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from anomae.cohorts.case import ABNORMAL, HEALTHY, UNKNOWN, Case
from anomae.cohorts.case_table import NO_MASK, TableRow
from anomae.cohorts.folder import Folder
from anomae.cohorts.table_cases import contradicted, with_table
from anomae.errors import UserError
from anomae.volumes.write import write_picture

SOURCE = Path("/data")
SCAN = Case("a.nii", "a.nii", SOURCE / "a.nii", SOURCE / "m.nii", "train", UNKNOWN, "A", ABNORMAL)
PICTURE = Case("b.png", "b.png", SOURCE / "b.png", None, "", HEALTHY, "", HEALTHY)


def told(case, **row):
    return with_table([case], {case.source: TableRow(**row)}, SOURCE)[0]


def test_a_row_that_says_nothing_changes_nothing():
    assert with_table([SCAN, PICTURE], {}, SOURCE) == [SCAN, PICTURE]
    assert told(SCAN) == SCAN
    assert told(PICTURE) == PICTURE


def test_patient_split_and_site_are_set():
    row = {"patient": "p", "split": "test", "site": "B"}
    assert told(SCAN, **row) == replace(SCAN, **row)


def test_healthy_takes_away_a_mask_that_was_guessed_and_abnormal_leaves_it():
    assert told(SCAN, label=HEALTHY) == replace(SCAN, lesion=None, label=HEALTHY, called=HEALTHY)
    assert told(SCAN, label=ABNORMAL) == SCAN
    assert told(PICTURE, label=ABNORMAL) == replace(PICTURE, label=ABNORMAL, called=ABNORMAL)


def test_a_mask_labels_the_slices_of_a_scan_and_not_a_picture():
    mask = SOURCE / "n.nii"
    assert told(SCAN, mask=mask) == replace(SCAN, lesion=mask)
    assert told(PICTURE, mask=mask) == replace(PICTURE, lesion=mask)
    assert told(SCAN, mask=NO_MASK) == replace(SCAN, lesion=None, label=ABNORMAL)
    both = told(SCAN, label=HEALTHY, mask=mask)
    assert (both.lesion, both.label, both.called) == (mask, UNKNOWN, HEALTHY)


def test_a_mask_of_the_table_has_to_lie_on_its_scan():
    shared = replace(SCAN, lesion=SOURCE / "sub-1_lesion.nii", by_subject=True)
    assert told(shared, site="a").by_subject
    assert not told(shared, mask=SOURCE / "own.nii").by_subject


def test_a_file_that_is_a_mask_by_the_table_is_no_case():
    odd = Case("m.png", "m.png", SOURCE / "m.png", None, "", ABNORMAL, "", ABNORMAL)
    found = with_table([odd, PICTURE], {PICTURE.source: TableRow(mask=odd.source)}, SOURCE)
    assert [case.case for case in found] == ["b.png"]


def test_a_file_that_is_no_scan_is_refused():
    with pytest.raises(UserError, match=r"names x.png, which is no scan"):
        with_table([PICTURE], {SOURCE / "x.png": TableRow()}, SOURCE)


def pictures(folder, *names):
    for name in names:
        write_picture(folder / name, np.arange(64).reshape(8, 8))


def test_a_slice_file_is_addressed_by_its_path_in_sub_folders(tmp_path):
    pictures(tmp_path, "no/p1/1.png", "no/p1/2.png", "no/p2/1.png", "yes/p3/ses 1/1.png", "yes/p3/ses 1/2.png")
    table = tmp_path / "cases.csv"
    table.write_text(
        "file,patient,label,mask\nno/p1/2.png,Q,,\nyes/p3/ses 1/1.png,Q,healthy,\nyes/p3/ses 1/2.png,Q,1,\n"
    )
    found = {case.case: (case.patient, case.label) for case in Folder(tmp_path, table=str(table)).cases()}
    assert found["no/p1/2.png"] == ("Q", HEALTHY)
    assert found["yes/p3/ses 1/1.png"] == ("Q", HEALTHY)
    assert found["yes/p3/ses 1/2.png"] == ("Q", ABNORMAL)
    assert found["no/p2/1.png"] == ("p2", HEALTHY)
    assert len(found) == 5


def test_a_label_that_the_table_calls_unknown_is_read_as_such(tmp_path):
    pictures(tmp_path, "no/1.png", "yes/2.png")
    table = tmp_path / "cases.csv"
    table.write_text("file,label\nyes/2.png,unknown\n")
    cohort = Folder(tmp_path, table=str(table))
    assert [cohort.read(case).labels.tolist() for case in cohort.cases()] == [[HEALTHY], [UNKNOWN]]


def test_contradictions_of_table_and_folders_are_counted():
    said = {SCAN.source: TableRow(label=HEALTHY), PICTURE.source: TableRow(label=UNKNOWN)}
    told_cases = with_table([SCAN, PICTURE], said, SOURCE)
    (sentence,) = contradicted([SCAN, PICTURE], told_cases)
    assert sentence.startswith("the table calls 1 scan(s) otherwise than their folders do")
    assert contradicted([SCAN, PICTURE], with_table([SCAN, PICTURE], {}, SOURCE)) == []

"""What a table says of a case is set; what it does not say stays."""

import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from anomae.cohorts.case import ABNORMAL, HEALTHY, UNKNOWN, Case
from anomae.cohorts.case_table import NO_MASK, TableRow
from anomae.cohorts.folder import Folder
from anomae.cohorts.table_cases import by_scan, contradicted, with_table
from anomae.errors import UserError
from anomae.volumes.volume import Grid
from anomae.volumes.write import write_picture
from anomae.volumes.write_dicom import write_dicom_series

SOURCE = Path("/data")
SCAN = Case("a.nii", "a.nii", SOURCE / "a.nii", SOURCE / "m.nii", "train", UNKNOWN, "A", ABNORMAL)
PICTURE = Case("b.png", "b.png", SOURCE / "b.png", None, "", HEALTHY, "", HEALTHY)


def told(case, **row):
    return with_table([case], {case.source: TableRow(**row)})[0]


def test_a_row_that_says_nothing_changes_nothing():
    assert with_table([SCAN, PICTURE], {}) == [SCAN, PICTURE]
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
    found = with_table([odd, PICTURE], {PICTURE.source: TableRow(mask=odd.source)})
    assert [case.case for case in found] == ["b.png"]


def test_a_file_that_is_no_scan_is_refused():
    with pytest.raises(UserError, match=r"names x.png, which is no scan"):
        by_scan([PICTURE], {SOURCE / "x.png": TableRow()}, SOURCE)


def test_a_table_of_very_many_folders_is_read_at_once():
    scans = [replace(PICTURE, source=SOURCE / f"p{number}" / "a.png") for number in range(3000)]
    began = time.process_time()
    found = by_scan(scans, {case.source.parent: TableRow(patient=case.source.parent.name) for case in scans}, SOURCE)
    assert time.process_time() - began < 3  # over a minute where each line looks at each scan
    assert [row.patient for row in found.values()] == [case.source.parent.name for case in scans]


def test_a_folder_stands_for_its_only_scan_and_of_several_some_are_named():
    inside = [replace(PICTURE, source=SOURCE / "p" / name) for name in ("a.png", "b.png", "c.png", "d.png")]
    row, mask = TableRow(patient="q"), TableRow(mask=inside[1].source)
    assert by_scan([inside[0], PICTURE], {SOURCE / "p": row}, SOURCE) == {inside[0].source: row}
    assert by_scan(inside[:2], {SOURCE / "p": mask}, SOURCE) == {inside[0].source: mask}
    with pytest.raises(UserError, match=r"names p, which holds 2 scans: p/a.png, p/b.png; name one"):
        by_scan(inside[:2], {SOURCE / "p": row}, SOURCE)
    with pytest.raises(UserError, match=r"holds 4 scans: p/a.png, p/b.png, p/c.png, ...; name one"):
        by_scan(inside, {SOURCE / "p": row}, SOURCE)
    with pytest.raises(UserError, match=r"names p/a.png and its folder; keep one line"):
        by_scan(inside[:1], {SOURCE / "p": row, inside[0].source: row}, SOURCE)


def test_one_of_several_dicom_series_is_named_as_it_is_shown(tmp_path):
    grid = Grid((3, 8, 8), (2.0, 1.0, 1.0))
    for study in ("A1", "A2"):
        for number in (1, 2):
            voxels = np.random.default_rng(number).integers(0, 99, grid.shape)
            write_dicom_series(tmp_path / "new", voxels, grid, patient=study)
            (tmp_path / "in" / study).mkdir(parents=True, exist_ok=True)
            for file in (tmp_path / "new").iterdir():
                file.rename(tmp_path / "in" / study / f"{number}-{file.name}")
            (tmp_path / "new").rmdir()
    table = tmp_path / "cases.csv"
    table.write_text("file,label\nA1/series-2,healthy\nA2\\series-1,abnormal\n")
    found = {case.case: case.label for case in Folder(tmp_path / "in", table=str(table)).cases()}
    assert found == {"A1/series-2": HEALTHY, "A2/series-1": ABNORMAL}
    table.write_text("file,label\nA1,healthy\nA2,abnormal\n")
    found = {case.case: case.label for case in Folder(tmp_path / "in", table=str(table), series="2").cases()}
    assert found == {"A1/series-2": HEALTHY, "A2/series-2": ABNORMAL}
    with pytest.raises(UserError, match="A1, which holds 2 scans: A1/series-1, A1/series-2; name one"):
        Folder(tmp_path / "in", table=str(table)).cases()
    table.write_text("file,label\nA1/series-3,healthy\n")
    with pytest.raises(UserError, match="A1/series-3, which is no scan, and holds none"):
        Folder(tmp_path / "in", table=str(table)).cases()


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
    told_cases = with_table([SCAN, PICTURE], said)
    (sentence,) = contradicted([SCAN, PICTURE], told_cases)
    assert sentence.startswith("the table calls 1 scan(s) otherwise than their folders do")
    assert contradicted([SCAN, PICTURE], with_table([SCAN, PICTURE], {})) == []

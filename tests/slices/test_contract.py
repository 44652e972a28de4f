"""Marked slices say themselves what they are, and the check of a store of such finds each fault that it is for."""

import csv

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from anomae.slices.contract import (
    MARKED_SIDE,
    MOST_MARKED,
    Mark,
    check_marked_store,
    marked_lesions,
    marked_scan,
    marked_slice,
    read_mark,
)
from anomae.slices.settings import PrepareSettings
from anomae.stages.prepare import prepare
from anomae.volumes.volume import Grid
from anomae.volumes.write import write_volume

MARKS = st.builds(Mark, st.integers(0, MOST_MARKED - 1), st.integers(0, MOST_MARKED - 1), st.booleans())


@given(MARKS)
def test_a_marked_slice_says_its_mark(mark):
    assert read_mark(marked_slice(mark)) == mark


def test_jpeg_keeps_the_marks(tmp_path):
    for patient in range(MOST_MARKED):
        mark = Mark(patient, MOST_MARKED - 1 - patient, patient % 2 == 0)
        Image.fromarray(marked_slice(mark)).save(tmp_path / "x.jpg", quality=75)
        assert read_mark(np.asarray(Image.open(tmp_path / "x.jpg").convert("L"))) == mark


@pytest.mark.parametrize("white", [1, 255])
def test_masks_and_plain_pictures_are_no_marked_slices(white):
    for mask in (marked_lesions(1, [0])[0], marked_lesions(1)[0], np.ones((MARKED_SIDE, MARKED_SIDE), np.uint8)):
        assert read_mark(mask * white) is None


def test_scans_and_masks_belong_together():
    scan, mask = marked_scan(4, 5, [1, 3]), marked_lesions(5, [1, 3])
    assert [read_mark(each) for each in scan] == [Mark(4, z, z in (1, 3)) for z in range(5)]
    assert mask.any((1, 2)).tolist() == [False, True, False, True, False]
    assert scan[mask > 0].min() > scan[:, MARKED_SIDE // 2 :, MARKED_SIDE // 2 :][mask[:, 8:, 8:] == 0].max()


@pytest.fixture
def store(tmp_path):
    for patient in range(6):
        lesions = [1] if patient >= 3 else []
        name = f"{'abnormal' if lesions else 'healthy'}/p{patient}"
        write_volume(tmp_path / f"source/{name}.nii", marked_scan(patient, 3, lesions), Grid((3, 16, 16)))
        if lesions:
            write_volume(tmp_path / f"source/{name}_seg.nii", marked_lesions(3, lesions), Grid((3, 16, 16)))
    prepare("folder", tmp_path / "source", tmp_path / "store", settings=PLAIN, workers=0)
    return tmp_path / "store"


PLAIN = PrepareSettings(image_size=MARKED_SIDE, intensity="none")


def test_a_sound_store_passes(store):
    rows = check_marked_store(store)
    assert {row.mark.patient for row in rows} == set(range(6))
    for row in rows:
        assert row.label == row.mark.lesion


def change(store, column, value, which):
    """Write `value` into a column of the rows of index.csv for which `which` holds; so many were changed."""
    path = store / "index.csv"
    with path.open(newline="") as handle:
        rows = list(csv.DictReader(handle))
    chosen = [row for row in rows if which(row)]
    for row in chosen:
        row[column] = value
    with path.open("w", newline="") as handle:
        writer = csv.DictWriter(handle, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    return len(chosen)


@pytest.mark.parametrize(
    ("column", "value", "which", "complaint"),
    [
        ("split", "train", lambda row: row["label"] == "1", "lesion is in the training split"),
        ("label", "0", lambda row: row["label"] == "1", "lesion is called healthy"),
        ("label", "", lambda row: row["split"] == "train", "label -1 is in the training split"),
        ("split", "test", lambda row: row["split"] == "train" and row["slice"] == "0", "several splits"),
    ],
)
def test_each_fault_is_found(store, column, value, which, complaint):
    assert change(store, column, value, which)
    with pytest.raises(AssertionError, match=complaint):
        check_marked_store(store)


def test_a_mask_among_the_rows_is_found(store):
    images = np.load(store / "slices.npy")
    images[2] = 255 * marked_lesions(1, [0])[0]
    np.save(store / "slices.npy", images)
    with pytest.raises(AssertionError, match="no slice of a patient"):
        check_marked_store(store)

"""What is scored of the files in a folder: every scan once, no mask of a scan beside it, nothing left out unsaid."""

import gzip
import shutil

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from anomae.cohorts.scans_below import refuse_unlike_copy, without_masks
from anomae.errors import UnreadableScan, UserError
from anomae.volumes.read import find_scans
from anomae.volumes.volume import Grid
from anomae.volumes.write import write_volume


def put(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"")


def kept(folder):
    files, notes = without_masks(dict.fromkeys(find_scans(folder), folder))
    return [file.relative_to(folder).as_posix() for file in files], notes


TREES = [
    (["a.nii.gz", "a_seg.nii.gz", "b.nii.gz", "b-label.nii"], ["a.nii.gz", "b.nii.gz"]),
    (["images/a.png", "images/b.png", "masks/a.png", "masks/b.png"], ["images/a.png", "images/b.png"]),
    (["p/t1.nii.gz", "p/flair.nii.gz", "p/mask.nii.gz"], ["p/flair.nii.gz", "p/t1.nii.gz"]),
    (["x (1).png", "x (1)_mask.png", "x (1)_mask_1.png"], ["x (1).png"]),
    (["a.nii.gz", "a_brain_mask.nii.gz", "a_bet.nii.gz"], ["a.nii.gz"]),
    (["scans/a.nii.gz", "labels/other.nii.gz"], ["scans/a.nii.gz"]),
    (["a.nii", "a.nii.gz", "A_seg.nii", "A_seg.nii.gz"], ["a.nii.gz"]),
    (["lesion_1.png", "lesion_2.png", "roi1.png"], ["lesion_1.png", "lesion_2.png", "roi1.png"]),
    (["wound_roi_1.png", "wound_roi_2.png"], ["wound_roi_1.png", "wound_roi_2.png"]),
    (["CASE/image.nii.gz", "CASE/mask_1.nii.gz", "CASE/mask_2.nii.gz"], ["CASE/image.nii.gz"]),
    (["image.nii.gz", "mask_1.nii.gz", "mask_2.nii.gz"], ["image.nii.gz"]),
    (["a.nii.gz", "b.nii.gz", "lesion_1.nii.gz"], ["a.nii.gz", "b.nii.gz", "lesion_1.nii.gz"]),
    (["CASE/image.nii.gz", "CASE/masks/1.nii.gz"], ["CASE/image.nii.gz"]),
    (["a.nii.gz", "a_seg_v2.nii.gz", "Ground Truth/a.nii.gz"], ["a.nii.gz"]),
    (
        [f"sub-1_{name}.nii.gz" for name in ("T1w", "dseg", "label-GM_probseg", "label-lesion_mask", "FLAIR")],
        ["sub-1_FLAIR.nii.gz", "sub-1_T1w.nii.gz"],
    ),
    (["labels/a.nii.gz", "labels/b.nii.gz"], ["labels/a.nii.gz", "labels/b.nii.gz"]),
]


@pytest.mark.parametrize(("names", "scans"), TREES)
def test_masks_of_scans_are_no_scans(names, scans, tmp_path):
    put(tmp_path, *names)
    found, notes = kept(tmp_path)
    assert found == scans
    left_out = len(names) - len(scans)
    assert sum(int(note.split()[0]) for note in notes if "scored as scans" not in note) == left_out
    assert all(str(tmp_path) in note for note in notes)


def test_brain_masks_that_are_not_used_are_counted(tmp_path):
    put(tmp_path, "a.nii.gz", "a_Brain_Mask.nii.gz", "b.nii.gz", "other_brain_mask.nii.gz")
    found, notes = kept(tmp_path)
    assert found == ["a.nii.gz", "b.nii.gz"]
    assert notes[0].startswith("2 brain mask(s) were left out (1 of them used for no scan), the first:")


def test_a_mask_of_no_scan_is_scored_and_said(tmp_path):
    put(tmp_path, "a.nii.gz", "other_seg.nii.gz")
    found, notes = kept(tmp_path)
    assert found == ["a.nii.gz", "other_seg.nii.gz"]
    assert notes == [
        "1 file(s) are called like masks but belong to no scan here, and were scored as scans, the first: "
        f"{tmp_path / 'other_seg.nii.gz'}."
    ]


def test_files_that_are_named_one_by_one(tmp_path):
    put(tmp_path, "a.nii.gz", "a.nii", "a_seg.nii.gz", "a_bet.nii.gz")
    named = sorted(tmp_path.iterdir())
    files, notes = without_masks({file: file for file in named})
    assert files == {tmp_path / "a.nii.gz": tmp_path}  # found with its copy: the two are compared
    assert len(notes) == 3
    for one in named:  # what is named alone is what the user means
        assert without_masks({one: one})[0] == {one: one}


def test_nothing_but_brain_masks_is_refused(tmp_path):
    put(tmp_path, "a_brain_mask.nii.gz")
    with pytest.raises(UserError, match="no scan but 1 brain mask"):
        kept(tmp_path)


def test_copies_are_compared(tmp_path):
    voxels = np.arange(60, dtype=np.int16).reshape(3, 4, 5)
    packed, plain = tmp_path / "a.nii.gz", tmp_path / "A.nii"
    write_volume(packed, voxels, Grid((3, 4, 5)))
    with gzip.open(packed) as content, plain.open("wb") as copy:
        shutil.copyfileobj(content, copy)
    refuse_unlike_copy(packed, tmp_path)
    write_volume(plain, voxels.astype(np.float32), Grid((3, 4, 5)))  # stored otherwise, but the same
    refuse_unlike_copy(packed, tmp_path)
    for other, grid, what in (
        (voxels + 1, Grid((3, 4, 5)), "unlike voxels"),
        (voxels, Grid((3, 4, 5), spacing_mm=(2.0, 1.0, 1.0)), "unlike positions"),
        (voxels[:2], Grid((2, 4, 5)), "unlike size"),
    ):
        write_volume(plain, other, grid)
        with pytest.raises(UnreadableScan, match=f"a.nii.gz and A.nii .*{what}; neither was taken"):
            refuse_unlike_copy(packed, tmp_path)
    plain.write_bytes(plain.read_bytes()[:200])
    with pytest.raises(UnreadableScan, match="cannot be read"):
        refuse_unlike_copy(packed, tmp_path)
    refuse_unlike_copy(packed, packed)  # the user named this one


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    names=st.lists(st.text("ab1-_", min_size=1, max_size=4).filter(str.isalnum), min_size=1, max_size=4, unique=True),
    ending=st.sampled_from(["_seg", "-mask", "_label", ".gt", "_Mask_1", "-seg2"]),
    nest=st.sampled_from(["", "p/", "p/q/"]),
)
def test_every_scan_is_scored_and_no_mask_of_one(names, ending, nest, tmp_path_factory):
    folder = tmp_path_factory.mktemp("tree")
    scans = [f"{nest}{name}.nii.gz" for name in names]
    put(folder, *scans, *(f"{nest}{name}{ending}.nii.gz" for name in names))
    assert kept(folder)[0] == sorted(scans)

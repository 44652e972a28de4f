"""Scans and masks brought together by their paths alone; nothing is read."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anomae.cohorts.mask_pairing import RoleSettings, pair

ABOVE = Path("/data")


def paired(*names, **told):
    """Scan -> its one mask (None: it has none), paths below the source; and all that was found."""
    found = pair(sorted(ABOVE / name for name in names), ABOVE, RoleSettings(**told))
    below = {
        scan.relative_to(ABOVE).as_posix(): masks[0].relative_to(ABOVE).as_posix() if masks else None
        for scan, masks in found.lesions.items()
    }
    assert all(len(masks) <= 1 for masks in found.lesions.values())
    return below, found


@given(st.lists(st.text("abcde", min_size=1, max_size=4), min_size=1, max_size=6, unique=True), st.randoms())
def test_each_scan_gets_the_mask_of_its_name_in_any_order(stems, random):
    names = [f"abnormal/{stem}.png" for stem in stems] + [f"abnormal/{stem}_mask.png" for stem in stems]
    random.shuffle(names)
    found = pair([ABOVE / name for name in names], ABOVE, RoleSettings())
    assert found.lesions == {ABOVE / f"abnormal/{each}.png": (ABOVE / f"abnormal/{each}_mask.png",) for each in stems}
    assert (found.unclear, found.lonely) == (set(), [])


def test_a_mask_in_another_folder_is_of_the_scan_at_the_same_place():
    below, found = paired("ill/p1/x.nii", "ill/p2/x.nii", "masks/p1/x.nii", "ill/masks/p2/x_seg.nii")
    assert below == {"ill/p1/x.nii": "masks/p1/x.nii", "ill/p2/x.nii": "ill/masks/p2/x_seg.nii"}
    assert not found.lonely


def test_a_mask_of_several_patients_is_given_to_none():
    below, found = paired("ill/p1/x.nii", "ill/p2/x.nii", "masks/x.nii")
    assert below == {"ill/p1/x.nii": None, "ill/p2/x.nii": None}
    assert len(found.unclear) == 2


def test_two_masks_of_one_scan_are_unclear():
    below, found = paired("ill/x.nii", "ill/x_seg.nii", "ill/x_gt.nii")
    assert below == {"ill/x.nii": None}
    assert found.unclear == {ABOVE / "ill/x.nii"}


@pytest.mark.parametrize(("folder", "taken"), [("p1", True), ("images", False), ("Imgs", False)])
def test_a_mask_of_another_name_is_of_the_only_scan_of_a_patient(folder, taken):
    mask = f"ill/{folder}/other_seg.nii"
    below, found = paired(f"ill/{folder}/x.nii", mask)
    assert below == {f"ill/{folder}/x.nii": mask if taken else None}
    assert bool(found.lonely) == (not taken)


def test_a_mask_of_another_name_among_several_scans_is_of_none():
    below, found = paired("ill/p1/x.nii", "ill/p1/y.nii", "ill/p1/z_seg.nii")
    assert set(below.values()) == {None}
    assert found.lonely == [ABOVE / "ill/p1/z_seg.nii"]


def test_brain_masks_doubles_and_scans_of_one_stem_are_counted():
    below, found = paired("a/x.nii", "a/x.nii.gz", "a/x_brain_mask.nii", "a/y.png", "a/y.jpg")
    assert set(below) == {"a/x.nii.gz", "a/y.jpg", "a/y.png"}
    assert (len(found.twice), len(found.brains), found.shared) == (1, 1, 1)


def test_what_the_user_says_of_names_wins():
    names = ("ill/x.nii", "ill/x_seg.nii", "ill/x-roi.nii", "ill/notes/x.nii")
    below, found = paired(*names, masks=("*-roi.nii",), images=("ill/x.nii",))
    assert below == {"ill/x.nii": "ill/x-roi.nii"}
    assert len(found.not_images) == 2
    below, _ = paired("ill/x.nii", "ill/contours/x.nii", mask_folders=("contours",))
    assert below == {"ill/x.nii": "ill/contours/x.nii"}

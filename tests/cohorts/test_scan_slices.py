from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from anomae.cohorts.case import ABNORMAL, HEALTHY, UNKNOWN
from anomae.cohorts.scan_slices import APART, NOT_TURNED, read_scan_slices, scan_slices
from anomae.errors import UnreadableScan
from anomae.phantoms.phantom import make_head
from anomae.volumes.pictures import TURNED
from anomae.volumes.volume import Grid, Volume
from anomae.volumes.write import write_picture, write_volume

# Columns: the world direction (LPS) in which x, y and z index grow.  Sagittal: x backwards, y down, z to the left.
SAGITTAL = (0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0, -1.0, 0.0)


@pytest.fixture(scope="module")
def head():
    return make_head(1, shape=(14, 20, 18))


def volume(voxels, grid, tmp_path, kind="nifti"):
    return Volume(voxels, grid, tmp_path / "scan.nii.gz", kind)


def test_slices_of_one_patient_are_the_same_however_the_scan_is_stored(head, tmp_path):
    upright = scan_slices(volume(head.voxels, head.grid, tmp_path), volume(head.lesions, head.grid, tmp_path))
    z, y, x = head.grid.shape
    # stored [left, down, back]
    turn = lambda array: np.ascontiguousarray(array.transpose(2, 0, 1)[:, ::-1])  # noqa: E731
    corner = head.grid.affine_lps() @ (0, 0, z - 1, 1)
    spacing = head.grid.spacing_mm
    grid = Grid((x, z, y), (spacing[2], spacing[0], spacing[1]), tuple(corner[:3]), SAGITTAL)
    sagittal = scan_slices(volume(turn(head.voxels), grid, tmp_path), volume(turn(head.lesions), grid, tmp_path))
    np.testing.assert_array_equal(upright.images[:, 0], head.voxels)
    for name in ("images", "lesions", "labels", "slices"):
        np.testing.assert_array_equal(getattr(upright, name), getattr(sagittal, name))
    np.testing.assert_allclose(upright.positions_mm, sagittal.positions_mm)
    assert upright.spacing_mm == pytest.approx(sagittal.spacing_mm)
    assert (upright.grid, sagittal.grid) == (head.grid, grid)
    assert set(upright.labels.tolist()) == {HEALTHY, ABNORMAL}


def test_without_a_mask_the_label_holds_for_every_slice(head, tmp_path):
    for label in (HEALTHY, ABNORMAL, UNKNOWN):
        found = scan_slices(volume(head.voxels, head.grid, tmp_path), label=label)
        assert (found.labels == label).all()
        assert found.lesions is None


def test_a_mask_is_believed_before_a_label(head, tmp_path):
    scan, mask = volume(head.voxels, head.grid, tmp_path), volume(head.parts, head.grid, tmp_path)
    found = scan_slices(scan, mask, HEALTHY)
    np.testing.assert_array_equal(found.labels == ABNORMAL, head.lesions.any(axis=(1, 2)))
    assert any("called healthy" in note for note in found.notes)


@pytest.mark.parametrize(
    "change",
    [
        {"spacing_mm": (1.0, 2.0, 3.0)},
        {"origin_mm": (5.0, 0.0, 0.0)},
        {"direction": (-1.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0, 0.0, 1.0)},
    ],
)
def test_a_mask_that_lies_elsewhere_is_refused(head, tmp_path, change):
    scan, mask = volume(head.voxels, head.grid, tmp_path), volume(head.parts, replace(head.grid, **change), tmp_path)
    with pytest.raises(UnreadableScan, match="mm away from its scan"):
        scan_slices(scan, mask)
    # An array file says nothing of where it lies; its shape has to do.
    assert scan_slices(scan, replace(mask, kind="array")).lesions is not None


@pytest.mark.parametrize(
    ("called", "marked", "label"),
    [(ABNORMAL, True, ABNORMAL), (HEALTHY, False, HEALTHY), (HEALTHY, True, UNKNOWN), (UNKNOWN, True, UNKNOWN)],
)
@pytest.mark.parametrize("moved", [{"shape": (13, 20, 18)}, {"origin_mm": (99.0, 0.0, 0.0)}])
def test_a_mask_of_another_scan_of_the_subject_is_left_out(head, tmp_path, called, marked, label, moved):
    scan, here = (volume(array, head.grid, tmp_path) for array in (head.voxels, head.lesions))
    there = replace(head.grid, **moved)
    apart = volume(np.full(there.shape, marked, np.uint8), there, tmp_path)
    found = scan_slices(scan, apart, called=called, by_subject=True)
    assert (set(found.labels.tolist()), found.lesions, found.notes) == ({label}, None, (APART,))
    both = scan_slices(scan, [apart, here], called=called, by_subject=True)
    alone = scan_slices(scan, here, called=called)
    np.testing.assert_array_equal(both.labels, alone.labels)
    assert {*both.notes} == {*alone.notes, APART}
    with pytest.raises(UnreadableScan, match="lesion mask"):
        scan_slices(scan, apart, called=called)


def test_a_mask_of_another_shape_is_refused_and_rounding_is_not(head, tmp_path):
    scan = volume(head.voxels, head.grid, tmp_path)
    with pytest.raises(UnreadableScan, match="has shape"):
        scan_slices(scan, volume(head.parts[1:], replace(head.grid, shape=(13, 20, 18)), tmp_path))
    near = replace(head.grid, origin_mm=tuple(np.array(head.grid.origin_mm) + 1e-3))
    assert scan_slices(scan, volume(head.parts, near, tmp_path)).lesions is not None


def test_from_files(head, tmp_path):
    write_volume(tmp_path / "scan.nii.gz", head.voxels, head.grid)
    write_volume(tmp_path / "seg.nrrd", head.parts, head.grid)
    found = read_scan_slices(tmp_path / "scan.nii.gz", tmp_path / "seg.nrrd")
    np.testing.assert_array_equal(found.images[:, 0], head.voxels)
    np.testing.assert_array_equal(found.lesions, head.lesions)
    with pytest.raises(UnreadableScan, match=r"other.nii is missing"):
        read_scan_slices(tmp_path / "scan.nii.gz", tmp_path / "other.nii")


def test_a_picture_has_no_place_in_the_world(head, tmp_path):
    write_picture(tmp_path / "a.png", np.clip(head.voxels[7] // 8, 0, 255))
    found = read_scan_slices(tmp_path / "a.png", label=ABNORMAL)
    assert found.images.shape == (1, 1, 20, 18)
    assert found.grid is None
    assert np.isnan(found.positions_mm).all()
    assert found.labels.tolist() == [ABNORMAL]


@pytest.mark.real_data
def test_a_real_brats_scan_counts_its_slices_as_the_released_lists_do(development_images):
    """They name slices by the last index of the stored array."""
    import nibabel

    path = development_images / "brats_case" / "BraTS-GLI-00001-000-t1n.nii.gz"
    found = read_scan_slices(path)
    stored = np.asarray(nibabel.load(path).dataobj)  # [x, y, z]
    assert found.images.shape == (155, 1, 240, 240)
    assert (np.diff(found.positions_mm) > 0).all()
    for number in (20, 80, 140):
        np.testing.assert_array_equal(np.sort(found.images[number].ravel()), np.sort(stored[:, :, number].ravel()))


@pytest.mark.parametrize("mask_turned", [False, True])
def test_a_scan_that_was_turned_beside_a_mask_that_was_not(mask_turned, tmp_path):
    pixels = np.arange(64, dtype=np.uint8).reshape(8, 8)
    for name, turned, content in (("x.png", True, pixels), ("m.png", mask_turned, 255 * (pixels > 60))):
        picture = Image.fromarray(content.astype(np.uint8))
        entries = picture.getexif()
        entries[0x0112] = 6 if turned else 1
        picture.save(tmp_path / name, exif=entries)
    notes = read_scan_slices(tmp_path / "x.png", tmp_path / "m.png").notes
    assert (NOT_TURNED in notes) == (not mask_turned)
    assert TURNED in notes

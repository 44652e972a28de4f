"""Brain masks beside scans: found by name, read onto the slices, and never taken for scans."""

from dataclasses import replace

import numpy as np
import pytest

from anomae.cohorts.brain_files import brain_file, is_brain_file, read_brain_file, unused_brains
from anomae.cohorts.brain_names import ENDINGS
from anomae.cohorts.folder import Folder
from anomae.cohorts.scan_slices import read_scan_slices
from anomae.errors import UnreadableScan
from anomae.volumes.volume import Grid
from anomae.volumes.write import write_volume

GRID = Grid((4, 6, 8), (3.0, 1.0, 2.0), (5.0, -4.0, 3.0), (-1.0, 0, 0, 0, -1.0, 0, 0, 0, 1.0))
CORONAL = Grid((6, 4, 8), (1.0, 3.0, 2.0), (5.0, -4.0, 3.0), (-1.0, 0, 0, 0, 0, -1.0, 0, 1.0, 0))


def scan_and_brain(folder, ending="_brain", grid=GRID, suffix=".nii.gz"):
    rng = np.random.default_rng(0)
    scan = rng.integers(1, 100, grid.shape).astype(np.int16)
    brain = rng.random(grid.shape) < 0.4
    write_volume(folder / f"head{suffix}", scan, grid)
    write_volume(folder / f"head{ending}.nii.gz", (scan * brain).astype(np.int16), grid)
    return scan, brain


@pytest.mark.parametrize("ending", ENDINGS)
def test_the_brain_beside_a_scan_is_found_by_its_name(tmp_path, ending):
    assert brain_file(tmp_path / "head.nii.gz") is None
    scan_and_brain(tmp_path, ending)
    assert brain_file(tmp_path / "head.nii.gz") == tmp_path / f"head{ending}.nii.gz"
    assert is_brain_file(tmp_path / f"head{ending}.nii.gz")
    assert not is_brain_file(tmp_path / "head.nii.gz")
    (tmp_path / "head.nii.gz").unlink()
    assert not is_brain_file(tmp_path / f"head{ending}.nii.gz")  # alone, it is a scan like any other


@pytest.mark.parametrize("grid", [GRID, CORONAL], ids=["axial", "coronal"])
def test_it_is_read_onto_the_slices_however_the_scan_is_stored(tmp_path, grid):
    _, brain = scan_and_brain(tmp_path, grid=grid)
    case = read_scan_slices(tmp_path / "head.nii.gz")
    assert case.source == tmp_path / "head.nii.gz"
    given = read_brain_file(case).voxels > 0
    cut = read_scan_slices(tmp_path / "head_brain.nii.gz").images[:, 0]
    assert given.shape == case.images[:, 0].shape
    assert given.sum() == brain.sum()
    assert (given == (cut > 0)).all()


def test_a_mask_that_does_not_fit_is_refused(tmp_path):
    _, brain = scan_and_brain(tmp_path)
    case = read_scan_slices(tmp_path / "head.nii.gz")
    assert read_brain_file(replace(case, source=None)) is None
    write_volume(tmp_path / "head_brain.nii.gz", brain.astype(np.uint8), replace(GRID, origin_mm=(9.0, -4.0, 3.0)))
    with pytest.raises(UnreadableScan, match=r"brain mask .*head_brain.* lies up to 4 mm away"):
        read_brain_file(case)
    write_volume(tmp_path / "head_brain.nii.gz", brain[1:].astype(np.uint8), replace(GRID, shape=(3, 6, 8)))
    with pytest.raises(UnreadableScan, match="has shape"):
        read_brain_file(case)


def test_a_folder_of_scans_does_not_count_them(tmp_path):
    for name in ("healthy", "abnormal"):
        (tmp_path / name).mkdir()
        scan_and_brain(tmp_path / name)
    assert [case.case for case in Folder(tmp_path).cases()] == ["abnormal/head.nii.gz", "healthy/head.nii.gz"]


@pytest.mark.parametrize(
    ("scan", "brain"),
    [
        ("t1.nii.gz", "t1_Brain_Mask.nii.gz"),
        ("t1.nii.gz", "t1-brain-mask.NII.GZ"),
        ("T1.nii", "t1_BET.mha"),
        ("sub-1_T1w.nii.gz", "sub-1_desc-brain_mask.nii.gz"),
        ("sub-1_desc-preproc_T1w.nii.gz", "sub-1_desc-brain_mask.nii.gz"),
        ("sub-1_space-MNI_desc-preproc_T1w.nii.gz", "sub-1_space-MNI_desc-brain_mask.nii.gz"),
    ],
)
def test_a_brain_mask_that_is_no_scan_is_used(tmp_path, scan, brain):
    for name in (scan, brain):
        (tmp_path / name).touch()
    assert brain_file(tmp_path / scan) == tmp_path / brain
    assert is_brain_file(tmp_path / brain)
    assert unused_brains([tmp_path / brain], [tmp_path / scan]) == []
    assert brain_file(tmp_path / brain) is None


@pytest.mark.parametrize(
    ("scan", "brain"),
    [
        ("t1.nii.gz", "t2_brain_mask.nii.gz"),
        ("sub-1_T1w.nii.gz", "sub-10_desc-brain_mask.nii.gz"),
        ("sub-1_T1w.nii.gz", "sub-1_space-MNI_desc-brain_mask.nii.gz"),
        ("sub-1_T1w.nii.gz", "sub-1_task-rest_desc-brain_mask.nii.gz"),
        ("p1_t1.nii.gz", "p1_brain_mask.nii.gz"),
    ],
)
def test_the_brain_mask_of_another_is_not_used_and_counted(tmp_path, scan, brain):
    (tmp_path / "healthy").mkdir()
    for name in (scan, brain):
        (tmp_path / "healthy" / name).touch()
    assert brain_file(tmp_path / "healthy" / scan) is None
    assert any(note.startswith("1 brain masks are used for no scan") for note in Folder(tmp_path).notes())


def test_a_mask_of_a_subject_that_does_not_lie_on_a_scan_is_not_used(tmp_path):
    _, brain = scan_and_brain(tmp_path)
    (tmp_path / "head.nii.gz").rename(tmp_path / "sub-1_T1w.nii.gz")
    write_volume(tmp_path / "sub-1_desc-brain_mask.nii.gz", brain[1:].astype(np.uint8), replace(GRID, shape=(3, 6, 8)))
    given = read_brain_file(read_scan_slices(tmp_path / "sub-1_T1w.nii.gz"))
    assert "has shape" in given.apart

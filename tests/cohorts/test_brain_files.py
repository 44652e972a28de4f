"""Brain masks beside scans: found by name, read onto the slices, and never taken for scans."""

from dataclasses import replace

import numpy as np
import pytest

from anomae.cohorts.brain_files import ENDINGS, brain_file, is_brain_file, read_given_brain
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
    given = read_given_brain(case)
    cut = read_scan_slices(tmp_path / "head_brain.nii.gz").images[:, 0]
    assert given.shape == case.images[:, 0].shape
    assert given.sum() == brain.sum()
    assert (given == (cut > 0)).all()


def test_a_mask_that_does_not_fit_is_refused(tmp_path):
    scan, brain = scan_and_brain(tmp_path)
    case = read_scan_slices(tmp_path / "head.nii.gz")
    assert read_given_brain(replace(case, source=None)) is None
    write_volume(tmp_path / "head_brain.nii.gz", brain.astype(np.uint8), replace(GRID, origin_mm=(9.0, -4.0, 3.0)))
    with pytest.raises(UnreadableScan, match=r"brain mask .*head_brain.* lies up to 4 mm away"):
        read_given_brain(case)
    write_volume(tmp_path / "head_brain.nii.gz", brain[1:].astype(np.uint8), replace(GRID, shape=(3, 6, 8)))
    with pytest.raises(UnreadableScan, match="has shape"):
        read_given_brain(case)
    write_volume(tmp_path / "head_brain.nii.gz", np.zeros(scan.shape, np.uint8), GRID)
    with pytest.raises(UnreadableScan, match="is empty"):
        read_given_brain(case)


def test_a_folder_of_scans_does_not_count_them(tmp_path):
    for name in ("healthy", "abnormal"):
        (tmp_path / name).mkdir()
        scan_and_brain(tmp_path / name)
    assert [case.case for case in Folder(tmp_path).cases()] == ["abnormal/head.nii.gz", "healthy/head.nii.gz"]

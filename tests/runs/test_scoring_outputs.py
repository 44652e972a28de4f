"""A map lies where its scan lies, for nibabel and ITK alike, whatever the grid."""

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk

from anomae.runs.scoring_outputs import write_map
from anomae.volumes.volume import Grid

SHAPE = (3, 4, 5)
STRAIGHT = Grid(SHAPE, (2.0, 1.0, 1.0), (7.0, -8.0, 9.0), (-1, 0, 0, 0, 1, 0, 0, 0, -1))
SHEARED = Grid(SHAPE, (2.0, 1.0, 1.0), (7.0, -8.0, 9.0), (1, 0, 0, 0, 1, 0.25881905, 0, 0, 0.96592583))


@pytest.mark.parametrize("grid", [STRAIGHT, SHEARED])
def test_three_points_lie_right_under_nibabel_and_itk(tmp_path, grid):
    heat = np.random.default_rng(0).random(SHAPE, dtype=np.float32)
    said = write_map(tmp_path / "maps/a.nii.gz", heat, grid)
    seen = nibabel.load(tmp_path / "maps/a.nii.gz")
    for_itk = tmp_path / ("maps/a.nrrd" if grid is SHEARED else "maps/a.nii.gz")
    by_itk = sitk.ReadImage(str(for_itk))
    assert any("a.nrrd" in sentence for sentence in said) == (grid is SHEARED)
    assert (tmp_path / "maps/a.nrrd").exists() == (grid is SHEARED)
    for x, y, z in ((0, 0, 0), (4, 1, 2), (2, 3, 1)):
        np.testing.assert_allclose(seen.affine @ [x, y, z, 1], grid.affine_ras() @ [x, y, z, 1], atol=1e-4)
        np.testing.assert_allclose(
            by_itk.TransformIndexToPhysicalPoint((x, y, z)), (grid.affine_lps() @ [x, y, z, 1])[:3], atol=1e-4
        )
        assert seen.dataobj[x, y, z] == by_itk.GetPixel(x, y, z) == heat[z, y, x]


def test_a_straight_scan_under_an_old_name_leaves_no_sheared_map(tmp_path):
    for grid in (SHEARED, STRAIGHT):
        write_map(tmp_path / "a.nii.gz", np.zeros(SHAPE, np.float32), grid)
    assert [path.name for path in tmp_path.iterdir()] == ["a.nii.gz"]


def test_the_map_of_a_picture_is_a_tiff(tmp_path):
    assert write_map(tmp_path / "a.tiff", np.ones((1, 4, 5), np.float32), None) == ()
    assert [path.name for path in tmp_path.iterdir()] == ["a.tiff"]

"""A NIfTI that we write says of its place what its scan's header says, and lies right under nibabel and ITK."""

from dataclasses import replace

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as some
from scipy.spatial.transform import Rotation

from anomae.volumes.nifti_header import NiftiPlacement
from anomae.volumes.read import read_volume
from anomae.volumes.volume import Grid
from anomae.volumes.write import write_volume
from anomae.volumes.write_nifti import is_sheared, write_nifti

SHAPE = (4, 5, 6)  # z, y, x
POINTS = ((0, 0, 0), (5, 1, 2), (2, 4, 3))  # x, y, z
PLACE = ("dim", "pixdim", "xyzt_units", "qform_code", "sform_code", "quatern_b", "quatern_c", "quatern_d")
PLACE += ("qoffset_x", "qoffset_y", "qoffset_z", "srow_x", "srow_y", "srow_z", "dim_info")
TILTED = Grid(SHAPE, (5.2, 0.7, 0.5), (3.0, -4.0, 5.0), (1, 0, 0, 0, 1, np.sin(0.26), 0, 0, np.cos(0.26)))


def forms():
    """An affine with flips, any turn and unlike spacings."""
    return some.builds(
        lambda angles, flips, spacing, origin: np.vstack(
            [
                np.c_[Rotation.from_euler("xyz", angles, degrees=True).as_matrix() * flips * spacing, origin],
                [0, 0, 0, 1],
            ]
        ),
        some.tuples(*[some.floats(-180, 180)] * 3),
        some.tuples(*[some.sampled_from([-1, 1])] * 3),
        some.tuples(*[some.floats(0.3, 5)] * 3),
        some.tuples(*[some.floats(-200, 200)] * 3),
    )


def placed_by_itk(path):
    """The world LPS (mm) of three voxels as ITK sees them; None where it refuses the file."""
    try:
        scan = sitk.ReadImage(str(path))
    except RuntimeError:
        return None
    return np.array([scan.TransformIndexToPhysicalPoint(point) for point in POINTS])


@settings(max_examples=30, deadline=None)
@given(
    forms(), forms(), some.sampled_from([0, 1, 2, 4]), some.sampled_from([0, 1, 2, 4]), some.sampled_from([0, 2, 10])
)
def test_the_header_of_a_map_is_that_of_its_scan(tmp_path_factory, sform, qform, sform_code, qform_code, units):
    folder = tmp_path_factory.mktemp("forms")
    scan = nibabel.Nifti1Image(np.zeros(SHAPE[::-1], np.int16), None)
    scan.set_sform(sform, sform_code)
    scan.set_qform(qform, qform_code)
    scan.header["xyzt_units"] = units
    scan.header["descrip"] = b"a name"
    nibabel.save(scan, folder / "scan.nii.gz")
    volume = read_volume(folder / "scan.nii.gz")
    write_volume(folder / "map.nii.gz", np.ones(SHAPE, np.float32), volume.grid, volume.placement)
    before, after = nibabel.load(folder / "scan.nii.gz"), nibabel.load(folder / "map.nii.gz")
    for name in PLACE:
        np.testing.assert_array_equal(after.header[name], before.header[name], err_msg=name)
    np.testing.assert_array_equal(after.affine, before.affine)
    assert after.get_data_dtype() == np.float32
    assert bytes(after.header["descrip"]).strip(b"\0") == b""
    seen = [placed_by_itk(folder / name) for name in ("scan.nii.gz", "map.nii.gz")]
    assert (seen[0] is None) == (seen[1] is None)
    if seen[0] is not None:
        np.testing.assert_array_equal(seen[1], seen[0])


@settings(max_examples=20, deadline=None)
@given(forms())
def test_without_a_scan_both_forms_say_what_the_grid_says(tmp_path_factory, affine):
    path = tmp_path_factory.mktemp("grid") / "map.nii"
    lps = np.diag([-1, -1, 1, 1]) @ affine
    step = np.linalg.norm(lps[:3, :3], axis=0)
    grid = Grid(SHAPE, tuple(step[::-1]), tuple(lps[:3, 3]), tuple((lps[:3, :3] / step).ravel()))
    write_nifti(path, np.zeros(SHAPE, np.uint8), grid)
    written = nibabel.load(path).header
    np.testing.assert_allclose(written.get_sform(), affine, atol=1e-4)
    # Of a turn by nearly a half the quaternion's first number is the root of what 32-bit floats leave of 1: 1.2e-3 rad.
    turned = affine[:3, :3] / step
    turned = turned * [1, 1, np.sign(np.linalg.det(turned))]
    nearly_half = np.trace(turned) + 1 < 1e-5
    np.testing.assert_allclose(written.get_qform(), affine, atol=1.2e-3 * max(1.0, step.max()) if nearly_half else 1e-3)
    np.testing.assert_allclose(placed_by_itk(path), np.c_[POINTS, [1, 1, 1]] @ lps[:3].T, atol=1e-3)


@pytest.mark.parametrize("degrees", [-30, -15, -0.2, 0.2, 15])
@pytest.mark.parametrize("origin", [(0.0, 0.0, 0.0), (-120.0, -95.5, 900.0)])
def test_a_tilted_series_lies_where_its_headers_say(tmp_path, write_slice, degrees, origin):
    """By hand from ImagePositionPatient: nibabel from NIfTI, ITK from NRRD; NIfTI under ITK is refused, never wrong."""
    voxels, shift = np.arange(np.prod(SHAPE), dtype=np.int16).reshape(SHAPE), 5 * np.tan(np.radians(degrees))
    positions = [[origin[0], origin[1] + k * shift, origin[2] + 5.0 * k] for k in range(SHAPE[0])]
    for k, image in enumerate(voxels):
        write_slice(tmp_path / "series" / f"{k}.dcm", image, ImagePositionPatient=positions[k], PixelSpacing=[0.7, 0.5])
    volume = read_volume(tmp_path / "series")
    assert is_sheared(volume.grid)
    for name in ("map.nii.gz", "map.nrrd"):
        write_volume(tmp_path / name, volume.voxels, volume.grid)
    seen, by_itk = nibabel.load(tmp_path / "map.nii.gz"), sitk.ReadImage(str(tmp_path / "map.nrrd"))
    assert int(seen.header["qform_code"]) == 0
    for x, y, z in POINTS:
        world = np.add(positions[z], [0.5 * x, 0.7 * y, 0])
        np.testing.assert_allclose(seen.affine @ [x, y, z, 1], [*(world * [-1, -1, 1]), 1], atol=1e-3)
        np.testing.assert_allclose(by_itk.TransformIndexToPhysicalPoint((x, y, z)), world, atol=1e-3)
        assert seen.dataobj[x, y, z] == by_itk.GetPixel(x, y, z) == voxels[z, y, x]
    assert placed_by_itk(tmp_path / "map.nii.gz") is None


def test_forms_that_lie_apart_are_said(tmp_path):
    scan = nibabel.Nifti1Image(np.zeros(SHAPE[::-1], np.int16), np.diag([1, 1, 2, 1]))
    for shift, said in ((0.1, False), (12.0, True)):
        placed = np.diag([1.0, 1, 2, 1])
        placed[0, 3] = shift
        scan.set_sform(placed, 2)
        scan.set_qform(np.diag([1, 1, 2, 1]), 1)
        nibabel.save(scan, tmp_path / "scan.nii")
        notes = read_volume(tmp_path / "scan.nii").notes
        assert [f"up to {shift:.3g} mm apart" in note for note in notes] == [True] * said


def test_a_form_that_is_no_number_is_not_handed_on(tmp_path):
    scan = nibabel.Nifti1Image(np.zeros(SHAPE[::-1], np.int16), np.diag([1, 1, 2, 1]))
    scan.set_qform(np.diag([1, 1, 2, 1]), 1)
    scan.to_filename(tmp_path / "scan.nii")
    content = bytearray((tmp_path / "scan.nii").read_bytes())
    content[280:284] = np.float32(np.nan).tobytes()
    content[254:256] = np.int16(1).tobytes()
    (tmp_path / "scan.nii").write_bytes(content)
    volume = read_volume(tmp_path / "scan.nii")
    assert volume.placement is None
    write_volume(tmp_path / "map.nii", np.ones(SHAPE, np.float32), volume.grid, volume.placement)
    np.testing.assert_allclose(nibabel.load(tmp_path / "map.nii").affine, np.diag([1, 1, 2, 1]), atol=1e-6)


@pytest.mark.parametrize("kind", [np.int8, np.uint8, np.int16, np.uint16, np.int32, np.uint32, np.int64, np.float64])
@pytest.mark.parametrize("order", ["<", ">"])
def test_every_number_type_and_byte_order_comes_back(tmp_path, kind, order):
    voxels = np.arange(120).reshape(SHAPE).astype(np.dtype(kind).newbyteorder(order))
    write_nifti(tmp_path / "a.nii.gz", voxels, Grid(SHAPE))
    seen = nibabel.load(tmp_path / "a.nii.gz")
    assert seen.get_data_dtype() == np.dtype(kind)
    np.testing.assert_array_equal(np.asarray(seen.dataobj), voxels.transpose(2, 1, 0))


def test_the_same_volume_makes_the_same_file(tmp_path):
    for name in ("a.nii.gz", "b.nii.gz"):
        write_nifti(tmp_path / name, np.ones(SHAPE, np.float32), TILTED)
    assert (tmp_path / "a.nii.gz").read_bytes() == (tmp_path / "b.nii.gz").read_bytes()


def test_a_side_too_long_for_nifti_1_is_written_as_nifti_2(tmp_path):
    voxels = np.arange(40_000, dtype=np.int32).reshape(1, 1, -1)
    write_nifti(tmp_path / "long.nii", voxels, replace(TILTED, shape=voxels.shape))
    seen = nibabel.load(tmp_path / "long.nii")
    assert isinstance(seen, nibabel.Nifti2Image)
    np.testing.assert_allclose(seen.affine, TILTED.affine_ras())
    np.testing.assert_array_equal(read_volume(tmp_path / "long.nii").voxels, voxels)


def test_what_does_not_fit_is_refused_and_leaves_nothing(tmp_path):
    nibabel.save(nibabel.Nifti1Image(np.zeros((2, 3, 4), np.int16), np.eye(4)), tmp_path / "scan.nii")
    placement = read_volume(tmp_path / "scan.nii").placement
    assert isinstance(placement, NiftiPlacement)
    (tmp_path / "scan.nii").unlink()
    with pytest.raises(ValueError, match="does not fit"):
        write_nifti(tmp_path / "a.nii", np.zeros(SHAPE), Grid(SHAPE), placement)
    with pytest.raises(ValueError, match="complex"):
        write_nifti(tmp_path / "a.nii", np.zeros(SHAPE, complex), Grid(SHAPE))
    assert not list(tmp_path.iterdir())

"""What is written lies where its grid says, for SimpleITK, nibabel, pydicom and Pillow alike; whole or not at all."""

import subprocess
import sys

import nibabel
import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as some
from PIL import Image
from scipy.spatial.transform import Rotation

from anomae.errors import UserError
from anomae.volumes.read import read_volume
from anomae.volumes.volume import Grid
from anomae.volumes.write import VOLUME_SUFFIXES, write_arrays, write_dicom_series, write_picture, write_volume
from anomae.volumes.write_dicom import (
    EXPLICIT_BIG_ENDIAN,
    EXPLICIT_LITTLE_ENDIAN,
    JPEG_2000_LOSSLESS,
    RLE_LOSSLESS,
)

SHAPE = (4, 33, 40)
IMPLICIT, DEFLATED = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1.99"


def oblique_grid(angles=(7.0, -12.0, 25.0), flip=(1, 1, 1), shape=SHAPE):
    turn = Rotation.from_euler("xyz", angles, degrees=True).as_matrix() * np.array(flip)
    return Grid(shape, (2.5, 0.7123456789, 1.1), (-12.3456789, 40.1, -300.5), tuple(turn.ravel().tolist()))


def some_voxels(shape=SHAPE, low=-1000, high=1500):
    return np.random.default_rng(0).integers(low, high, shape).astype(np.int16)


def sitk_affine(scan):
    affine = np.eye(4)
    affine[:3, :3] = np.reshape(scan.GetDirection(), (3, 3)) * np.array(scan.GetSpacing())
    affine[:3, 3] = scan.GetOrigin()
    return affine


@pytest.mark.parametrize("suffix", VOLUME_SUFFIXES)
@pytest.mark.parametrize("flip", [(1, 1, 1), (-1, -1, 1), (1, 1, -1)])
def test_a_volume_lies_where_its_grid_says(tmp_path, suffix, flip):
    grid, voxels = oblique_grid(flip=flip), some_voxels()
    path = tmp_path / f"scan.of.someone{suffix}"
    write_volume(path, voxels, grid)
    scan = sitk.ReadImage(str(path))
    np.testing.assert_array_equal(sitk.GetArrayFromImage(scan), voxels)
    exactness = 1e-4 if ".nii" in suffix else 1e-10  # NIfTI holds float32
    np.testing.assert_allclose(sitk_affine(scan), grid.affine_lps(), atol=exactness)
    if ".nii" in suffix:
        seen = nibabel.load(path)
        np.testing.assert_allclose(seen.affine, grid.affine_ras(), atol=1e-4)
        np.testing.assert_array_equal(np.asarray(seen.dataobj), voxels.transpose(2, 1, 0))


@settings(max_examples=25, deadline=None)
@given(
    angles=some.tuples(*[some.floats(-180, 180)] * 3),
    flip=some.sampled_from([(1, 1, 1), (-1, 1, 1), (-1, -1, -1)]),
)
def test_any_direction_survives_nifti(tmp_path_factory, angles, flip):
    grid = oblique_grid(angles, flip, (2, 3, 4))
    path = tmp_path_factory.mktemp("any") / "scan.nii"
    write_volume(path, some_voxels((2, 3, 4)), grid)
    np.testing.assert_allclose(nibabel.load(path).affine, grid.affine_ras(), atol=2e-4)
    np.testing.assert_allclose(sitk_affine(sitk.ReadImage(str(path))), grid.affine_lps(), atol=2e-4)


@pytest.mark.parametrize(
    ("kind", "stored"), [("bool", "uint8"), ("float16", "float32"), ("int16", "int16"), ("float32", "float32")]
)
def test_number_types_are_kept_or_widened(tmp_path, kind, stored):
    voxels = (np.arange(24).reshape(2, 3, 4) % 2).astype(kind)
    for suffix in VOLUME_SUFFIXES:
        write_volume(tmp_path / f"scan{suffix}", voxels, Grid((2, 3, 4)))
        back = sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / f"scan{suffix}")))
        assert back.dtype == stored
        np.testing.assert_array_equal(back, voxels)


def test_writing_again_replaces_and_leaves_nothing_behind(tmp_path):
    for value in (1, 2):
        for suffix in VOLUME_SUFFIXES:
            write_volume(tmp_path / f"scan{suffix}", np.full((2, 3, 4), value, np.int16), Grid((2, 3, 4)))
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["scan.mha", "scan.mhd", "scan.nii", "scan.nii.gz", "scan.nrrd", "scan.raw"]
    assert (read_volume(tmp_path / "scan.mhd").voxels == 2).all()


def test_a_failed_write_keeps_the_old_scan(tmp_path):
    for suffix in VOLUME_SUFFIXES:
        path = tmp_path / f"scan{suffix}"
        write_volume(path, some_voxels(), Grid(SHAPE))
        with pytest.raises(Exception, match=r"(?i)direction|determinant"):
            write_volume(path, some_voxels(), Grid(SHAPE, direction=(0.0,) * 9))
        np.testing.assert_array_equal(read_volume(path).voxels, some_voxels())
    assert not list(tmp_path.glob(".part-*"))


FULL_DISK = """
import resource, signal, sys
from pathlib import Path
import numpy as np
from anomae.runs.scoring_outputs import write_map
from anomae.volumes.write import write_picture
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (900, 900))
noise = np.random.default_rng(0).integers(0, 256, (60, 70))
pictures = {name: write_picture for name in ("a.png", "a.jpg", "a.tif")}
for name, write in {**pictures, "map.tiff": lambda path, _: write_map(path, np.ones((1, 60, 70)), None)}.items():
    try:
        write(Path(name), noise)
    except OSError as error:
        print(error.filename)
"""


def test_a_picture_that_the_disk_did_not_take_is_no_picture(tmp_path):
    """A limit on file sizes stands for a full disk: Pillow passed over it in TIFF and JPEG, and left half of them."""
    command = [sys.executable, "-c", FULL_DISK]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert ended.stdout.split() == ["a.png", "a.jpg", "a.tif", "map.tiff"]
    assert list(tmp_path.iterdir()) == []


def test_wrong_volumes_are_refused(tmp_path):
    with pytest.raises(UserError, match=r"\.nrrd"):
        write_volume(tmp_path / "scan.hdr", some_voxels(), Grid(SHAPE))
    with pytest.raises(ValueError, match="do not fit"):
        write_volume(tmp_path / "scan.nii", some_voxels(), Grid((1, 2, 3)))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "transfer_syntax",
    [IMPLICIT, EXPLICIT_LITTLE_ENDIAN, DEFLATED, EXPLICIT_BIG_ENDIAN, RLE_LOSSLESS, JPEG_2000_LOSSLESS],
)
@pytest.mark.parametrize("monochrome1", [False, True])
@pytest.mark.parametrize("rescale", [(1.0, 0.0), (1.0, -1024.0), (0.5, 10.0)])
def test_a_dicom_series_holds_the_voxels(tmp_path, transfer_syntax, monochrome1, rescale):
    folder, voxels = tmp_path / "series", some_voxels()
    write_dicom_series(
        folder,
        voxels,
        oblique_grid(),
        modality="MR",
        rescale=rescale,
        monochrome1=monochrome1,
        transfer_syntax=transfer_syntax,
    )
    slices = [pydicom.dcmread(path) for path in sorted(folder.iterdir())]
    assert len(slices) == len(voxels)
    for one, wanted in zip(slices, voxels, strict=True):
        assert one.file_meta.TransferSyntaxUID == transfer_syntax
        stored = ~one.pixel_array if monochrome1 else one.pixel_array
        np.testing.assert_array_equal(
            stored * one.RescaleSlope + one.RescaleIntercept if "RescaleSlope" in one else stored, wanted
        )
        assert one.PhotometricInterpretation == ("MONOCHROME1" if monochrome1 else "MONOCHROME2")


@pytest.mark.parametrize("flip", [(1, 1, 1), (-1, -1, 1)])
def test_a_dicom_series_lies_where_its_grid_says(tmp_path, flip):
    grid = oblique_grid(flip=flip)
    write_dicom_series(tmp_path / "series", some_voxels(), grid)
    paths = [str(path) for path in sorted((tmp_path / "series").iterdir())]
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(paths)
    np.testing.assert_allclose(sitk_affine(reader.Execute()), grid.affine_lps(), atol=1e-6)
    assert list(reader.GetGDCMSeriesFileNames(str(tmp_path / "series"))) == paths
    slices = [pydicom.dcmread(path) for path in paths]
    normal = np.cross(slices[0].ImageOrientationPatient[:3], slices[0].ImageOrientationPatient[3:])
    heights = [float(normal @ np.array(one.ImagePositionPatient, float)) for one in slices]
    np.testing.assert_allclose(np.diff(heights), grid.spacing_mm[0], atol=1e-6)
    assert [one.InstanceNumber for one in slices] == [1, 2, 3, 4]


@pytest.mark.parametrize("monochrome1", [False, True])
@pytest.mark.parametrize("modality", ["CT", "MR"])
def test_our_reader_gives_a_series_back(tmp_path, monochrome1, modality):
    grid, voxels = oblique_grid(), some_voxels(low=0)
    write_dicom_series(tmp_path / "series", voxels, grid, modality=modality, monochrome1=monochrome1)
    back = read_volume(tmp_path / "series")
    np.testing.assert_array_equal(back.voxels, voxels)
    np.testing.assert_allclose(back.grid.affine_lps(), grid.affine_lps(), atol=1e-6)


def test_uids_come_from_what_is_written(tmp_path):
    def uids(name, voxels, **options):
        write_dicom_series(tmp_path / name, voxels, oblique_grid(), **options)
        slices = [pydicom.dcmread(path) for path in sorted((tmp_path / name).iterdir())]
        assert len({one.SeriesInstanceUID for one in slices}) == 1
        assert all(pydicom.uid.UID(one.SOPInstanceUID).is_valid for one in slices)
        return slices[0].StudyInstanceUID, slices[0].SeriesInstanceUID, *(one.SOPInstanceUID for one in slices)

    voxels = some_voxels()
    first, again = uids("a", voxels), uids("b", voxels)
    assert first == again
    assert len(set(first)) == 2 + len(voxels)
    assert not set(first[1:]) & set(uids("c", voxels + 1)[1:])
    assert not set(first) & set(uids("d", voxels, patient="ANOTHER"))


def test_wrong_series_are_refused_and_leave_nothing(tmp_path):
    voxels, grid = some_voxels(), oblique_grid()
    with pytest.raises(ValueError, match="16 bits"):
        write_dicom_series(tmp_path / "series", voxels.astype(np.int32) * 100, grid)
    with pytest.raises(ValueError, match="do not fit"):
        write_dicom_series(tmp_path / "series", voxels[1:], grid)
    sheared = Grid(SHAPE, direction=(1.0, 0.0, 0.3, 0.0, 1.0, 0.0, 0.0, 0.0, 0.954))
    with pytest.raises(ValueError, match="perpendicular"):
        write_dicom_series(tmp_path / "series", voxels, sheared)
    with pytest.raises(UserError, match="Transfer syntax"):
        write_dicom_series(tmp_path / "series", voxels, grid, transfer_syntax="1.2.3")
    with pytest.raises(UserError, match="32 x 32"):
        write_dicom_series(tmp_path / "series", voxels[:, :9, :9], Grid((4, 9, 9)), transfer_syntax=JPEG_2000_LOSSLESS)
    assert not list(tmp_path.iterdir())
    (tmp_path / "series").mkdir()
    (tmp_path / "series/own.txt").touch()
    with pytest.raises(UserError, match="not an empty folder"):
        write_dicom_series(tmp_path / "series", voxels, grid)


@pytest.mark.parametrize(("name", "bits"), [("a.png", 8), ("a.png", 16), ("a.tif", 8), ("a.tiff", 16)])
def test_pictures_hold_their_values(tmp_path, name, bits):
    image = np.linspace(0, 2**bits - 1, 63).reshape(7, 9)
    write_picture(tmp_path / name, image, bits)
    with Image.open(tmp_path / name) as picture:
        np.testing.assert_array_equal(np.asarray(picture), np.rint(image))
    assert (read_volume(tmp_path / name).voxels[0] == np.rint(image)).all()


def test_masks_colours_and_jpeg(tmp_path):
    mask = np.eye(16, dtype=bool)
    write_picture(tmp_path / "mask.png", mask)
    write_picture(tmp_path / "colour.png", np.stack([mask * 255, mask * 100, mask * 0], axis=-1))
    write_picture(tmp_path / "smooth.jpg", np.add.outer(np.arange(16), np.arange(16)) * 8)
    with Image.open(tmp_path / "mask.png") as picture:
        np.testing.assert_array_equal(np.asarray(picture), mask * 255)
    with Image.open(tmp_path / "colour.png") as picture:
        assert picture.mode == "RGB"
        assert picture.getpixel((3, 3)) == (255, 100, 0)
    with Image.open(tmp_path / "smooth.jpg") as picture:
        assert np.abs(np.asarray(picture, int) - np.add.outer(np.arange(16), np.arange(16)) * 8).max() <= 4


def test_wrong_pictures_are_refused(tmp_path):
    grey = np.zeros((4, 5))
    for name, bits in (("a.gif", 8), ("a.jpg", 16), ("a.png", 12)):
        with pytest.raises(UserError):
            write_picture(tmp_path / name, grey, bits)
    for wrong in (grey - 1, grey + 256, grey + np.nan, np.zeros((2, 4, 5)), np.zeros(5)):
        with pytest.raises(ValueError):
            write_picture(tmp_path / "a.png", wrong)
    assert not list(tmp_path.iterdir())


def test_arrays_come_back(tmp_path):
    write_arrays(tmp_path / "a.npz", images=np.arange(6).reshape(1, 2, 3), groups=np.array(["p1"]))
    with np.load(tmp_path / "a.npz", allow_pickle=False) as found:
        assert sorted(found) == ["groups", "images"]
        np.testing.assert_array_equal(found["images"], np.arange(6).reshape(1, 2, 3))
    write_arrays(tmp_path / "a.npy", voxels=np.arange(3))
    np.testing.assert_array_equal(np.load(tmp_path / "a.npy", allow_pickle=False), np.arange(3))
    with pytest.raises(ValueError, match="objects"):
        write_arrays(tmp_path / "b.npz", wrong=np.array([{}, None]))
    with pytest.raises(UserError, match=r"\.npz"):
        write_arrays(tmp_path / "b.mat", right=np.arange(3))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.npy", "a.npz"]

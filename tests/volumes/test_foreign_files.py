"""Every test file that the pydicom and nibabel packages ship is read or refused with one sentence; none crashes."""

import logging
import warnings
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import pytest
from pydicom.pixels import apply_rescale

from anomae.errors import UnreadableScan
from anomae.volumes.read import find_scans, read_volume
from anomae.volumes.volume import Volume

# pydicom warns of much in these files; the command line leaves that out of what it prints.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")
PYDICOM = Path(pydicom.__file__).parent / "data"
NIBABEL = Path(nib.__file__).parent / "tests" / "data"
FILES = [
    path for root in (PYDICOM, NIBABEL) for path in sorted(root.rglob("*")) if path.is_file() and path.suffix != ".pyc"
]
# What must be read, lest refusing everything would pass.
READ = (
    "CT_small.dcm",
    "MR_small.dcm",
    "MR_small_RLE.dcm",
    "MR_small_bigendian.dcm",
    "MR_small_expb.dcm",
    "MR_small_implicit.dcm",
    "MR_small_jp2klossless.dcm",
    "MR_small_jpeg_ls_lossless.dcm",
    "MR_small_padded.dcm",
    "693_J2KI.dcm",
    "image_dfl.dcm",
    "JPEG2000.dcm",
    "JPEG-lossy.dcm",
    "JPGExtended.dcm",
    "JPEGLSNearLossless_08.dcm",
    "JPEGLSNearLossless_16.dcm",
    "J2K_pixelrep_mismatch.dcm",
    "examples_overlay.dcm",
    "0.dcm",
    "1.dcm",
    "anatomical.nii",
    "reoriented_anat_moved.nii",
    "resampled_anat_moved.nii",
    "standard.nii.gz",
    "6293",
    "17106",
    "4919",
)


def read_or_sentence(path: Path) -> Volume | str:
    try:
        volume = read_volume(path)
    except UnreadableScan as error:
        return str(error)
    assert volume.voxels.ndim == 3
    assert volume.voxels.shape == volume.grid.shape
    assert np.isfinite(volume.voxels).all()
    assert np.isfinite(volume.grid.affine_lps()).all()
    return volume


def test_the_packages_ship_their_files() -> None:
    assert len(FILES) > 200


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_each_file_is_read_or_refused_with_one_sentence(
    path: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        result = read_or_sentence(path)
    assert capfd.readouterr() == ("", "")
    if isinstance(result, str):
        assert path.name not in READ
        assert result.startswith(str(path))
        assert result.endswith((".", ")"))
        assert result.isprintable()


@pytest.mark.parametrize("folder", sorted({path.parent for path in FILES}), ids=lambda path: path.name)
def test_each_folder_is_read_or_refused_and_what_is_found_in_it_too(folder: Path) -> None:
    read_or_sentence(folder)
    for path in find_scans(folder)[:20]:
        read_or_sentence(path)


# pydicom itself has no decoder for these that is free.
EXTENDED = ("JPEG-lossy.dcm", "JPGExtended.dcm")


@pytest.mark.parametrize("name", EXTENDED)
def test_extended_jpeg_of_twelve_bits_is_nearly_the_same_picture_in_jpeg_2000(name: str) -> None:
    twelve, other = (read_volume(PYDICOM / "test_files" / each).voxels[0] for each in (name, "JPEG2000.dcm"))
    assert (twelve[420, 140], twelve[230, 120]) == (244, 95)
    assert np.corrcoef(twelve.ravel(), other.ravel())[0, 1] > 0.95


@pytest.mark.parametrize(
    "name", [name for name in READ if name.endswith(".dcm") and name[0] not in "01" and name not in EXTENDED]
)
def test_dicom_values_are_pydicoms(name: str) -> None:
    path = PYDICOM / "test_files" / name
    header = pydicom.dcmread(path)
    assert header.PhotometricInterpretation == "MONOCHROME2"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom's of padding
        expected = apply_rescale(header.pixel_array, header)
    measured = header.pixel_array != header.get("PixelPaddingValue", np.nan)
    np.testing.assert_allclose(read_volume(path).voxels[0][measured], expected[measured], rtol=1e-6)


@pytest.mark.parametrize("name", [name for name in READ if ".nii" in name])
def test_nifti_values_and_geometry_are_nibabels(name: str) -> None:
    volume, image = read_volume(NIBABEL / name), nib.load(NIBABEL / name)
    expected = image.get_fdata().T
    known = np.isfinite(expected)
    np.testing.assert_allclose(volume.voxels[known], expected[known], rtol=1e-6)
    assert bool(volume.notes) == (not known.all())
    np.testing.assert_allclose(volume.grid.affine_ras(), image.affine, atol=1e-4)

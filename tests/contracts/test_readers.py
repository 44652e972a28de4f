"""One oblique phantom, written in every format by other libraries, is one and the same Volume to every reader."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
from PIL import Image

from anomae.errors import UnreadableScan
from anomae.volumes.orientation import axial_view
from anomae.volumes.read import READERS, find_scans, is_readable_name, read_volume
from anomae.volumes.reader import Reader
from anomae.volumes.volume import Grid, Volume

SHAPE = (5, 7, 9)


def oblique_grid() -> Grid:
    """Anisotropic, turned about all three axes, far from the origin."""
    a, b, c = 0.3, -0.2, 0.15
    about_x = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    about_y = np.array([[np.cos(b), 0, np.sin(b)], [0, 1, 0], [-np.sin(b), 0, np.cos(b)]])
    about_z = np.array([[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]])
    direction = about_z @ about_y @ about_x
    return Grid(SHAPE, (2.5, 0.8, 0.6), (-101.25, 33.5, 720.75), tuple(direction.ravel()))


def phantom(dtype: type) -> np.ndarray:
    z, y, x = np.indices(SHAPE)
    return (100 * z + 10 * y + x).astype(dtype) - (1000 if np.issubdtype(dtype, np.signedinteger) else 0)


def as_sitk(voxels: np.ndarray, grid: Grid) -> sitk.Image:
    image = sitk.GetImageFromArray(voxels)
    image.SetSpacing(grid.spacing_mm[::-1])
    image.SetOrigin(grid.origin_mm)
    image.SetDirection(grid.direction)
    return image


def by_sitk(name: str, compressed: bool = False) -> Callable[[Path, np.ndarray, Grid], Path]:
    def write(folder: Path, voxels: np.ndarray, grid: Grid) -> Path:
        sitk.WriteImage(as_sitk(voxels, grid), str(folder / name), compressed)
        return folder / name

    return write


def by_nibabel(image_class: type, name: str) -> Callable[[Path, np.ndarray, Grid], Path]:
    def write(folder: Path, voxels: np.ndarray, grid: Grid) -> Path:
        nib.save(image_class(voxels.transpose(2, 1, 0), grid.affine_ras()), folder / name)
        return folder / name

    return write


def series_by_gdcm(folder: Path, voxels: np.ndarray, grid: Grid) -> Path:
    """A DICOM series by ITK's GDCM, its files in an order of names that has nothing to do with their places."""
    (folder / "series").mkdir()
    image = as_sitk(voxels, grid)
    affine = grid.affine_lps()
    row, column = affine[:3, 0] / grid.spacing_mm[2], affine[:3, 1] / grid.spacing_mm[1]
    for z in range(len(voxels)):
        one = image[:, :, z]
        flat = sitk.GetImageFromArray(sitk.GetArrayFromImage(one))
        flat.SetSpacing(grid.spacing_mm[:0:-1])
        place = affine @ [0, 0, z, 1]
        tags = {
            "0008|0060": "CT",
            "0010|0020": "secret-42",
            "0020|000e": "1.2.3.4.5",
            "0028|1053": "1",
            "0028|1052": "0",
            "0018|0050": str(grid.spacing_mm[0]),
            "0020|0013": str(99 - z),
            "0020|0032": "\\".join(f"{entry:.10g}" for entry in place[:3]),
            "0020|0037": "\\".join(f"{entry:.12f}" for entry in [*row, *column]),
            "0008|0018": f"1.2.3.4.5.{z + 1}",
        }
        for tag, content in tags.items():
            flat.SetMetaData(tag, content)
        writer = sitk.ImageFileWriter()
        writer.KeepOriginalImageUIDOn()
        writer.SetFileName(str(folder / "series" / f"{(z * 3) % len(voxels)}.dcm"))
        writer.Execute(flat)
    return folder / "series"


def npz_with_geometry(folder: Path, voxels: np.ndarray, grid: Grid) -> Path:
    geometry = {"spacing_mm": grid.spacing_mm, "origin_mm": grid.origin_mm, "direction": grid.direction}
    np.savez_compressed(folder / "scan.npz", voxels=voxels, **geometry)
    return folder / "scan.npz"


GEOMETRIC = {
    "nifti": by_sitk("scan.nii"),
    "nifti gz": by_sitk("scan.nii.gz"),
    "nifti of nibabel": by_nibabel(nib.Nifti1Image, "scan.nii.gz"),
    "nifti-2": by_nibabel(nib.Nifti2Image, "scan.nii.gz"),
    "mha": by_sitk("scan.mha"),
    "mha compressed": by_sitk("scan.mha", compressed=True),
    "mhd and raw": by_sitk("scan.mhd"),
    "mhd and zraw": by_sitk("scan.mhd", compressed=True),
    "nrrd": by_sitk("scan.nrrd"),
    "nrrd gzip": by_sitk("scan.nrrd", compressed=True),
    "nhdr and raw": by_sitk("scan.nhdr"),
    "nhdr and raw.gz": by_sitk("scan.nhdr", compressed=True),
    "dicom series": series_by_gdcm,
    "npz": npz_with_geometry,
}


TYPES = (np.uint8, np.int16, np.uint16, np.float32)
CASES = [(form, dtype) for form in GEOMETRIC for dtype in TYPES if (form, dtype) != ("dicom series", np.float32)]
KINDS = {"mha": "metaimage", "mhd": "metaimage", "nhdr": "nrrd", "npz": "array", "nifti-2": "nifti"}


@pytest.mark.parametrize(("form", "dtype"), CASES)
def test_every_format_with_geometry_is_the_same_volume(form: str, dtype: type, tmp_path: Path) -> None:
    grid, voxels = oblique_grid(), phantom(dtype)
    volume = read_volume(GEOMETRIC[form](tmp_path, voxels, grid))
    assert volume.voxels.dtype == dtype
    np.testing.assert_array_equal(volume.voxels, voxels)
    np.testing.assert_allclose(volume.grid.spacing_mm, grid.spacing_mm, rtol=1e-6)
    np.testing.assert_allclose(volume.grid.affine_lps(), grid.affine_lps(), atol=1e-4)
    assert volume.grid.shape == volume.voxels.shape == SHAPE
    assert volume.notes == ()
    assert axial_view(volume.grid) == axial_view(grid)
    assert volume.kind == KINDS.get(form.split()[0], form.split()[0])
    if volume.kind == "dicom":
        assert [picture.instance_number for picture in volume.dicom.pictures] == [99, 98, 97, 96, 95]
    else:
        assert volume.files[0].path == volume.source
        assert volume.files[0].sha256 == hashlib.sha256(volume.source.read_bytes()).hexdigest()


PLAIN = {
    "png": lambda path, pixels: Image.fromarray(pixels).save(path),
    "tif": lambda path, pixels: Image.fromarray(pixels).save(path),
    "tiff": lambda path, pixels: Image.fromarray(pixels).save(path, compression="tiff_lzw"),
    "npy": lambda path, pixels: np.save(path, pixels),
    "npz": lambda path, pixels: np.savez(path, images=pixels, label=np.zeros(3)),
    "nii": lambda path, pixels: nib.save(nib.Nifti1Image(pixels.T, np.diag([-1, -1, 1, 1])), path),
    "mha": lambda path, pixels: sitk.WriteImage(sitk.GetImageFromArray(pixels), path),
    "nrrd": lambda path, pixels: sitk.WriteImage(sitk.GetImageFromArray(pixels), path),
    "dcm": lambda path, pixels: sitk.WriteImage(sitk.GetImageFromArray(pixels), path),
}


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("suffix", PLAIN)
def test_every_format_of_pictures_is_the_same_single_slice(suffix: str, dtype: type, tmp_path: Path) -> None:
    pixels = np.random.default_rng(1).integers(0, np.iinfo(dtype).max, (6, 8), dtype=dtype, endpoint=True)
    path = tmp_path / f"picture.{suffix}"
    PLAIN[suffix](path, pixels)
    volume = read_volume(path)
    assert volume.voxels.dtype == dtype
    np.testing.assert_array_equal(volume.voxels, pixels[np.newaxis])
    assert volume.grid.spacing_mm == (1.0, 1.0, 1.0)
    np.testing.assert_allclose(volume.grid.affine_lps(), np.eye(4), atol=1e-12)


def written(form: str, folder: Path) -> Path:
    if form in GEOMETRIC:
        return GEOMETRIC[form](folder, phantom(np.uint16), oblique_grid())
    PLAIN[form](folder / f"picture.{form}", phantom(np.uint16)[0])
    return folder / f"picture.{form}"


@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.name)
def test_every_reader_is_in_this_suite(reader: Reader, tmp_path: Path) -> None:
    """A reader that is added to the registry is added to GEOMETRIC or PLAIN too, whose every form is tested here."""
    forms = []
    for form in dict.fromkeys((*GEOMETRIC, *PLAIN)):
        (tmp_path / form).mkdir()
        forms += [form] if read_volume(written(form, tmp_path / form)).kind == reader.name else []
    assert forms
    # Every suffix is written by someone, but those that only rename a format.
    # (those of pictures of 8 bits alone are written in tests/volumes/test_pictures.py).
    renamed = {".jpg", ".jpeg", ".dicom", ".ima", ".nhdr", ".bmp", ".gif", ".webp"}
    names = " ".join(file.name for form in forms for file in (tmp_path / form).rglob("*"))
    assert {suffix for suffix in reader.suffixes if f"{suffix} " in f"{names} "} >= set(reader.suffixes) - renamed


def test_names_and_suffixes_are_told_apart() -> None:
    # A reader without an ending of its own, told by what a file holds, may read a further form of another's format.
    names = [reader.name for reader in READERS if reader.suffixes]
    assert len(set(names)) == len(names)
    suffixes = [suffix for reader in READERS for suffix in reader.suffixes]
    assert len(set(suffixes)) == len(suffixes)
    assert all(suffix.startswith(".") and suffix == suffix.lower() for suffix in suffixes)


@pytest.mark.parametrize("form", GEOMETRIC)
def test_what_find_scans_finds_can_be_read(form: str, tmp_path: Path) -> None:
    written = GEOMETRIC[form](tmp_path, phantom(np.int16), oblique_grid())
    (tmp_path / "notes.txt").write_text("nothing")
    assert find_scans(tmp_path) == [written]
    assert is_readable_name(written) or written.is_dir()
    assert read_volume(str(written)).source == written


@pytest.mark.parametrize("form", GEOMETRIC)
def test_a_limit_of_voxels_is_kept(form: str, tmp_path: Path) -> None:
    written = GEOMETRIC[form](tmp_path, phantom(np.int16), oblique_grid())
    size = int(np.prod(SHAPE))
    assert read_volume(written, max_voxels=size).voxels.size == size
    with pytest.raises(UnreadableScan, match="limit"):
        read_volume(written, max_voxels=size - 1)


def read_or_sentence(path: Path) -> Volume | str:
    try:
        return read_volume(path)
    except UnreadableScan as error:
        return str(error)


@pytest.mark.parametrize("form", [*GEOMETRIC, *PLAIN])
def test_every_cut_of_a_file_is_refused_or_the_same(form: str, tmp_path: Path) -> None:
    if form in GEOMETRIC:
        written = GEOMETRIC[form](tmp_path, phantom(np.uint16), oblique_grid())
    else:
        written = tmp_path / f"picture.{form}"
        PLAIN[form](written, phantom(np.uint16)[0])
    whole = read_volume(written)
    files = [written] if written.is_file() else sorted(written.iterdir())[:1]
    files += [file for file in written.parent.glob("scan.*raw*") if file != written]
    for file in files:
        content = file.read_bytes()
        for cut in sorted({0, 1, 3, 100, len(content) // 3, len(content) // 2, len(content) - 40, len(content) - 9}):
            file.write_bytes(content[: max(cut, 0)])
            found = read_or_sentence(written)
            if isinstance(found, str):
                assert found.isprintable()
                assert str(written) in found or str(file) in found
            else:
                assert found.notes or np.array_equal(found.voxels, whole.voxels)
        file.write_bytes(content)
    np.testing.assert_array_equal(read_volume(written).voxels, whole.voxels)

"""The one door: dispatch, the names of scans, and finding them below a folder."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from anomae.errors import UnreadableScan
from anomae.volumes.orientation import axial_view
from anomae.volumes.read import find_scans, is_readable_name, read_volume

Write = Callable[..., Path]
VOXELS = np.arange(60, dtype=np.uint16).reshape(3, 4, 5)
BARE = {"ImagePositionPatient": None, "ImageOrientationPatient": None}


@pytest.mark.parametrize(
    ("name", "readable"),
    [
        ("a.nii", True),
        ("a.b.nii.gz", True),
        ("A.NII.GZ", True),
        ("a.mhd", True),
        ("a.raw", False),
        ("a.gz", False),
        ("a.PNG", True),
        ("a.jpeg", True),
        ("a.npz", True),
        ("a.dcm", True),
        ("._a.nii", False),
        ("a", False),
        ("a.csv", False),
        ("a.h5", False),
        ("nii", False),
    ],
)
def test_names_of_scans(name: str, readable: bool) -> None:
    assert is_readable_name(Path("folder.nii") / name) is readable


def test_what_is_not_there_or_not_supported_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("1,2")
    os.mkfifo(tmp_path / "pipe.nii")
    (tmp_path / "link.nii").symlink_to(tmp_path / "nowhere")
    for name, said in (
        ("b.nii", "missing"),
        ("a.csv", "not supported"),
        ("pipe.nii", "neither"),
        ("link.nii", "missing"),
    ):
        with pytest.raises(UnreadableScan, match=said):
            read_volume(tmp_path / name)
    # A link that leads nowhere (a file of an archive not fetched yet) is a scan that is missed, and to be told of.
    assert find_scans(tmp_path) == [tmp_path / "link.nii"]
    with pytest.raises(UnreadableScan):
        read_volume(tmp_path / ("x" * 5000))
    with pytest.raises(UnreadableScan, match="missing"):
        find_scans(tmp_path / "nowhere")


def test_strange_letters_of_a_name_do_not_break_the_message(tmp_path: Path) -> None:
    path = tmp_path / "a\nb\x1b[31m\udcff.nii"
    path.write_bytes(b"x")
    with pytest.raises(UnreadableScan) as caught:
        read_volume(path)
    assert str(caught.value).isprintable()


def test_a_forbidden_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    np.save(path, VOXELS)
    path.chmod(0)
    if os.access(path, os.R_OK):
        pytest.skip("this user may read everything")
    with pytest.raises(UnreadableScan, match="permissions"):
        read_volume(path)


def test_dicom_is_told_by_its_content(tmp_path: Path, write_slice: Write) -> None:
    path = write_slice(tmp_path / "IM000001", VOXELS[0])
    assert read_volume(path).kind == "dicom"
    assert read_volume(tmp_path).kind == "dicom"
    assert find_scans(tmp_path) == [path]


def test_a_series_counts_once_and_radiographs_one_by_one(
    tmp_path: Path, write_series: Write, write_slice: Write
) -> None:
    write_series(tmp_path / "ct" / "stack", VOXELS)
    (tmp_path / "ct" / "stack" / "readme.txt").write_text("nothing")
    for place in range(3):  # of one series, and of one each
        write_slice(tmp_path / "films" / f"one{place}.dcm", VOXELS[place], Modality="DX", **BARE)
        write_slice(tmp_path / "films" / f"{place}.dcm", VOXELS[place], SeriesInstanceUID=f"1.{place}")
    write_series(tmp_path / "mixed", VOXELS, SeriesInstanceUID="1.2")
    write_series(tmp_path / "mixed", VOXELS, SeriesInstanceUID="1.3", prefix="b")
    write_slice(
        tmp_path / "mixed" / "report.dcm",
        VOXELS[0],
        Rows=None,
        PixelData=None,
        Modality="SR",
        SOPClassUID="1.2.840.10008.5.1.4.1.1.88.11",
    )
    (tmp_path / "mixed" / "broken.dcm").write_bytes(b"broken")
    np.save(tmp_path / "a.npy", VOXELS)
    (tmp_path / "__MACOSX").mkdir()
    np.save(tmp_path / "__MACOSX" / "a.npy", VOXELS)
    (tmp_path / "ct" / "loop").symlink_to(tmp_path)
    found = find_scans(tmp_path)
    films = [tmp_path / "films" / name for name in ("0.dcm", "1.dcm", "2.dcm", "one0.dcm", "one1.dcm", "one2.dcm")]
    mixed = [tmp_path / "mixed" / name for name in ("broken.dcm", "series-1", "series-2")]
    assert found == [tmp_path / "a.npy", tmp_path / "ct" / "stack", *films, *mixed]
    readable = [path for path in found if path != mixed[0]]
    assert all(read_volume(path).voxels.shape[0] == (1 if "films" in str(path) else 3) for path in readable)
    with pytest.raises(UnreadableScan, match="2 DICOM series"):
        read_volume(tmp_path / "mixed")
    assert read_volume(tmp_path / "mixed", series=2).voxels.shape == (3, 4, 5)


def test_a_linked_folder_is_searched_once(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    np.save(tmp_path / "elsewhere" / "a.npy", VOXELS)
    (tmp_path / "cohort").mkdir()
    (tmp_path / "cohort" / "one").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "cohort" / "two").symlink_to(tmp_path / "elsewhere")
    assert find_scans(tmp_path / "cohort") == [tmp_path / "cohort" / "one" / "a.npy"]
    (tmp_path / "cohort" / "out").symlink_to(tmp_path)
    assert find_scans(tmp_path / "cohort") == [tmp_path / "cohort" / "one" / "a.npy"]


def test_import_is_light() -> None:
    code = "import sys, anomae.volumes.read; print({'SimpleITK', 'pydicom', 'PIL'} & set(sys.modules))"
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, encoding="utf-8", check=True).stdout
        == "set()\n"
    )


@pytest.mark.real_data
def test_real_brats_case_against_nibabel(development_images: Path) -> None:
    for path in find_scans(development_images / "brats_case"):
        volume, image = read_volume(path), nib.load(path)
        np.testing.assert_array_equal(volume.voxels, np.asarray(image.dataobj).T)
        np.testing.assert_allclose(volume.grid.affine_ras(), image.affine, atol=1e-5)
        lps = nib.orientations.axcodes2ornt(("L", "P", "S"))
        turned = image.as_reoriented(nib.orientations.ornt_transform(nib.io_orientation(image.affine), lps))
        view = axial_view(volume.grid)
        np.testing.assert_array_equal(view.apply(volume.voxels), np.asarray(turned.dataobj).T)
        assert view.apply(volume.voxels).shape == (155, 240, 240)


@pytest.mark.real_data
def test_real_lgg_patients_against_nibabel(development_images: Path) -> None:
    found = find_scans(development_images / "lgg")
    assert len({path.parent for path in found}) == 77
    for path in found[::12]:
        volume, image = read_volume(path), nib.load(path)
        np.testing.assert_array_equal(volume.voxels, np.asarray(image.dataobj).T)
        np.testing.assert_allclose(volume.grid.affine_ras(), image.affine, atol=1e-5)
        assert volume.voxels.dtype == np.uint8


@pytest.mark.real_data
def test_real_patches_are_a_volume_of_many_slices(development_images: Path) -> None:
    assert read_volume(development_images / "luna16_patches_50.npz").voxels.shape == (6221, 50, 50)


def test_suffixes_in_capitals(tmp_path: Path) -> None:
    Image.fromarray(VOXELS[0].astype(np.uint8)).save(tmp_path / "A.PNG")
    nib.save(nib.Nifti1Image(VOXELS.T, np.eye(4)), tmp_path / "a.nii.gz")
    (tmp_path / "a.nii.gz").rename(tmp_path / "B.NII.GZ")
    assert [read_volume(path).kind for path in find_scans(tmp_path)] == ["picture", "nifti"]

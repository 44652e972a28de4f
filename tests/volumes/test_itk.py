"""MetaImage and NRRD: ITK's own readings, and headers that must not reach ITK."""

import zlib
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from anomae.errors import UnreadableScan, UserError
from anomae.volumes.headers import MAX_VOXELS
from anomae.volumes.metaimage import read_metaimage
from anomae.volumes.nrrd import read_nrrd
from anomae.volumes.read import read_volume
from anomae.volumes.volume import Grid
from anomae.volumes.write import write_volume

VOXELS = np.arange(60, dtype=np.int16).reshape(3, 4, 5)
MHD = {
    "ObjectType": "Image",
    "NDims": "3",
    "BinaryData": "True",
    "BinaryDataByteOrderMSB": "False",
    "CompressedData": "False",
    "TransformMatrix": "1 0 0 0 1 0 0 0 1",
    "Offset": "-7 8 9",
    "ElementSpacing": "1 2 3",
    "DimSize": "5 4 3",
    "ElementType": "MET_SHORT",
    "ElementDataFile": "a.raw",
}
NRRD = {
    "type": "short",
    "dimension": "3",
    "space": "left-posterior-superior",
    "sizes": "5 4 3",
    "space directions": "(1,0,0) (0,2,0) (0,0,3)",
    "kinds": "domain domain domain",
    "endian": "little",
    "encoding": "raw",
    "space origin": "(-7,8,9)",
    "data file": "a.raw",
}


def mhd(folder: Path, **changes: str) -> Path:
    fields = {**MHD, **changes}
    fields["ElementDataFile"] = fields.pop("ElementDataFile")
    (folder / "a.mhd").write_text("".join(f"{name} = {content}\n" for name, content in fields.items() if content))
    return folder / "a.mhd"


def nhdr(folder: Path, extra: str = "", **changes: str) -> Path:
    fields = {**NRRD, **{name.replace("_", " "): content for name, content in changes.items()}}
    lines = "".join(f"{name}: {content}\n" for name, content in fields.items() if content)
    (folder / "a.nhdr").write_text(f"NRRD0004\n# made by hand\n{lines}{extra}")
    return folder / "a.nhdr"


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    (tmp_path / "a.raw").write_bytes(VOXELS.tobytes())
    return tmp_path


def test_headers_written_by_hand_are_read(raw: Path) -> None:
    for volume in (read_metaimage(mhd(raw), MAX_VOXELS), read_nrrd(nhdr(raw), MAX_VOXELS)):
        np.testing.assert_array_equal(volume.voxels, VOXELS)
        assert volume.grid.spacing_mm == (3.0, 2.0, 1.0)
        assert volume.grid.origin_mm == (-7.0, 8.0, 9.0)


def test_windows_line_ends_spaces_and_sub_folders_are_read(raw: Path) -> None:
    (raw / "sub dir").mkdir()
    (raw / "a.raw").rename(raw / "sub dir" / "my scan.raw")
    path = mhd(raw, ElementDataFile="sub dir/my scan.raw")
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    np.testing.assert_array_equal(read_metaimage(path, MAX_VOXELS).voxels, VOXELS)
    np.testing.assert_array_equal(read_nrrd(nhdr(raw, data_file="sub dir/my scan.raw"), MAX_VOXELS).voxels, VOXELS)


def test_ras_space_is_turned_to_lps(raw: Path) -> None:
    grid = read_nrrd(nhdr(raw, space="right-anterior-superior"), MAX_VOXELS).grid
    np.testing.assert_allclose(grid.affine_ras(), [[1, 0, 0, -7], [0, 2, 0, 8], [0, 0, 3, 9], [0, 0, 0, 1]])


def test_directions_longer_than_one_belong_to_the_spacing(raw: Path) -> None:
    volume = read_metaimage(mhd(raw, TransformMatrix="2 0 0 0 3 0 0 0 4"), MAX_VOXELS)
    assert volume.grid.spacing_mm == (12.0, 6.0, 2.0)
    np.testing.assert_allclose(np.reshape(volume.grid.direction, (3, 3)), np.eye(3))


def test_a_picture_and_a_lone_fourth_dimension(tmp_path: Path) -> None:
    for name in ("a.mha", "a.nrrd"):
        flat = sitk.GetImageFromArray(VOXELS[0])
        flat.SetSpacing((2.0, 3.0))
        flat.SetOrigin((4.0, 5.0))
        sitk.WriteImage(flat, str(tmp_path / name))
        volume = (read_metaimage if name == "a.mha" else read_nrrd)(tmp_path / name, MAX_VOXELS)
        np.testing.assert_array_equal(volume.voxels, VOXELS[:1])
        assert volume.grid.spacing_mm == (1.0, 3.0, 2.0)
        assert volume.grid.origin_mm == (4.0, 5.0, 0.0)
        joined = sitk.JoinSeries([sitk.GetImageFromArray(VOXELS)])
        sitk.WriteImage(joined, str(tmp_path / name))
        volume = (read_metaimage if name == "a.mha" else read_nrrd)(tmp_path / name, MAX_VOXELS)
        np.testing.assert_array_equal(volume.voxels, VOXELS)


@pytest.mark.parametrize("name", ["a.mha", "a.nrrd"])
def test_several_volumes_and_several_channels_are_refused(tmp_path: Path, name: str) -> None:
    read = read_metaimage if name == "a.mha" else read_nrrd
    scan = sitk.GetImageFromArray(VOXELS)
    sitk.WriteImage(sitk.JoinSeries([scan, scan]), str(tmp_path / name))
    with pytest.raises(UnreadableScan, match="more than one volume"):
        read(tmp_path / name, MAX_VOXELS)
    sitk.WriteImage(sitk.Compose(scan, scan, scan), str(tmp_path / name))
    with pytest.raises(UnreadableScan, match="several channels"):
        read(tmp_path / name, MAX_VOXELS)


@pytest.mark.parametrize(
    "name",
    [
        "../a.raw",
        "/etc/passwd",
        "sub/../../a.raw",
        "..\\a.raw",
        "C:/a.raw",
        "C:a.raw",
        "~/a.raw",
        "a%03d.raw 1 3 1",
        "//server/share/a.raw",
        "http://host/a.raw",
        "LIST",
        "LIST 2",
        "a*.raw",
        "missing.raw",
    ],
)
def test_voxel_files_elsewhere_are_refused(raw: Path, name: str) -> None:
    inner = raw / "inner"
    inner.mkdir()
    for header, read in ((mhd(inner, ElementDataFile=name), read_metaimage), (nhdr(inner, data_file=name), read_nrrd)):
        with pytest.raises(UnreadableScan, match=r"outside|missing"):
            read(header, MAX_VOXELS)


@pytest.mark.parametrize(
    "changes",
    [
        {"DimSize": "50000 50000 50000"},
        {"DimSize": "500 400 300"},
        {"DimSize": "-5 4 3"},
        {"DimSize": "5 4 0"},
        {"DimSize": "5 4"},
        {"DimSize": "5 4 x"},
        {"DimSize": "1" * 400 + " 4 3"},
        {"NDims": "7"},
        {"ElementType": "MET_FLOAT_MATRIX"},
        {"ElementNumberOfChannels": "3"},
        {"BinaryData": "False"},
        {"HeaderSize": "1000000"},
        {"CompressedData": "True"},
        {"CompressedData": "True", "CompressedDataSize": "99999999999999"},
        {"ElementSpacing": "0 0 0"},
        {"ElementSpacing": "nan 1 1"},
        {"TransformMatrix": "0 0 0 0 0 0 0 0 0"},
        {"Offset": "1 2\n3ElementDataFile = ../a.raw"},
        {"Offset": "1 2\nElementDataFile : ../a.raw"},
        {"Offset": ""},
    ],
)
def test_hostile_metaimages_are_refused_or_harmless(raw: Path, changes: dict[str, str]) -> None:
    if "Offset" in changes and not changes["Offset"]:
        np.testing.assert_array_equal(read_metaimage(mhd(raw, **changes), MAX_VOXELS).voxels, VOXELS)
        return
    with pytest.raises(UnreadableScan, match=r"a\.mhd"):
        read_metaimage(mhd(raw, **changes), MAX_VOXELS)


@pytest.mark.parametrize(
    "changes",
    [
        {"sizes": "50000 50000 50000"},
        {"sizes": "500 400 300"},
        {"sizes": "5 4"},
        {"sizes": "5 -4 3"},
        {"dimension": "16"},
        {"type": "block"},
        {"encoding": "bzip2"},
        {"encoding": "ascii"},
        {"encoding": "gzip"},
        {"byte_skip": "99999"},
        {"line_skip": "2"},
        {"datafile": "b.raw"},
        {"extra": "sizes: 4 4 4\n"},
        {"extra": "nonsense\n"},
        {"space_directions": "(0,0,0) (0,0,0) (0,0,0)"},
        {"space_directions": "(nan,0,0) (0,2,0) (0,0,3)"},
    ],
)
def test_hostile_nrrds_are_refused(raw: Path, changes: dict[str, str]) -> None:
    with pytest.raises(UnreadableScan, match=r"a\.nhdr"):
        read_nrrd(nhdr(raw, **changes), MAX_VOXELS)


def test_compressed_voxels_must_be_whole_and_no_more_than_promised(raw: Path) -> None:
    for content, good in (
        (zlib.compress(VOXELS.tobytes()), True),
        (zlib.compress(VOXELS.tobytes()[:-2]), False),
        (zlib.compress(bytes(2**24)), False),
        (zlib.compress(VOXELS.tobytes())[:-3], False),
        (b"nonsense", False),
    ):
        (raw / "a.zraw").write_bytes(content)
        path = mhd(raw, CompressedData="True", CompressedDataSize=str(len(content)), ElementDataFile="a.zraw")
        if good:
            np.testing.assert_array_equal(read_metaimage(path, MAX_VOXELS).voxels, VOXELS)
        else:
            with pytest.raises(UnreadableScan):
                read_metaimage(path, MAX_VOXELS)


def test_nothing_is_written_to_the_terminal(raw: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for changes in ({"ElementSpacing": "0 0 0"}, {"TransformMatrix": "1 0 0 1 0 0 0 0 1"}, {"DimSize": "5 4 4"}):
        with pytest.raises(UnreadableScan):
            read_metaimage(mhd(raw, **changes), MAX_VOXELS)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("suffix", ["mha", "mhd", "nrrd", "nhdr"])
def test_a_path_that_is_no_utf8_is_refused_before_itk_ends_the_process(tmp_path: Path, suffix: str) -> None:
    image = sitk.GetImageFromArray(np.ones((2, 3, 4), np.int16))
    sitk.WriteImage(image, str(tmp_path / f"a.{suffix}"))
    non_finite = (tmp_path / f"a.{suffix}").rename(tmp_path / f"caf\udce9.{suffix}")
    with pytest.raises(UnreadableScan, match=r"no UTF-8.*rename"):
        read_volume(non_finite)
    (tmp_path / "ünï 日本").mkdir()
    sitk.WriteImage(image, str(tmp_path / "ünï 日本" / f"é.{suffix}"))
    assert read_volume(tmp_path / "ünï 日本" / f"é.{suffix}").voxels.all()


def test_nothing_is_written_to_a_path_that_itk_cannot_open(tmp_path: Path) -> None:
    (tmp_path / "caf\udce9").mkdir()
    for name in ("a.mhd", "a.mha"):  # NIfTI is not written by ITK
        with pytest.raises(UserError, match="no UTF-8"):
            write_volume(tmp_path / "caf\udce9" / name, np.zeros((2, 3, 4), np.int16), Grid((2, 3, 4)))
    assert list((tmp_path / "caf\udce9").iterdir()) == []

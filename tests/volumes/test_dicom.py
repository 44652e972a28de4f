"""DICOM series: order, units, geometry, and everything that a folder can hold by mistake."""

import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gdcm
import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from pydicom.dataset import Dataset
from pydicom.uid import JPEG2000Lossless, RLELossless

from anomae.cohorts.scan_slices import scan_slices
from anomae.errors import UnreadableScan
from anomae.volumes.decoder_process import DecoderProcess
from anomae.volumes.dicom import list_series, read_dicom
from anomae.volumes.headers import MAX_VOXELS
from anomae.volumes.patient_ids import pseudonym
from anomae.volumes.volume import SIDES_GUESSED

RNG = np.random.default_rng(11)
VOXELS = RNG.integers(0, 4000, (6, 8, 10)).astype(np.uint16)
Write = Callable[..., Path]
OBLIQUE = [0.96, 0.28, 0.0, -0.28 * 0.8, 0.96 * 0.8, 0.6]


def read(path: Path, **options: Any) -> Any:
    return read_dicom(path, MAX_VOXELS, **options)


def test_slices_lie_where_each_header_says(tmp_path: Path, write_series: Write, write_slice: Write) -> None:
    normal = np.cross(OBLIQUE[:3], OBLIQUE[3:])
    for z, pixels in enumerate(VOXELS):
        place = list(np.round(np.array([5.0, -7.0, 11.0]) + 3.0 * z * normal, 9))
        write_slice(tmp_path / f"{(z * 5) % 6}", pixels, ImagePositionPatient=place, ImageOrientationPatient=OBLIQUE)
    volume = read(tmp_path)
    np.testing.assert_array_equal(volume.voxels, VOXELS)
    assert volume.grid.spacing_mm == pytest.approx((3.0, 0.7, 0.5))
    affine = volume.grid.affine_lps()
    for file in tmp_path.iterdir():
        header = pydicom.dcmread(file)
        (z,) = [z for z in range(6) if np.array_equal(header.pixel_array, volume.voxels[z])]
        np.testing.assert_allclose((affine @ [0, 0, z, 1])[:3], header.ImagePositionPatient, atol=1e-6)
        np.testing.assert_allclose((affine @ [1, 0, z, 1] - affine @ [0, 0, z, 1])[:3], 0.5 * np.array(OBLIQUE[:3]))
        np.testing.assert_allclose((affine @ [0, 1, z, 1] - affine @ [0, 0, z, 1])[:3], 0.7 * np.array(OBLIQUE[3:]))


def test_itk_reads_the_same(tmp_path: Path, write_series: Write) -> None:
    write_series(
        tmp_path,
        VOXELS,
        RescaleSlope=2,
        RescaleIntercept=-1024,
        ImageOrientationPatient=[0, 1, 0, 0, 0, -1],
        depths=[0] * 6,
    )
    for z, file in enumerate(sorted(tmp_path.iterdir(), key=lambda file: int(pydicom.dcmread(file).InstanceNumber))):
        header = pydicom.dcmread(file)
        header.ImagePositionPatient = [100 - 2.5 * z, 3, 4]
        header.save_as(file)
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(tmp_path)))
    image = reader.Execute()
    volume = read(tmp_path)
    np.testing.assert_array_equal(volume.voxels, sitk.GetArrayFromImage(image))
    np.testing.assert_allclose(volume.grid.direction, image.GetDirection(), atol=1e-9)
    np.testing.assert_allclose(volume.grid.spacing_mm[::-1], image.GetSpacing())
    np.testing.assert_allclose(volume.grid.origin_mm, image.GetOrigin())


@pytest.mark.parametrize(
    ("slope", "intercept", "kind"),
    [(1, -1024, np.int16), (None, None, np.uint16), (20, 0, np.int32), (0.5, 1, np.float32)],
)
def test_rescaling_to_hounsfield_units(
    tmp_path: Path, write_series: Write, slope: float | None, intercept: float | None, kind: type
) -> None:
    write_series(tmp_path, VOXELS, RescaleSlope=slope, RescaleIntercept=intercept)
    found = read(tmp_path).voxels
    np.testing.assert_allclose(found, VOXELS.astype(np.float64) * (slope or 1) + (intercept or 0))
    assert found.dtype == kind


def test_a_rescaling_for_each_slice_as_pet_has_it(tmp_path: Path, write_slice: Write) -> None:
    for z in range(3):
        place = [0, 0, 2.0 * z]
        write_slice(
            tmp_path / f"{z}.dcm", VOXELS[z], ImagePositionPatient=place, RescaleSlope=z + 1, RescaleIntercept=z
        )
    found = read(tmp_path).voxels
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, np.stack([VOXELS[z] * (z + 1.0) + z for z in range(3)]))


def test_monochrome1_is_turned_unless_its_numbers_are_physical(tmp_path: Path, write_slice: Write) -> None:
    white = {"PhotometricInterpretation": "MONOCHROME1", "BitsStored": 12, "HighBit": 11}
    path = write_slice(tmp_path / "a.dcm", VOXELS[0], Modality="DX", **white)
    np.testing.assert_array_equal(read(path).voxels[0], 4095 - VOXELS[0])
    assert "MONOCHROME1" in read(path).notes[0]
    signed = VOXELS[0].astype(np.int16) - 2000
    path = write_slice(tmp_path / "b.dcm", signed, Modality="DX", **white)
    np.testing.assert_array_equal(read(path).voxels[0], -1 - signed)
    path = write_slice(tmp_path / "c.dcm", VOXELS[0], Modality="CT", **white)
    np.testing.assert_array_equal(read(path).voxels[0], VOXELS[0])


def test_a_modality_table_is_applied(tmp_path: Path, write_slice: Write) -> None:
    table = Dataset()
    table.LUTDescriptor, table.ModalityLUTType, table.LUTData = (
        [256, 0, 16],
        "US",
        np.arange(1000, 1256, dtype="<u2").tobytes(),
    )
    path = write_slice(tmp_path / "a.dcm", (VOXELS[0] % 256).astype(np.uint8), ModalityLUTSequence=[table])
    np.testing.assert_array_equal(read(path).voxels[0], VOXELS[0] % 256 + 1000)


@pytest.mark.parametrize("rescaled", [{}, {"RescaleSlope": 2, "RescaleIntercept": -1024}])
@pytest.mark.parametrize("said", [{"Modality": "CT"}, {"Modality": "DX", "PhotometricInterpretation": "MONOCHROME1"}])
def test_an_empty_modality_table_is_none(
    tmp_path: Path, write_slice: Write, said: dict[str, Any], rescaled: dict[str, Any]
) -> None:
    empty = read(write_slice(tmp_path / "a.dcm", VOXELS[0], **said, **rescaled, ModalityLUTSequence=[]))
    without = read(write_slice(tmp_path / "b.dcm", VOXELS[0], **said, **rescaled))
    np.testing.assert_array_equal(empty.voxels, without.voxels)
    assert empty.notes == without.notes


@pytest.mark.parametrize("curve", ["linear", "logarithm", "steps"])
@pytest.mark.parametrize("kind", [np.uint8, np.int8])
def test_what_a_modality_table_gives_is_what_monochrome1_turns(
    tmp_path: Path, write_slice: Write, curve: str, kind: type
) -> None:
    steps = np.arange(256)
    shapes = {"linear": 1000 + steps, "logarithm": 500 + 9000 * np.log1p(steps), "steps": 100 + steps // 64 * 9}
    given = shapes[curve].astype("<u2")
    table = Dataset()
    table.LUTDescriptor, table.ModalityLUTType = [256, np.iinfo(kind).min, 16], "US"
    table.add_new("LUTData", "OW", given.tobytes())
    stored = (VOXELS[0] % 256).astype(np.uint8).view(kind)
    path = write_slice(
        tmp_path / "a.dcm", stored, Modality="MG", PhotometricInterpretation="MONOCHROME1", ModalityLUTSequence=[table]
    )
    through = given[stored.astype(int) - np.iinfo(kind).min].astype(int)
    np.testing.assert_array_equal(read(path).voxels[0], int(given.max()) + int(given.min()) - through)
    if curve == "linear":  # as turning the stored numbers gives it
        np.testing.assert_array_equal(read(path).voxels[0], given[::-1][stored.astype(int) - np.iinfo(kind).min])


def test_a_tilted_gantry_is_kept(tmp_path: Path, write_slice: Write) -> None:
    for z, pixels in enumerate(VOXELS):
        write_slice(tmp_path / f"{z}.dcm", pixels, ImagePositionPatient=[0, 0.5 * z, 2.0 * z])
    volume = read(tmp_path)
    np.testing.assert_allclose((volume.grid.affine_lps() @ [0, 0, 5, 1])[:3], [0, 2.5, 10.0])
    assert "tilted by 14.0 degrees" in volume.notes[0]


def test_missing_slices_are_said(tmp_path: Path, write_series: Write) -> None:
    write_series(tmp_path, VOXELS, depths=[0, 2, 4, 10, 12, 14])
    volume = read(tmp_path)
    assert volume.voxels.shape[0] == 6
    assert volume.grid.spacing_mm[0] == pytest.approx(2.0)
    assert "2 slice(s) seem to be missing, between 4.0 and 10.0 mm" in volume.notes[0]


def test_uneven_steps_are_said(tmp_path: Path, write_series: Write) -> None:
    write_series(tmp_path, VOXELS, depths=[0, 2, 4, 6.6, 8, 10])
    assert "vary from 1.40 to 2.60 mm" in read(tmp_path).notes[0]
    write_series(tmp_path / "fine", VOXELS, depths=[0, 2, 4, 6.002, 8, 10])
    assert read(tmp_path / "fine").notes == ()


def test_repeated_slices_are_dropped_and_unlike_ones_at_one_place_refused(tmp_path: Path, write_series: Write) -> None:
    write_series(tmp_path / "a", VOXELS)
    write_series(tmp_path / "a", VOXELS[:2], prefix="again")
    volume = read(tmp_path / "a")
    np.testing.assert_array_equal(volume.voxels, VOXELS)
    assert volume.notes == ("2 repeated slice(s) were dropped.",)
    write_series(tmp_path / "a", VOXELS[2:4], prefix="other")
    with pytest.raises(UnreadableScan, match="over time"):
        read(tmp_path / "a")


def test_one_of_several_series_is_chosen_by_number_or_uid(tmp_path: Path, write_series: Write) -> None:
    write_series(tmp_path, VOXELS, SeriesInstanceUID="1.9", SeriesNumber=2)
    write_series(tmp_path, VOXELS[:3] + 7, prefix="b", SeriesInstanceUID="1.8", SeriesNumber=10, Modality="MR")
    with pytest.raises(UnreadableScan, match=r"2 DICOM series .*1: CT of 6; 2: MR of 3.*--series 1 to 2") as caught:
        read(tmp_path)
    assert SECRET_WORD not in str(caught.value)
    for choice in (2, "2", "1.8"):
        np.testing.assert_array_equal(read(tmp_path, series=choice).voxels, VOXELS[:3] + 7)
    np.testing.assert_array_equal(read(tmp_path, series=1).voxels, VOXELS)
    for choice in (0, 3, "1.7", -1):
        with pytest.raises(UnreadableScan, match="not among them"):
            read(tmp_path, series=choice)
    assert list(list_series(tmp_path)[0]) == ["1.9", "1.8"]


SECRET_WORD = "Doe"


def test_the_patient_is_a_pseudonym_and_stands_nowhere_else(tmp_path: Path, write_series: Write) -> None:
    volume = read(write_series(tmp_path, VOXELS))
    assert volume.patient == pseudonym("Doe^Jane 1970") == read(tmp_path / "00.dcm").patient
    assert SECRET_WORD not in repr(volume)
    assert len(volume.patient) == 16
    assert volume.patient != pseudonym("Doe^Jane 1971")
    assert pseudonym("") == pseudonym("  ") == ""


def test_a_secondary_capture_is_said(tmp_path: Path, write_slice: Write) -> None:
    path = write_slice(tmp_path / "a.dcm", VOXELS[0], SOPClassUID="1.2.840.10008.5.1.4.1.1.7")
    assert "secondary capture" in read(path).notes[0]


def test_messages_quote_nothing_from_the_header(tmp_path: Path, write_slice: Write) -> None:
    path = write_slice(tmp_path / "a.dcm", VOXELS[0], BodyPartExamined="CHEST")
    content = path.read_bytes()
    for place in range(140, len(content) - 200, 3):
        (tmp_path / "b.dcm").write_bytes(content[:place] + b"\xff" + content[place + 1 :])
        said = ""
        try:
            read(tmp_path / "b.dcm")
        except UnreadableScan as error:
            said = str(error)
        assert SECRET_WORD not in said
        assert "\n" not in said


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"ImageOrientationPatient": [1, 0, 0, 0, 0, 1]}, "orientation"),
        ({"PixelSpacing": [0.9, 0.9]}, "pixel spacing"),
        ({"ImagePositionPatient": None}, "no position"),
        ({"ImagePositionPatient": [500, 0, 30]}, "shifted"),
        ({"ImagePositionPatient": [500, 0, 4]}, "beside one another"),
        ({"PatientID": "another"}, "several patients"),
        ({"Modality": "MR"}, "several patients or kinds"),
    ],
)
def test_a_slice_that_does_not_belong_is_refused(
    tmp_path: Path, write_series: Write, write_slice: Write, changes: dict[str, Any], said: str
) -> None:
    write_series(tmp_path, VOXELS)
    write_slice(tmp_path / "x.dcm", VOXELS[0], **{"ImagePositionPatient": [10, 20, 40], **changes})
    with pytest.raises(UnreadableScan, match=said):
        read(tmp_path)
    write_slice(tmp_path / "x.dcm", VOXELS[0][:5])
    with pytest.raises(UnreadableScan, match="unlike size"):
        read(tmp_path)


def test_what_is_no_slice_is_left_out_and_said(tmp_path: Path, write_series: Write, write_slice: Write) -> None:
    write_series(tmp_path, VOXELS)
    (tmp_path / "notes.txt").write_text("not DICOM")
    (tmp_path / ".hidden.dcm").write_text("not DICOM")
    assert read(tmp_path).notes == ()
    (tmp_path / "broken.dcm").write_bytes(b"broken")
    write_slice(
        tmp_path / "report.dcm",
        VOXELS[0],
        Rows=None,
        Columns=None,
        Modality="SR",
        PixelData=None,
        SOPClassUID="1.2.840.10008.5.1.4.1.1.88.11",
    )
    write_slice(
        tmp_path / "colour.dcm",
        np.zeros((4, 12), np.uint8),
        SamplesPerPixel=3,
        Columns=4,
        PhotometricInterpretation="RGB",
        PlanarConfiguration=0,
    )
    volume = read(tmp_path)
    np.testing.assert_array_equal(volume.voxels, VOXELS)
    assert volume.notes == ("3 DICOM file(s) of the folder were left out: without a grey picture, or broken.",)
    for name, said in (("broken", "readable"), ("report", "without a picture"), ("colour", "colour")):
        with pytest.raises(UnreadableScan, match=said):
            read(tmp_path / f"{name}.dcm")


def test_folders_without_slices_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UnreadableScan, match="no DICOM files"):
        read(tmp_path)
    (tmp_path / "a.dcm").write_bytes(b"x")
    with pytest.raises(UnreadableScan, match=r"a\.dcm"):
        read(tmp_path)


def test_a_radiograph_has_the_spacing_of_its_detector(tmp_path: Path, write_slice: Write) -> None:
    bare = {"PixelSpacing": None, "ImagePositionPatient": None, "ImageOrientationPatient": None, "SliceThickness": None}
    path = write_slice(tmp_path / "a.dcm", VOXELS[0], Modality="DX", ImagerPixelSpacing=[0.2, 0.1], **bare)
    assert read(path).grid.spacing_mm == (1.0, 0.2, 0.1)
    path = write_slice(tmp_path / "b.dcm", VOXELS[0], Modality="DX", **bare)
    assert read(path).grid.spacing_mm == (1.0, 1.0, 1.0)
    assert "no pixel spacing" in read(path).notes[0]


@pytest.mark.parametrize("syntax", [RLELossless, JPEG2000Lossless])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int16])
def test_lossless_compression_by_pydicom(tmp_path: Path, write_series: Write, syntax: str, dtype: type) -> None:
    voxels = RNG.integers(-100 if dtype is np.int16 else 0, 250, (3, 64, 48)).astype(dtype)
    write_series(tmp_path, voxels)
    for file in tmp_path.iterdir():
        header = pydicom.dcmread(file)
        header.compress(syntax)
        header.save_as(file)
    np.testing.assert_array_equal(read(tmp_path).voxels, voxels)


def test_lossless_jpeg_is_decoded_apart(tmp_path: Path) -> None:
    pixels = RNG.integers(0, 4000, (64, 48)).astype(np.uint16)
    writer = sitk.ImageFileWriter()
    writer.SetFileName(str(tmp_path / "a.dcm"))
    writer.UseCompressionOn()
    writer.SetCompressor("JPEG")
    writer.Execute(sitk.GetImageFromArray(pixels))
    assert pydicom.dcmread(tmp_path / "a.dcm").file_meta.TransferSyntaxUID == pydicom.uid.JPEGLosslessSV1
    np.testing.assert_array_equal(read(tmp_path / "a.dcm").voxels[0], pixels)


def test_a_process_that_dies_of_a_file_is_a_refusal_and_the_next_file_is_read(tmp_path: Path) -> None:
    shipped = Path(pydicom.__file__).parent / "data" / "test_files"
    good, other = shipped / "MR_small_jpeg_ls_lossless.dcm", shipped / "MR_small.dcm"
    with DecoderProcess() as apart:
        (first,) = apart.decode(good, [0])
        assert apart._process is not None
        apart._process.kill()
        apart._process.wait()
        with pytest.raises(RuntimeError):
            list(apart.decode(good, [0]))
        (again,) = apart.decode(good, [0])
        with pytest.raises(RuntimeError):
            list(apart.decode(tmp_path / "missing.dcm", [0]))
    np.testing.assert_array_equal(first, pydicom.dcmread(other).pixel_array)
    np.testing.assert_array_equal(first, again)


def enhanced(voxels: np.ndarray, depths: list[float], scales: list[float]) -> dict[str, Any]:
    """The attributes of an enhanced multi-frame file with a place and a rescaling for every frame."""

    def holding(**attributes: Any) -> Dataset:
        inner = Dataset()
        for name, content in attributes.items():
            setattr(inner, name, content)
        return inner

    shared = holding(
        PlaneOrientationSequence=[holding(ImageOrientationPatient=[1, 0, 0, 0, 1, 0])],
        PixelMeasuresSequence=[holding(PixelSpacing=[0.7, 0.5], SliceThickness=2.0)],
    )
    frames = [
        holding(
            PlanePositionSequence=[holding(ImagePositionPatient=[1, 2, depth])],
            PixelValueTransformationSequence=[holding(RescaleSlope=scale, RescaleIntercept=-5)],
        )
        for depth, scale in zip(depths, scales, strict=True)
    ]
    return {
        "NumberOfFrames": len(voxels),
        "SharedFunctionalGroupsSequence": [shared],
        "PerFrameFunctionalGroupsSequence": frames,
        "ImagePositionPatient": None,
        "ImageOrientationPatient": None,
        "PixelSpacing": None,
        "SliceThickness": None,
    }


@pytest.mark.parametrize("compressed", [False, True])
def test_an_enhanced_file_is_sorted_by_its_frames(tmp_path: Path, write_slice: Write, compressed: bool) -> None:
    order = [3, 0, 5, 1, 4, 2]
    attributes = enhanced(VOXELS, [2.5 * z for z in order], [1.0] * 6)
    path = write_slice(tmp_path / "a.dcm", VOXELS[order], **attributes)
    if compressed:
        header = pydicom.dcmread(path)
        header.compress(RLELossless)
        header.save_as(path)
    volume = read(path)
    np.testing.assert_array_equal(volume.voxels, VOXELS.astype(int) - 5)
    assert volume.grid.spacing_mm == (2.5, 0.7, 0.5)
    assert volume.grid.origin_mm == (1.0, 2.0, 0.0)
    np.testing.assert_array_equal(read(tmp_path).voxels, volume.voxels)


def test_films_and_unlike_frames_at_one_place_are_refused(tmp_path: Path, write_slice: Write) -> None:
    path = write_slice(tmp_path / "a.dcm", VOXELS, NumberOfFrames=6)
    with pytest.raises(UnreadableScan, match="film"):
        read(path)
    path = write_slice(tmp_path / "b.dcm", VOXELS, **enhanced(VOXELS, [0, 0, 2, 2, 4, 4], [1.0] * 6))
    with pytest.raises(UnreadableScan, match="over time"):
        read(path)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"Rows": 65535, "Columns": 65535}, "readable|limit"),
        ({"PixelData": None}, "no pixel data"),
        ({"PixelData": b"\0\0"}, "readable"),
        ({"Modality": "SEG"}, "segmentation"),
        ({"Modality": "RTDOSE"}, "dose"),
        ({"Modality": "MR", "SOPClassUID": "1.2.840.10008.5.1.4.1.1.30"}, "parametric map"),
        ({"Modality": "MR", "Manufacturer": "anomae "}, "anomae wrote"),
        ({"PhotometricInterpretation": "PALETTE COLOR"}, "colour"),
        ({"BitsAllocated": 0}, "readable"),
        ({"RescaleSlope": 1e308, "RescaleIntercept": 1e308}, "finite"),
    ],
)
def test_hostile_headers_are_refused(tmp_path: Path, write_slice: Write, changes: dict[str, Any], said: str) -> None:
    path = write_slice(tmp_path / "a.dcm", VOXELS[0] + 1, **changes)
    with pytest.raises(UnreadableScan, match=said):
        read(path)


def test_a_deflated_bomb_is_refused(tmp_path: Path, write_slice: Write) -> None:
    path = write_slice(tmp_path / "a.dcm", VOXELS[0])
    header = pydicom.dcmread(path)
    header.file_meta.TransferSyntaxUID = pydicom.uid.DeflatedExplicitVRLittleEndian
    header.save_as(path)
    np.testing.assert_array_equal(read(path).voxels[0], VOXELS[0])
    start = 132 + 12 + header.file_meta.FileMetaInformationGroupLength
    squeeze = zlib.compressobj(1, wbits=-15)
    bomb = b"".join([squeeze.compress(bytes(2**24)) for _ in range(20)] + [squeeze.flush()])
    path.write_bytes(path.read_bytes()[:start] + bomb)
    with pytest.raises(UnreadableScan, match="bomb"):
        read(path)


def test_a_compressed_picture_that_claims_another_size_is_refused(tmp_path: Path, write_slice: Write) -> None:
    path = write_slice(tmp_path / "a.dcm", np.kron(VOXELS[0], np.ones((8, 8), np.uint16)))
    header = pydicom.dcmread(path)
    header.compress(JPEG2000Lossless)
    header.save_as(path)
    whole = path.read_bytes()
    content = bytearray(whole)
    place = content.find(b"\xff\x4f\xff\x51") + 8
    content[place : place + 8] = (60000).to_bytes(4, "big") * 2
    path.write_bytes(content)
    with pytest.raises(UnreadableScan, match="another size"):
        read(path)
    content = bytearray(whole)
    content[place + 32 : place + 34] = (9999).to_bytes(2, "big")  # components
    path.write_bytes(content)
    with pytest.raises(UnreadableScan, match="another size"):
        read(path)


def test_extended_jpeg_of_twelve_bits_is_decoded_apart(tmp_path: Path, write_series: Write) -> None:
    smooth = (2000 + 1500 * np.sin(np.indices((3, 40, 48)).sum(0) / 9)).astype(np.uint16)
    write_series(tmp_path, smooth, BitsStored=12, HighBit=11, RescaleSlope=1, RescaleIntercept=-1024)
    for file in tmp_path.iterdir():
        reader, change, writer = gdcm.ImageReader(), gdcm.ImageChangeTransferSyntax(), gdcm.ImageWriter()
        reader.SetFileName(str(file))
        assert reader.Read()
        change.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.JPEGExtendedProcess2_4))
        change.SetInput(reader.GetImage())
        assert change.Change()
        writer.SetFileName(str(file))
        writer.SetFile(reader.GetFile())
        writer.SetImage(change.GetOutput())
        assert writer.Write()
    np.testing.assert_allclose(read(tmp_path).voxels, smooth.astype(int) - 1024, atol=2)


def test_only_the_stored_bits_of_a_number_count(tmp_path: Path, write_slice: Write) -> None:
    """Old scanners keep an overlay in the upper bits, or leave the sign out of them."""
    twelve = {"BitsStored": 12, "HighBit": 11}
    drawn = VOXELS[0] | (VOXELS[0] % 3 << 12).astype(np.uint16)
    np.testing.assert_array_equal(read(write_slice(tmp_path / "a.dcm", drawn, **twelve)).voxels[0], VOXELS[0])
    signed = VOXELS[0].astype(np.int16) - 2000
    cut = signed.view(np.uint16) & 0xFFF
    path = write_slice(tmp_path / "b.dcm", cut, PixelRepresentation=1, **twelve)
    np.testing.assert_array_equal(read(path).voxels[0], signed)
    path = write_slice(tmp_path / "c.dcm", VOXELS[0] << 4, BitsStored=12, HighBit=15)
    with pytest.raises(UnreadableScan, match="upper bits"):
        read(path)


@pytest.mark.parametrize(
    ("tags", "padded"),
    [
        ({"PixelPaddingValue": -2000}, 7),
        ({"PixelPaddingValue": -2000, "PixelPaddingRangeLimit": -1990}, 9),
        ({"PixelPaddingValue": -1990, "PixelPaddingRangeLimit": -2000}, 9),
        ({"PixelPaddingValue": -1500}, 0),
        ({}, 0),
    ],
)
def test_padding_becomes_the_smallest_value_that_was_measured(
    tmp_path: Path, write_slice: Write, tags: dict[str, int], padded: int
) -> None:
    pixels = np.arange(48, dtype=np.int16).reshape(6, 8)
    pixels[0, :7], pixels[1, :2] = -2000, -1995
    below, smallest = {0: (-3000, 0), 7: (-1999, -1995), 9: (-1000, 7)}[padded]
    expected = np.where(pixels < below, smallest, pixels)
    write_slice(tmp_path / "a.dcm", pixels, RescaleSlope=2, RescaleIntercept=-10, **tags)
    volume = read_dicom(tmp_path / "a.dcm", MAX_VOXELS)
    np.testing.assert_array_equal(volume.voxels[0], expected * 2 - 10)
    assert any(f"{padded} voxels are padding" in note for note in volume.notes) == bool(padded)


def test_padding_written_with_the_wrong_sign_is_understood(tmp_path: Path, write_slice: Write) -> None:
    pixels = np.arange(48, dtype=np.int16).reshape(6, 8)
    pixels[0, :7] = -2000
    write_slice(tmp_path / "a.dcm", pixels, PixelPaddingValue=-2000)
    header = pydicom.dcmread(tmp_path / "a.dcm")
    del header.PixelPaddingValue
    header.add_new(0x00280120, "US", 63536)
    header.save_as(tmp_path / "a.dcm")
    assert read_dicom(tmp_path / "a.dcm", MAX_VOXELS).voxels.min() == 7


def test_a_radiograph_that_says_nothing_of_its_orientation_is_marked_nowhere(
    tmp_path: Path, write_slice: Write
) -> None:
    """Right and left are drawn only where the header has them: a mammogram may show either side."""
    placed = write_slice(tmp_path / "a", VOXELS[0])
    bare = write_slice(tmp_path / "b", VOXELS[0], ImageOrientationPatient=None, ImagePositionPatient=None)
    assert scan_slices(read(placed)).sides_known
    assert any(note.endswith(SIDES_GUESSED) for note in read(bare).notes)
    assert not scan_slices(read(bare)).sides_known

"""Several DICOM series in one folder: parted, numbered, and localizers told from scans."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from anomae.errors import UnreadableScan, UserError
from anomae.volumes.read import look_for_scans, read_volume
from anomae.volumes.series import checked_series, folder_and_series, series_path

Write = Callable[..., Path]
VOXELS = np.arange(12 * 20, dtype=np.uint16).reshape(12, 4, 5)
SAGITTAL = {"ImageOrientationPatient": [0, 1, 0, 0, 0, -1]}
SCOUT = {"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]}


def scout(write: Write, folder: Path, count: int = 3, **attributes: object) -> None:
    for index in range(count):
        place = {"ImagePositionPatient": [10.0 * index, 0, 0], **attributes}
        write(folder / f"scout{index}.dcm", VOXELS[index], SeriesInstanceUID="1.1", SeriesNumber=1, **place)


def test_each_series_is_a_scan_under_its_number(tmp_path: Path, write_series: Write) -> None:
    write_series(tmp_path, VOXELS + 1000, SeriesInstanceUID="1.3", SeriesNumber=3, prefix="b")
    write_series(tmp_path, VOXELS, SeriesInstanceUID="1.2", SeriesNumber=2)
    found = look_for_scans(tmp_path)
    assert found.scans == [series_path(tmp_path, 1), series_path(tmp_path, 2)]
    assert not found.passed_over
    for path, expected in zip(found.scans, (VOXELS, VOXELS + 1000), strict=True):
        volume = read_volume(path)
        np.testing.assert_array_equal(volume.voxels, expected)
        assert volume.source == path


@pytest.mark.parametrize(
    ("count", "attributes"), [(3, SAGITTAL), (1, SAGITTAL), (6, {**SAGITTAL, **SCOUT}), (2, SCOUT)]
)
def test_localizers_are_passed_over_with_a_note(
    tmp_path: Path, write_series: Write, write_slice: Write, count: int, attributes: dict[str, object]
) -> None:
    scout(write_slice, tmp_path, count, **attributes)
    write_series(tmp_path, VOXELS, SeriesInstanceUID="1.2", SeriesNumber=2)
    found = look_for_scans(tmp_path)
    assert found.scans == [series_path(tmp_path, 2)]
    np.testing.assert_array_equal(read_volume(found.scans[0]).voxels, VOXELS)
    assert [note.startswith("Passed over: 1, DICOM: localizer") for note in found.notes()] == [True]


def test_a_small_scan_beside_a_large_one_is_no_localizer(
    tmp_path: Path, write_series: Write, write_slice: Write
) -> None:
    """Unless it lies across it: a thick-slab repeat of the same orientation, or another patient's, is a scan."""
    write_series(tmp_path / "same", VOXELS, SeriesInstanceUID="1.2", SeriesNumber=2)
    write_series(tmp_path / "same", VOXELS[:3], SeriesInstanceUID="1.1", SeriesNumber=1, prefix="s")
    write_series(tmp_path / "other", VOXELS, SeriesInstanceUID="1.2", SeriesNumber=2)
    scout(write_slice, tmp_path / "other", PatientID="another", **SAGITTAL)
    for name in ("same", "other"):
        assert look_for_scans(tmp_path / name).scans == [series_path(tmp_path / name, number) for number in (1, 2)]


def test_where_all_are_localizers_they_stay(tmp_path: Path, write_slice: Write) -> None:
    scout(write_slice, tmp_path, 3, **SAGITTAL, **SCOUT)
    found = look_for_scans(tmp_path)
    assert found.scans == [tmp_path]
    assert not found.passed_over


@pytest.mark.parametrize("series", [None, "largest", 1])
@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("where", ["study/scout", "study", "."])
def test_localizers_in_a_folder_of_their_own_are_passed_over(
    tmp_path: Path, write_series: Write, write_slice: Write, where: str, count: int, series: str | int | None
) -> None:
    write_series(tmp_path / "study" / "scan", VOXELS, SeriesInstanceUID="1.2", SeriesNumber=2)
    scout(write_slice, tmp_path / where, count, **SAGITTAL, **SCOUT)
    found = look_for_scans(tmp_path, series)
    assert found.scans == [tmp_path / "study" / "scan"]
    assert found.notes() == ["Passed over: 1, DICOM: localizer, told because its ImageType says LOCALIZER."]
    (named,) = look_for_scans(tmp_path / where).scans if where == "study/scout" else [tmp_path / where / "scout0.dcm"]
    assert read_volume(named).voxels.size  # what is named itself is read, and so is what an earlier store names


def test_where_nothing_but_localizers_lies_below_that_is_said(tmp_path: Path, write_slice: Write) -> None:
    scout(write_slice, tmp_path / "one", 2, **SAGITTAL, **SCOUT)
    scout(write_slice, tmp_path / "two", 2, **SAGITTAL, **SCOUT)
    write_slice(tmp_path / "two" / "more.dcm", VOXELS[0], SeriesInstanceUID="1.9", **SCOUT)
    for series, count in ((None, 3), ("largest", 3)):
        found = look_for_scans(tmp_path, series)
        assert found.scans == []
        assert found.notes()[0].startswith(f"Passed over: {count}, DICOM: localizer")
    assert len(look_for_scans(tmp_path / "two").scans) == 2
    assert read_volume(tmp_path / "two", series="largest").voxels.size


def test_a_localizer_inside_a_series_is_left_out_with_a_note(
    tmp_path: Path, write_series: Write, write_slice: Write
) -> None:
    scout(write_slice, tmp_path, 2, **SAGITTAL, **SCOUT)
    write_series(tmp_path, VOXELS, SeriesInstanceUID="1.1", SeriesNumber=1)
    volume = read_volume(tmp_path)
    np.testing.assert_array_equal(volume.voxels, VOXELS)
    assert "2 localizer picture(s) of the series were left out." in volume.notes


def test_slices_of_unlike_orientation_are_refused_as_ever(
    tmp_path: Path, write_series: Write, write_slice: Write
) -> None:
    scout(write_slice, tmp_path, 3, **SAGITTAL)
    write_series(tmp_path, VOXELS, SeriesInstanceUID="1.1", SeriesNumber=1)
    with pytest.raises(UnreadableScan, match="unlike orientation"):
        read_volume(tmp_path)


def test_the_largest_is_axial_and_said(tmp_path: Path, write_series: Write, write_slice: Write) -> None:
    scout(write_slice, tmp_path, 12, **SAGITTAL)
    write_series(tmp_path, VOXELS[:6], SeriesInstanceUID="1.2", SeriesNumber=2)
    found = look_for_scans(tmp_path, "largest")
    assert found.scans == [series_path(tmp_path, 2)]
    assert "number 2 was taken (--series largest)" in " ".join(found.notes())
    volume = read_volume(tmp_path, series="largest")
    np.testing.assert_array_equal(volume.voxels, VOXELS[:6])
    assert any("the largest was read: number 2, of 6" in note for note in volume.notes)
    assert look_for_scans(tmp_path, 1).scans == [series_path(tmp_path, 1)]
    with pytest.raises(UnreadableScan, match="2 DICOM series"):
        read_volume(series_path(tmp_path, 3))


def test_a_real_folder_of_such_a_name_is_itself(tmp_path: Path) -> None:
    (tmp_path / "series-1").mkdir()
    assert folder_and_series(tmp_path / "series-1") == (tmp_path / "series-1", None)
    assert folder_and_series(tmp_path / "series-2") == (tmp_path, 2)
    assert folder_and_series(tmp_path / "nowhere" / "series-2") == (tmp_path / "nowhere" / "series-2", None)


def test_what_series_may_be() -> None:
    assert (checked_series("2"), checked_series("Largest")) == (2, "largest")
    for text in ("0", "-1", "axial", ""):
        with pytest.raises(UserError, match="number from 1, or largest"):
            checked_series(text)


def unplaced(write: Write, path: Path, voxels: np.ndarray, **attributes: object) -> None:
    write(path, voxels, ImagePositionPatient=None, ImageOrientationPatient=None, **attributes)


@pytest.mark.parametrize("name", ["0.dcm", "z.dcm"])
@pytest.mark.parametrize("side", [4, 9])
def test_a_capture_in_a_series_is_left_out_and_the_volume_stays(
    tmp_path: Path, write_series: Write, write_slice: Write, name: str, side: int
) -> None:
    write_series(tmp_path / "alone", VOXELS, SeriesInstanceUID="1.2")
    write_series(tmp_path / "with", VOXELS, SeriesInstanceUID="1.2")
    unplaced(write_slice, tmp_path / "with" / name, np.full((side, 5), 7, np.uint16), SeriesInstanceUID="1.2")
    found = look_for_scans(tmp_path / "with")
    assert found.scans == [tmp_path / "with"]
    assert [note.startswith("Passed over: 1, DICOM: without a position") for note in found.notes()] == [True]
    volume, alone = read_volume(tmp_path / "with"), read_volume(tmp_path / "alone")
    np.testing.assert_array_equal(volume.voxels, alone.voxels)
    assert volume.grid == alone.grid
    assert volume.notes == ("1 picture(s) of the series that name no position were left out.", *alone.notes)


def test_pictures_without_a_position_stay_scans_where_they_are_not_few(
    tmp_path: Path, write_series: Write, write_slice: Write
) -> None:
    """As many as the placed ones, or of files that name no series: nothing says which belong together."""
    for folder, series, count in (("many", "1.2", 3), ("nameless", None, 1)):
        write_series(tmp_path / folder, VOXELS[:3], SeriesInstanceUID=series)
        for index in range(count):
            unplaced(write_slice, tmp_path / folder / f"x{index}.dcm", VOXELS[index], SeriesInstanceUID=series)
        found = look_for_scans(tmp_path / folder)
        assert len(found.scans) == 1 + count
        assert not found.passed_over
        with pytest.raises(UnreadableScan, match="name no position"):
            read_volume(tmp_path / folder)


CAPTURE = {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.7", "Modality": "OT"}


@pytest.mark.parametrize("series", [None, "largest"])
@pytest.mark.parametrize("where", ["study/captures", "study/scan"])
def test_captures_of_a_study_with_scans_are_left_out_with_a_count(
    tmp_path: Path, write_series: Write, write_slice: Write, where: str, series: str | None
) -> None:
    write_series(tmp_path / "study" / "scan", VOXELS, SeriesInstanceUID="1.2", StudyInstanceUID="1")
    told = {**CAPTURE, "StudyInstanceUID": "1", "SeriesInstanceUID": "1.9", "SeriesNumber": 9}
    for number in (1, 2):
        unplaced(write_slice, tmp_path / where / f"z{number}.dcm", VOXELS[number], **told)
    found = look_for_scans(tmp_path, series)
    assert len(found.scans) == 1
    np.testing.assert_array_equal(read_volume(found.scans[0]).voxels, VOXELS)
    if where == "study/captures":
        assert found.notes() == [
            "Passed over: 2, DICOM: secondary captures, such as of the screen, of studies that hold scans."
        ]
        assert len(look_for_scans(tmp_path / where).scans) == 2  # the folder itself was named


def test_captures_of_studies_of_nothing_else_stay(tmp_path: Path, write_series: Write, write_slice: Write) -> None:
    """Such as photographs, ultrasound and films that were digitised, beside the scans of other studies."""
    write_series(tmp_path / "scan", VOXELS, SeriesInstanceUID="1.2", StudyInstanceUID="1")
    for number, study in enumerate(("2", "2", "3", None)):
        told = {**CAPTURE, "StudyInstanceUID": study, "SeriesInstanceUID": f"2.{number}"}
        unplaced(write_slice, tmp_path / "films" / f"{number}.dcm", VOXELS[number], **told)
    scout(write_slice, tmp_path / "films", 2, **SAGITTAL, **SCOUT, StudyInstanceUID="2")
    found = look_for_scans(tmp_path)
    assert len(found.scans) == 5
    assert found.notes() == ["Passed over: 1, DICOM: localizer, told because its ImageType says LOCALIZER."]


@pytest.mark.parametrize(("own", "of_the_scan", "left_out"), [("B", "A", False), ("A", "a ", True), ("", "A", True)])
def test_a_capture_of_another_patient_stays_though_all_studies_have_one_uid(
    tmp_path: Path, write_series: Write, write_slice: Write, own: str, of_the_scan: str, left_out: bool
) -> None:
    one = {"StudyInstanceUID": "1"}
    write_series(tmp_path / "scan", VOXELS, SeriesInstanceUID="1.2", PatientID=of_the_scan, **one)
    unplaced(write_slice, tmp_path / "x.dcm", VOXELS[1], SeriesInstanceUID="1.9", PatientID=own, **CAPTURE, **one)
    found = look_for_scans(tmp_path)
    assert (len(found.scans), len(found.notes())) == ((1, 1) if left_out else (2, 0))


@pytest.mark.parametrize(
    ("named", "taken"),
    [
        (["p/x.dcm"], ["p", "p/x.dcm"]),
        (["p/scout"], ["p", "p/scout"]),
        (["p/scout", "q", "p/x.dcm"], ["p", "p/scout", "p/x.dcm", "q/x.dcm"]),
        (["q/x.dcm"], ["p", "q/x.dcm"]),
        (["p", "."], ["p"]),
    ],
)
def test_what_is_named_is_read_and_a_folder_stands_for_its_scans_first(
    tmp_path: Path, write_series: Write, write_slice: Write, named: list[str], taken: list[str]
) -> None:
    write_series(tmp_path / "p", VOXELS, SeriesInstanceUID="1.2", StudyInstanceUID="1")
    scout(write_slice, tmp_path / "p" / "scout", 2, **SAGITTAL, **SCOUT, StudyInstanceUID="1")
    told = {**CAPTURE, "StudyInstanceUID": "1", "SeriesInstanceUID": "1.9"}
    for folder in ("p", "q"):
        unplaced(write_slice, tmp_path / folder / "x.dcm", VOXELS[1], **told)
    found = look_for_scans(tmp_path, named={tmp_path / name for name in named})
    # Beside a capture the series is one of two of its folder.
    scans = [str(path.relative_to(tmp_path)).removesuffix("/series-1") for path in found.scans]
    assert sorted(scans) == taken
    assert sum(found.passed_over.values()) == 3 - (len(taken) - 1)

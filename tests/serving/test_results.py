"""What a job says of files: never a name that was sent."""

from pathlib import Path

import pytest

from anomae.serving.results import files_there, without_names


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("Doe_John.nii.gz", "Ann Roe/IM 1", "Ann Roe/mueller", "scans/a.nii.gz", "12345678.nii"):
        path = tmp_path / "upload" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return tmp_path


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("{upload}/Doe_John.nii.gz is cut short.", "file 4 is cut short."),
        ("No: {upload}/Ann Roe/mueller, {upload}/Ann Roe.", "No: file 3, folder 1."),
        ("Two scans: Doe_John.nii.gz and '12345678.nii'.", "Two scans: file 4 and 'file 1'."),
        ("Ann Roe/IM 1 is none", "file 2 is none"),
        ("{upload}/Doe_John.raw is missing.", "a file is missing."),
        ("No space left: '{folder}/out/maps/Doe_John.nii.gz'.", "No space left: 'a file of results'."),
        ("{upload} holds no scan.", "The study holds no scan."),
        ("", ""),
    ],
)
def test_no_name_that_was_sent_is_told(folder: Path, said: str, told: str):
    assert without_names(said.format(folder=folder, upload=folder / "upload"), folder) == told


@pytest.mark.parametrize(
    ("files", "said", "told"),
    [
        (["DICOM/S0001/IM0001"], "{upload}/DICOM/S0001/IM0001 is no DICOM file.", "file 1 is no DICOM file."),
        (["DICOM/a"], "{upload}/DICOM holds no readable DICOM picture.", "folder 1 holds no readable DICOM picture."),
        (["LOCALIZER/a"], "its ImageType says LOCALIZER", "its ImageType says LOCALIZER"),
        ([f"s/{n:03d}" for n in range(1, 160)], "{upload}/s/150: 150 of 159", "file 150: 150 of 159"),
        (["Doe_John/a", "Doe_John_1950.dcm"], "Doe_John, Doe_John_1950.dcm", "folder 1, file 2"),
        (["Mueller/a", "Mueller/Series/b"], "Mueller, {upload}/Mueller/Series/b.", "folder 1, file 1."),
        (["p/x.mhd"], "{upload}/p/Doe_John.raw is missing.", "a file in folder 1 is missing."),
        (["p/1.dcm"], "{upload}/p/series-2 is cut short.", "folder 1/series-2 is cut short."),
        (["A1/IM01", "B1/IM01"], "IM01 is none", "a file is none"),
        (["1234567/a"], "1234567 is none", "folder 1 is none"),
    ],
)
def test_sentences_stay_whole(tmp_path: Path, files: list[str], said: str, told: str):
    for name in files:
        path = tmp_path / "upload" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    assert without_names(said.format(upload=tmp_path / "upload"), tmp_path) == told


def test_only_files_that_are_there_are_told_of_the_first_scan(tmp_path: Path):
    for name in ("maps/a.tiff", "maps/b.nii.gz", "dicom/a-sr.dcm"):
        path = tmp_path / "out" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    assert files_there(tmp_path, {"scans": [{"name": "a"}, {"name": "b"}]}) == ["map.tiff", "sr.dcm"]
    assert files_there(tmp_path, {"scans": [{"name": "b"}]}) == ["map.nii.gz"]
    assert files_there(tmp_path, {"scans": []}) == []

"""What a job says of files: never a name that was sent."""

from pathlib import Path

import pytest

from anomae.serving.results import without_names


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

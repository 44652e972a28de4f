"""Words of file names and series descriptions say what kind of scan it is; what is unsure says nothing."""

import pytest

from anomae.volumes.read import read_volume
from anomae.volumes.sequence_names import sequence_of
from anomae.volumes.volume import Grid
from anomae.volumes.write import write_dicom_series


@pytest.mark.parametrize(
    ("name", "sequence"),
    [
        ("sub-01_T1w.nii.gz", "T1"),
        ("BraTS-GLI-00001-000-t2f.nii.gz", "FLAIR"),
        ("BraTS20_Training_001_t1ce.nii", "T1 with contrast"),
        ("AX T2 FLAIR", "FLAIR"),
        ("SAG T1 FLAIR", ""),
        ("Ax T1 POST GAD", "T1 with contrast"),
        ("Ax T1 pre contrast", ""),
        ("p_t1_t2.nii", ""),
        ("t1000.nii", ""),
        ("scan.nii", ""),
        ("CT head", "CT"),
        ("", ""),
    ],
)
def test_what_a_name_says(name, sequence):
    assert sequence_of(name) == sequence


def test_a_series_says_it_by_its_description(tmp_path):
    import numpy as np
    import pydicom

    write_dicom_series(tmp_path / "a", np.zeros((3, 8, 8), np.int16), Grid((3, 8, 8)), patient="Doe")
    assert read_volume(tmp_path / "a").dicom.sequence == ""
    for file in (tmp_path / "a").iterdir():
        header = pydicom.dcmread(file)
        header.SeriesDescription = "AX T2 FLAIR Doe^John"
        header.save_as(file)
    volume = read_volume(tmp_path / "a")
    assert volume.dicom.sequence == "FLAIR"
    assert "Doe" not in repr(volume.dicom)

"""DICOM files written with pydicom, as the tests of the readers want them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

SECRET = "Doe^Jane 1970"


def slice_dataset(pixels: np.ndarray, **changes: Any) -> Dataset:
    """A CT slice; a change to None takes an attribute away."""
    header = Dataset()
    header.file_meta = FileMetaDataset()
    header.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    header.file_meta.MediaStorageSOPClassUID = header.SOPClassUID = CTImageStorage
    header.file_meta.MediaStorageSOPInstanceUID = header.SOPInstanceUID = generate_uid()
    bits = pixels.dtype.itemsize * 8
    attributes = {
        "Modality": "CT",
        "PatientID": SECRET,
        "PatientName": SECRET,
        "SeriesInstanceUID": "1.2.3",
        "SeriesNumber": 1,
        "Rows": pixels.shape[-2],
        "Columns": pixels.shape[-1],
        "SamplesPerPixel": 1,
        "BitsAllocated": bits,
        "BitsStored": bits,
        "HighBit": bits - 1,
        "PixelRepresentation": int(pixels.dtype.kind == "i"),
        "PhotometricInterpretation": "MONOCHROME2",
        "PixelSpacing": [0.7, 0.5],
        "SliceThickness": 2.0,
        "ImageOrientationPatient": [1, 0, 0, 0, 1, 0],
        "ImagePositionPatient": [0, 0, 0],
        "PixelData": pixels.tobytes(),
        **changes,
    }
    for name, content in attributes.items():
        if content is not None:
            setattr(header, name, content)
    return header


@pytest.fixture
def write_slice() -> Callable[..., Path]:
    """Write one slice: write_slice(path, pixels, **attributes)."""

    def write(path: Path, pixels: np.ndarray, **changes: Any) -> Path:
        path.parent.mkdir(exist_ok=True, parents=True)
        slice_dataset(pixels, **changes).save_as(path, enforce_file_format=True)
        return path

    return write


@pytest.fixture
def write_series(write_slice: Callable[..., Path]) -> Callable[..., Path]:
    """Write slices [z, y, x] 2 mm apart: write_series(folder, voxels, depths=..., prefix=..., **attributes)."""

    def write(folder: Path, voxels: np.ndarray, depths: Any = None, prefix: str = "", **changes: Any) -> Path:
        for z, pixels in enumerate(voxels):
            depth = float(depths[z]) if depths is not None else 2.0 * z
            attributes = {"ImagePositionPatient": [10, 20, depth], "InstanceNumber": z + 1, **changes}
            write_slice(folder / f"{prefix}{(z * 7) % 100:02d}.dcm", pixels, **attributes)
        return folder

    return write

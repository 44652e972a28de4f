"""Pixels written frame by frame: what pydicom would have written, in little memory."""

import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest

from anomae.dicom_results.pixels import write_with_pixels
from anomae.dicom_results.write import write_dicom
from anomae.errors import UserError
from anomae.inference.finding import find_regions
from anomae.volumes.read import read_volume
from anomae.volumes.volume import Grid
from anomae.volumes.write import write_dicom_series


def header(keyword: str) -> pydicom.Dataset:
    one = pydicom.Dataset()
    one.file_meta = pydicom.dataset.FileMetaDataset()
    one.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    one.SOPClassUID, one.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.30", "1.2.3"
    one.NumberOfFrames, one.SamplesPerPixel, one.PhotometricInterpretation = 3, 1, "MONOCHROME2"
    one.BitsAllocated = 32 if keyword == "FloatPixelData" else 8
    one.PixelRepresentation, one.BitsStored = 0, 8
    setattr(one, keyword, b"\0\0")
    return one


@pytest.mark.parametrize(("keyword", "dtype"), [("FloatPixelData", np.float32), ("PixelData", np.uint8)])
def test_pydicom_reads_the_frames_back(tmp_path: Path, keyword: str, dtype: type) -> None:
    frames = np.random.default_rng(0).integers(0, 200, (3, 5, 3)).astype(dtype)
    write_with_pixels(tmp_path / "a.dcm", header(keyword), keyword, frames, frames.shape, dtype)
    back = pydicom.dcmread(tmp_path / "a.dcm")
    np.testing.assert_array_equal(back.pixel_array, frames)
    assert len(back[keyword].value) % 2 == 0


def test_what_no_element_can_hold_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="4 GiB"):
        write_with_pixels(tmp_path / "a.dcm", header("PixelData"), "PixelData", [], (2**12, 2**10, 2**10), np.uint8)
    with pytest.raises(ValueError, match="frames"):
        write_with_pixels(tmp_path / "a.dcm", header("PixelData"), "PixelData", [], (3, 5, 3), np.uint8)
    assert not list(tmp_path.iterdir())


def test_a_map_of_many_slices_is_not_copied(tmp_path: Path, scans) -> None:
    *_, study = scans("MR", "axial")
    shape = (32, 256, 256)
    heat = np.zeros(shape, np.float32)
    heat[:, 100:110, 120:130] = 1.0
    write_dicom_series(tmp_path / "scan", np.zeros(shape, np.int16), Grid(shape), modality="MR")
    volume = read_volume(tmp_path / "scan")
    large = replace(
        study,
        volume=volume,
        result=replace(study.result, map=heat),
        regions=find_regions(heat, 0.5, volume.grid, np.arange(len(heat))),
    )
    write_dicom(study, ["segf", "pm"], tmp_path / "first", "scan")  # what is imported is there for good
    tracemalloc.start()
    write_dicom(large, ["segf", "pm"], tmp_path / "out", "scan")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < heat.nbytes / 2
    np.testing.assert_array_equal(pydicom.dcmread(tmp_path / "out" / "scan-pm.dcm").pixel_array, heat)

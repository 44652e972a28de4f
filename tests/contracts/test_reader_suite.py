"""The readers' suite that anyone can import: it passes for a sound format, and fails for each thing that is wrong."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from anomae.testing import READER_CHECKS, ReaderTrial, check_reader
from anomae.volumes.read import read_volume
from anomae.volumes.volume import Grid, Volume


def nifti(folder: Path, voxels: np.ndarray, grid: Grid) -> Path:
    nib.save(nib.Nifti1Image(voxels.transpose(2, 1, 0), grid.affine_ras()), folder / "scan.nii.gz")
    return folder / "scan.nii.gz"


def png(folder: Path, voxels: np.ndarray, grid: Grid) -> Path:
    Image.fromarray(voxels[0]).save(folder / "picture.png")
    return folder / "picture.png"


@pytest.mark.parametrize("check", READER_CHECKS)
def test_nifti_of_nibabel_keeps_the_contract(check: str, tmp_path: Path) -> None:
    READER_CHECKS[check](ReaderTrial(nifti, tmp_path, read_volume))


def test_pictures_keep_it_without_geometry(tmp_path: Path) -> None:
    check_reader(png, tmp_path, dtypes=(np.uint8, np.uint16), geometry=False, slices=1)


def _mirrored(path: Path, **options: Any) -> Volume:
    volume = read_volume(path, **options)
    return replace(volume, voxels=volume.voxels[..., ::-1])


def _misplaced(path: Path, **options: Any) -> Volume:
    volume = read_volume(path, **options)
    return replace(volume, grid=replace(volume.grid, origin_mm=(0.0, 0.0, 0.0)))


def _turned(path: Path, **options: Any) -> Volume:
    volume = read_volume(path, **options)
    return replace(volume, grid=replace(volume.grid, spacing_mm=volume.grid.spacing_mm[::-1]))


def _unbounded(path: Path, **_: Any) -> Volume:
    return read_volume(path)


def _credulous(path: Path, **options: Any) -> Volume:
    try:
        return read_volume(path, **options)
    except Exception:
        if options:
            raise
        return Volume(np.zeros((5, 7, 9), np.uint8), Grid((5, 7, 9)), path, "zeros")


def _silent(path: Path, **options: Any) -> Volume:
    try:
        return read_volume(path, **options)
    except Exception as error:
        raise type(error)("It is broken.") from error


class _Restless:
    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, path: Path, **options: Any) -> Volume:
        self.calls += 1
        volume = read_volume(path, **options)
        return replace(volume, kind=f"kind {self.calls}")


@pytest.mark.parametrize(
    ("read", "sentence"),
    [
        (_mirrored, "not read as they were written"),
        (_misplaced, "lie where they were written"),
        (_turned, "Spacings"),
        (_unbounded, "larger than max_voxels must be refused"),
        (_credulous, "read as if it were whole"),
        (_silent, "does not name the file"),
        (_Restless(), "Reading twice"),
    ],
)
def test_a_reader_that_is_wrong_fails(read: Callable[..., Volume], sentence: str, tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match=sentence):
        check_reader(nifti, tmp_path, read=read)

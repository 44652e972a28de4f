"""A class folder of pictures that are called like masks is a class of pictures; one of masks stays one of masks."""

import numpy as np
import pytest

from anomae.cohorts.called_like_masks import shows_a_mask
from anomae.cohorts.case import ABNORMAL, HEALTHY
from anomae.cohorts.folder import Folder
from anomae.seeds import generator
from anomae.volumes.volume import Grid
from anomae.volumes.write import write_picture, write_volume


def photograph(path, colours=False):
    shape = (24, 20, 3) if colours else (24, 20)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_picture(path, generator(0, path.name).integers(0, 256, shape).astype(np.uint8))


def mask(path, high=255, colours=False):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.zeros((24, 20), np.uint8)
    pixels[5:12, 4:9] = high
    write_picture(path, np.stack([pixels, 0 * pixels, 0 * pixels], axis=-1) if colours else pixels)


def labels(source, **settings):
    return {case.case: case.label for case in Folder(source, **settings).cases()}


def left_out(source, **settings):
    return any("lesion masks lie beside no scan" in note for note in Folder(source, **settings).notes())


@pytest.mark.parametrize("name", ["p{}_lesion.png", "p{}_roi.png", "seg_{}.png", "{}-label.png"])
@pytest.mark.parametrize("colour", [False, True])
def test_photographs_that_are_called_like_masks_are_scans(tmp_path, name, colour):
    for number in range(4):
        photograph(tmp_path / f"healthy/p{number}_skin.png", colour)
        photograph(tmp_path / "abnormal" / name.format(number + 4), colour)
    found = labels(tmp_path, colour=colour)
    assert len(found) == 8
    assert all(label == (ABNORMAL if case.startswith("abnormal") else HEALTHY) for case, label in found.items())
    assert any(
        "taken as scans; where they are masks, say so by mask_pattern" in one for one in Folder(tmp_path).notes()
    )
    assert not left_out(tmp_path)
    assert len(labels(tmp_path, mask_pattern="*" + name.rpartition("}")[2] if name[0] != "s" else "seg_*")) == 4


def test_so_are_both_classes_of_them_and_volumes(tmp_path):
    for number in range(3):
        photograph(tmp_path / f"healthy/p{number}_roi.png")
        voxels = generator(0, number).integers(0, 200, (3, 9, 8)).astype(np.int16)
        (tmp_path / "abnormal").mkdir(exist_ok=True)
        write_volume(tmp_path / f"abnormal/p{number}_tumor_seg.nii.gz", voxels, Grid((3, 9, 8)))
    assert len(labels(tmp_path)) == 6


@pytest.mark.parametrize("suffix", ["png", "jpg", "colour.png"])
@pytest.mark.parametrize("high", [255, 2])
def test_masks_are_no_scans(tmp_path, suffix, high):
    if suffix != "png" and high == 2:
        return
    for number in range(4):
        photograph(tmp_path / f"healthy/p{number}.png")
        file = tmp_path / f"abnormal/p{number + 4}_lesion.{suffix[-3:]}"
        mask(file, high, suffix.startswith("colour"))
        assert shows_a_mask(file)
    photograph(tmp_path / "abnormal/p9_lesion.png")
    assert len(labels(tmp_path)) == 4
    assert left_out(tmp_path)


@pytest.mark.parametrize("other", ["abnormal/p9.png", "abnormal/masks/p9_lesion.png"])
def test_files_beside_a_scan_or_in_a_folder_of_masks_are_what_they_are_called(tmp_path, other):
    for number in range(3):
        photograph(tmp_path / f"healthy/p{number}.png")
        photograph(tmp_path / f"abnormal/p{number}_lesion.png")
    photograph(tmp_path / other)
    assert len(labels(tmp_path)) == (4 if other == "abnormal/p9.png" else 3)
    assert left_out(tmp_path)


def test_what_the_user_says_of_scans_stays(tmp_path):
    for number in range(3):
        photograph(tmp_path / f"healthy/p{number}_t1.png")
        photograph(tmp_path / f"abnormal/p{number}_t2.png")
        photograph(tmp_path / f"abnormal/p{number}_lesion.png")
    assert len(labels(tmp_path, image_pattern="*_t1.png")) == 3

"""A class folder of pictures that are called like masks is a class of pictures; one of masks stays one of masks."""

from collections import Counter
from pathlib import Path, PurePath

import numpy as np
import pytest

from anomae.cohorts import called_like_masks
from anomae.cohorts.called_like_masks import shows_a_mask, taken_as_scans
from anomae.cohorts.case import ABNORMAL, HEALTHY
from anomae.cohorts.folder import Folder
from anomae.cohorts.mask_pairing import Paired, RoleSettings
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
    assert len(labels(tmp_path)) == (4 if other == "abnormal/p9.png" else 6)
    assert left_out(tmp_path)


@pytest.mark.parametrize("scan", ["images/p{}_lesion.png", "p{}_lesion.png"])
@pytest.mark.parametrize(
    "of_it", ["p{}_lesion.png", "p{}_lesion_mask.png", "p{}_lesion_2.png", "p{}_lesion_seg_v2.png"]
)
def test_so_is_the_mask_of_such_a_photograph_in_a_folder_of_masks(tmp_path, scan, of_it):
    for number in range(4):
        photograph(tmp_path / f"healthy/h{number}.png")
        photograph(tmp_path / "abnormal" / scan.format(number))
        mask(tmp_path / "abnormal/masks" / of_it.format(number))
    assert lesions(tmp_path) == {
        **{f"healthy/h{number}.png": () for number in range(4)},
        **{f"abnormal/{scan.format(number)}": (of_it.format(number),) for number in range(4)},
    }
    assert not left_out(tmp_path)


def test_what_the_user_says_of_scans_stays(tmp_path):
    for number in range(3):
        photograph(tmp_path / f"healthy/p{number}_t1.png")
        photograph(tmp_path / f"abnormal/p{number}_t2.png")
        photograph(tmp_path / f"abnormal/p{number}_lesion.png")
    assert len(labels(tmp_path, image_pattern="*_t1.png")) == 3


PAIRS = [
    ("p{:02d}_lesion.png", "p{:02d}_lesion_mask.png"),
    ("p{}_roi.png", "p{}_roi_seg.png"),
    ("seg_{}.png", "seg_{}-GT.png"),
    ("p{:02d}_lesion.png", "p{:02d}_lesion_mask_1.png"),
    ("p{:02d}_lesion.png", "p{:02d}_lesion_mask (1).png"),
    ("p{}_roi.png", "p{}_roi_seg_v2.png"),
    ("p{}_roi.png", "p{}_roi_mask_corrected.png"),
    ("seg_{}.png", "seg_{}-GT_1.png"),
]
ALSO_CALLED_LIKE_MASKS = [("p{:02d}_lesion.png", "p{:02d}_gt.png"), ("p{:02d}_roi.png", "p{:02d}_seg.png")]


def lesions(source):
    return {case.case: tuple(mask.name for mask in case.lesion_files) for case in Folder(source).cases()}


@pytest.mark.parametrize("count", [1, 9, 20])
@pytest.mark.parametrize(("scan", "of_it"), PAIRS)
def test_beside_such_a_photograph_its_mask_is_its_mask(tmp_path, count, scan, of_it):
    for number in range(count):
        photograph(tmp_path / f"healthy/h{number}.png")
        photograph(tmp_path / "abnormal" / scan.format(number))
        mask(tmp_path / "abnormal" / of_it.format(number))
    found = lesions(tmp_path)
    assert len(found) == 2 * count
    for number in range(count):
        assert found[f"abnormal/{scan.format(number)}"] == (of_it.format(number),)
    assert not left_out(tmp_path)


@pytest.mark.parametrize("masks", [1, 10, 20])
@pytest.mark.parametrize(("scan", "other"), [*ALSO_CALLED_LIKE_MASKS, *PAIRS])
@pytest.mark.parametrize("kind", ["healthy", "abnormal"])
def test_what_shows_a_mask_is_never_a_scan(tmp_path, masks, scan, other, kind):
    for number in range(20):
        photograph(tmp_path / "healthy" / f"h{number}{'_roi' * (kind == 'healthy')}.png")
        photograph(tmp_path / "abnormal" / scan.format(number))
    for number in range(masks):
        mask(tmp_path / kind / other.format(number), high=255 * (kind == "abnormal"))
    assert sum(case.startswith("abnormal") for case in labels(tmp_path)) == 20
    assert len(labels(tmp_path)) == 40


def test_of_several_masks_of_such_a_photograph_it_is_unclear_which_is_its(tmp_path):
    for number in range(4):
        photograph(tmp_path / f"healthy/h{number}.png")
        photograph(tmp_path / f"abnormal/p{number}_lesion.png")
        mask(tmp_path / f"abnormal/p{number}_lesion_mask.png")
        mask(tmp_path / f"abnormal/p{number}_lesion_seg.png")
    assert lesions(tmp_path) == {
        **{f"healthy/h{number}.png": () for number in range(4)},
        **{f"abnormal/p{number}_lesion.png": () for number in range(4)},
    }
    assert any("may each have several" in note for note in Folder(tmp_path).notes())


@pytest.mark.parametrize("which", [[3], range(20)])
@pytest.mark.parametrize("second", ["_lesion_mask_2", "_lesion_mask_v2"])
def test_a_second_mask_is_none_of_the_scans(tmp_path, which, second):
    for number in range(20):
        photograph(tmp_path / f"healthy/h{number}.png")
        photograph(tmp_path / f"abnormal/p{number}_lesion.png")
        mask(tmp_path / f"abnormal/p{number}_lesion_mask.png")
    for number in which:
        mask(tmp_path / f"abnormal/p{number}{second}.png")
    found = lesions(tmp_path)
    assert len(found) == 40
    for number in range(20):
        own = [f"p{number}_lesion_mask.png"]
        if number in which:
            own = [*own, f"p{number}{second}.png"] if second.endswith("_2") else []  # of a version it is unclear
        assert found[f"abnormal/p{number}_lesion.png"] == tuple(own)


@pytest.mark.parametrize("masks", [["_mask_1"], ["_mask_1", "_mask_2"], ["_mask_v2"]])
@pytest.mark.parametrize("scan", ["p{0}/lesion", "p{0}/p{0}_lesion"])
def test_so_are_those_in_the_folder_of_a_case(tmp_path, scan, masks):
    for number in range(4):
        photograph(tmp_path / f"healthy/h{number}.png")
        file = tmp_path / "abnormal" / scan.format(number)
        photograph(file.with_name(f"{file.name}.png"))
        for end in masks:
            mask(file.with_name(f"{file.name}{end}.png"))
    found = {case: own for case, own in lesions(tmp_path).items() if case.startswith("abnormal")}
    names = [scan.format(number) for number in range(4)]
    assert found == {
        f"abnormal/{name}.png": tuple(f"{name.rpartition('/')[2]}{end}.png" for end in masks) for name in names
    }


def test_beside_another_scan_too_what_shows_a_mask_is_no_scan(tmp_path):
    for number in range(3):
        photograph(tmp_path / f"healthy/h{number}.png")
        photograph(tmp_path / f"abnormal/p{number}_lesion.png")
        mask(tmp_path / f"abnormal/p{number}_lesion_mask_1.png")
    photograph(tmp_path / "abnormal/p8.png")
    photograph(tmp_path / "abnormal/p2_lesion_mask_3.png")  # shows none, and stays a scan
    found = {case for case in labels(tmp_path) if case.startswith("abnormal")}
    assert found == {"abnormal/p8.png", "abnormal/p2_lesion_mask_3.png"}
    assert left_out(tmp_path)


def test_what_is_named_after_a_scan_and_shows_none_is_left_out_with_a_count(tmp_path):
    for number in range(3):
        photograph(tmp_path / f"healthy/h{number}.png")
        photograph(tmp_path / f"abnormal/p{number}_lesion.png")
        photograph(tmp_path / f"abnormal/p{number}_lesion_mask.png")
    assert len(labels(tmp_path)) == 6
    assert left_out(tmp_path)


def test_the_work_grows_with_the_files_and_not_with_their_square(monkeypatch):
    hashed, as_it_is = Counter(), PurePath.__hash__

    def counted(path):
        hashed["calls"] += 1
        return as_it_is(path)

    files = [Path(f"/x/abnormal/p{number}_lesion.png") for number in range(500)]
    paired = Paired(lonely=files)
    monkeypatch.setattr(called_like_masks, "shows_a_mask", lambda path: False)
    monkeypatch.setattr(PurePath, "__hash__", counted)
    assert taken_as_scans(paired, [Path("/x/abnormal")], Path("/x"), RoleSettings())
    assert hashed["calls"] < 30 * len(files)
    assert len(paired.lesions) == len(files)

"""Masks whose names do not hold the name of their scan are told by folders, and never taken where they could be any."""

import numpy as np
import pytest

from anomae.cohorts.case import ABNORMAL, UNKNOWN
from anomae.cohorts.case_folders import is_case_folder, is_one_of_several, sort_of_mask
from anomae.cohorts.folder import Folder
from anomae.volumes.volume import Grid
from anomae.volumes.write import write_picture, write_volume

SHAPE = (4, 8, 8)


def lay(root, *names):
    """Files of noise, and masks whose slice or row says which of them it is: the first marks 0, the second 1, ..."""
    marked = 0
    for name in ("healthy/h0.png", *names):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        mask = "mask" in name or is_one_of_several(path.name.split(".")[0])
        voxels = np.random.default_rng(len(name)).integers(1, 200, SHAPE).astype(np.uint8)
        if mask:
            voxels = np.zeros(SHAPE, np.uint8)
            voxels[marked % 4, marked % 8] = 255
            marked += 1
        if path.suffix == ".png":
            write_picture(path, voxels.max(axis=0) if mask else voxels[0])
        else:
            write_volume(path, voxels, Grid(SHAPE))
    return Folder(root)


def masks(cohort):
    """Case -> its masks, of the abnormal ones."""
    return {
        case.case: [mask.relative_to(cohort.source).as_posix() for mask in case.lesion_files]
        for case in cohort.cases()
        if case.called == ABNORMAL
    }


@pytest.mark.parametrize("name", ["mask_{}", "lesion_{}", "nodule{}", "mask{}", "Tumour-{}", "seg ({})"])
def test_several_masks_beside_the_scan_of_a_case(name, tmp_path):
    files = [f"abnormal/A/{name.format(number)}.nii.gz" for number in (1, 2)]
    cohort = lay(tmp_path, "abnormal/A/image.nii.gz", "abnormal/B/image.nii.gz", *files)
    assert masks(cohort) == {"abnormal/A/image.nii.gz": files, "abnormal/B/image.nii.gz": []}


def test_all_sequences_of_a_case_have_its_masks(tmp_path):
    cohort = lay(tmp_path, "abnormal/A/t1.nii.gz", "abnormal/A/A_flair.nii.gz", "abnormal/A/lesion_1.nii.gz")
    assert [*masks(cohort).values()] == [["abnormal/A/lesion_1.nii.gz"]] * 2


@pytest.mark.parametrize(
    ("scan", "files"),
    [
        ("abnormal/images/A.png", ["abnormal/masks/A/1.png", "abnormal/masks/A/2.png"]),
        ("abnormal/A.png", ["masks/A/1.png", "masks/A/2.png"]),
        ("abnormal/A.png", ["masks/abnormal/a/nodule_1.png", "masks/abnormal/a/nodule_2.png"]),
        ("abnormal/A/image.png", ["abnormal/A/masks/0a1b2c3d4e5f.png", "abnormal/A/masks/ff1b2c3d4e5f.png"]),
        ("abnormal/A/image.png", ["masks/A/lesion1.png", "masks/A/lesion2.png"]),
    ],
)
def test_a_folder_of_masks_for_each_case(scan, files, tmp_path):
    others = [scan.replace("A", "B"), "abnormal/C.png"]
    assert masks(lay(tmp_path, scan, *others, *files)) == {scan: files} | {name: [] for name in others}


def test_the_masks_of_one_case_are_merged(tmp_path):
    cohort = lay(tmp_path, "abnormal/A/image.nii.gz", "abnormal/A/mask_1.nii.gz", "abnormal/A/mask_2.nii.gz")
    (case,) = (case for case in cohort.cases() if case.called == ABNORMAL)
    assert cohort.read(case).labels.tolist() == [1, 1, 0, 0]


@pytest.mark.parametrize("names", [("liver",), ("lung_mask", "lesion")])
def test_what_may_be_an_organ_is_not_taken(names, tmp_path):
    """As TotalSegmentator writes it; slices without liver would be healthy."""
    cohort = lay(tmp_path, "abnormal/A/x.nii.gz", *(f"abnormal/A/segmentations/{name}.nii.gz" for name in names))
    (case,) = (case for case in cohort.cases() if case.called == ABNORMAL)
    assert "liver" not in str(case.lesion_files)
    assert "lung" not in str(case.lesion_files)


def test_the_folders_of_nnu_net(tmp_path):
    files = [f"abnormal/imagesTr/T_00{number}_0000.nii.gz" for number in (1, 2)]
    marks = [f"abnormal/labelsTr/T_00{number}.nii.gz" for number in (1, 2)]
    cohort = lay(tmp_path, *files, *marks)
    assert masks(cohort) == {file: [mark] for file, mark in zip(files, marks, strict=True)}
    assert len({case.patient for case in cohort.cases()}) == 3


@pytest.mark.parametrize(
    "names",
    [
        ("abnormal/lesion_1.png", "abnormal/lesion_2.png", "abnormal/x.png"),  # pictures of lesions
        ("abnormal/A/one.png", "abnormal/A/two.png", "masks/A/1.png"),  # of either
        ("abnormal/A.png", "abnormal/B.png", "abnormal/masks/C/1.png"),  # of neither
        ("abnormal/x.png", "abnormal/masks/y.png"),  # the folder is that of the class
        ("abnormal/A/t1.nii.gz", "abnormal/A/flair.nii.gz", "abnormal/A/B_mask.nii.gz"),  # of another patient
    ],
)
def test_in_doubt_no_mask_is_taken(names, tmp_path):
    cohort = lay(tmp_path, *names)
    assert not any(masks(cohort).values())
    assert all(case.label in (ABNORMAL, UNKNOWN) for case in cohort.cases() if case.called == ABNORMAL)


def test_folders_of_classes_are_of_no_case():
    assert is_case_folder(("abnormal", "p1"))
    assert not is_case_folder(("abnormal",))
    assert not is_case_folder(("test", "bad"))


def test_what_only_counts_masks_says_nothing_of_their_sort():
    assert {sort_of_mask(stem) for stem in ("1", "lesion_2", "0a1b2c3d4e5f", "nodule 3", "lesion_4_mask")} == {""}
    assert sort_of_mask("lung_mask") == sort_of_mask("lung_1") == "lung"

"""Roles of files: in trees as people have them, no lesion slice is called healthy, and no mask is a scan."""

import gzip
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from anomae.cohorts.case import ABNORMAL, HEALTHY, UNKNOWN
from anomae.cohorts.folder import Folder
from anomae.cohorts.splits import split_patients
from anomae.errors import UnreadableScan, UserError
from anomae.seeds import generator
from anomae.slices.settings import PrepareSettings
from anomae.stages.prepare import prepare
from anomae.volumes.volume import Grid
from anomae.volumes.write import write_picture, write_volume

SHAPE = (6, 8, 8)
LESION = (2, 3)  # the slices with a lesion
LABELS = [int(z in LESION) for z in range(SHAPE[0])]
ENDINGS = ("-seg", "_seg", "_mask", "_label", "_gt", "-label", ".seg", "_SEG", "-Mask", "_lesion", "_labels", "_roi")


def scan(path, number=0, suffix=None):
    """A scan of noise; `suffix`: how the file is really called, where the writer knows another spelling only."""
    write_as(path, generator(number, path.name).integers(0, 900, SHAPE).astype(np.int16))


def lesion_voxels(dtype=np.uint8):
    lesion = np.zeros(SHAPE, dtype)
    lesion[list(LESION), 3:5, 3:5] = 1
    return lesion


def write_as(path, voxels):
    path.parent.mkdir(parents=True, exist_ok=True)
    written = path.parent / "written.nii.gz" if path.name.lower().endswith(".gz") else path.parent / "written.nii"
    write_volume(written, voxels, Grid(SHAPE))
    written.rename(path)


def mask(path):
    write_as(path, lesion_voxels())


def labels_of(source, **options):
    cohort = Folder(source, **options)
    found = {}
    for case in cohort.cases():
        found[case.case] = cohort.read(case).labels.tolist()
    return found


def well(path):
    scan(path / "healthy/h0.nii.gz")
    scan(path / "healthy/h1.nii.gz", 1)


WELL = {"healthy/h0.nii.gz": [0] * 6, "healthy/h1.nii.gz": [0] * 6}


@pytest.mark.parametrize("suffix", [".nii.gz", ".NII.GZ", ".nii"])
@pytest.mark.parametrize("ending", ENDINGS)
def test_a_mask_by_its_ending(ending, suffix, tmp_path):
    well(tmp_path)
    scan(tmp_path / "abnormal/P.1.v2.nii.gz")
    mask(tmp_path / f"abnormal/P.1.v2{ending}{suffix}")
    assert labels_of(tmp_path) == WELL | {"abnormal/P.1.v2.nii.gz": LABELS}


@pytest.mark.parametrize("name", ["X-seg", "X_SEG", "seg", "mask", "X_gt", "other_seg"])
def test_a_mask_beside_one_sequence_of_a_patient(name, tmp_path):
    well(tmp_path)
    scan(tmp_path / "abnormal/X/X-t1n.nii.gz")
    mask(tmp_path / f"abnormal/X/{name}.nii.gz")
    assert labels_of(tmp_path) == WELL | {"abnormal/X/X-t1n.nii.gz": LABELS}


@pytest.mark.parametrize("folder", ["masks", "annotation", "annotations", "labels", "GT", "seg", "ground_truth"])
@pytest.mark.parametrize("where", ["abnormal/{}/x.nii.gz", "{}/abnormal/x_mask.nii.gz", "abnormal/{}/x-seg.nii"])
def test_folders_of_masks(folder, where, tmp_path):
    well(tmp_path)
    scan(tmp_path / "abnormal/x.nii.gz")
    mask(tmp_path / where.format(folder))
    assert labels_of(tmp_path) == WELL | {"abnormal/x.nii.gz": LABELS}


def test_images_beside_masks(tmp_path):
    for name in ("a", "b", "c"):
        scan(tmp_path / f"healthy/images/{name}.nii.gz")
        scan(tmp_path / f"abnormal/images/{name}.nii.gz", 1)
        mask(tmp_path / f"abnormal/masks/{name}.nii.gz")
    found = labels_of(tmp_path)
    assert len(found) == len({case.patient for case in Folder(tmp_path).cases()}) == 6
    assert all(labels == (LABELS if name.startswith("abn") else [0] * 6) for name, labels in found.items())
    # Masks that healthy scans have as well are those of an organ.
    for name in ("a", "b", "c"):
        mask(tmp_path / f"healthy/masks/{name}.nii.gz")
    found = labels_of(tmp_path)
    assert all(labels == [int(name.startswith("abn"))] * 6 for name, labels in found.items())
    assert "those of an organ" in Folder(tmp_path).notes()[0]


def test_a_scan_given_twice_and_brain_masks(tmp_path):
    well(tmp_path)
    (tmp_path / "healthy/h0.nii").write_bytes(gzip.decompress((tmp_path / "healthy/h0.nii.gz").read_bytes()))
    scan(tmp_path / "abnormal/p/x.nii.gz")
    for name in ("x_brain_mask", "x-BrainMask", "x_bet_mask", "brainmask"):
        mask(tmp_path / f"abnormal/p/{name}.nii.gz")
    mask(tmp_path / "abnormal/p/x_seg.nii.gz")
    assert labels_of(tmp_path) == WELL | {"abnormal/p/x.nii.gz": LABELS}
    facts = Folder(tmp_path).pairing()
    assert (facts["given_twice"], facts["brain_masks"], facts["with_lesion_mask"]) == (1, 4, 1)


def test_two_scans_of_one_name_are_neither_taken(tmp_path):
    well(tmp_path)
    scan(tmp_path / "abnormal/x.nii.gz")
    scan(tmp_path / "abnormal/X.nii", 7)
    mask(tmp_path / "healthy/h0_seg.nii.gz")
    write_as(tmp_path / "healthy/h0_seg.nii", np.zeros(SHAPE, np.uint8))
    cohort = Folder(tmp_path)
    assert len(cohort.cases()) == 3
    refused = [case for case in cohort.cases() if case.case != "healthy/h1.nii.gz"]
    for case, name in zip(refused, ("x.nii.gz and X.nii", "h0_seg.nii.gz and h0_seg.nii"), strict=True):
        with pytest.raises(UnreadableScan, match=f"{name} .* neither was taken"):
            cohort.read(case)


def test_several_masks_of_one_scan_are_merged(tmp_path):
    well(tmp_path)
    scan(tmp_path / "abnormal/x.nii.gz")
    for name, where in (("x_mask", 1), ("x_mask_1", 4), ("x_mask_2", 4)):
        voxels = np.zeros(SHAPE, np.uint8)
        voxels[where, 2 if name != "x_mask_2" else 6] = 1
        write_as(tmp_path / f"abnormal/{name}.nii.gz", voxels)
    scan(tmp_path / "abnormal/y.nii.gz")
    for number in (1, 2):
        voxels = np.zeros(SHAPE, np.uint8)
        voxels[number, 1, 1] = 1
        write_as(tmp_path / f"abnormal/masks/y_{number}.nii.gz", voxels)
    cohort = Folder(tmp_path)
    cases = {case.case: case for case in cohort.cases()}
    assert set(cases) == {*WELL, "abnormal/x.nii.gz", "abnormal/y.nii.gz"}
    read = cohort.read(cases["abnormal/x.nii.gz"])
    assert read.labels.tolist() == [0, 1, 0, 0, 1, 0]
    assert read.lesions.sum(axis=(1, 2)).tolist() == [0, 8, 0, 0, 16, 0]
    assert "3 lesion masks of it were merged" in read.notes
    assert cohort.read(cases["abnormal/y.nii.gz"]).labels.tolist() == [0, 1, 1, 0, 0, 0]
    assert "2 scans have several lesion masks (5 files in all), which were merged" in cohort.notes()
    assert cohort.pairing()["pairs"]["abnormal/y.nii.gz"] == [f"abnormal/masks/y_{number}.nii.gz" for number in (1, 2)]


def test_a_scan_that_is_called_like_a_numbered_mask_stays_one(tmp_path):
    for name in ("healthy/roi_1.nii.gz", "healthy/lesion_2.nii.gz", "abnormal/wound_roi_1.nii.gz"):
        scan(tmp_path / name)
    assert {name: set(labels) for name, labels in labels_of(tmp_path).items()} == {
        "healthy/lesion_2.nii.gz": {HEALTHY},
        "healthy/roi_1.nii.gz": {HEALTHY},
        "abnormal/wound_roi_1.nii.gz": {ABNORMAL},
    }


@pytest.mark.parametrize("how", ["*_ignore.nii.gz", "Ignore_these"])
def test_regions_that_are_not_to_be_judged(how, tmp_path):
    """Neither lesion nor healthy: a slice with a lesion outside is abnormal, with one inside alone unknown."""
    well(tmp_path)
    region = np.zeros(SHAPE, np.uint8)
    region[:, 3:5, 3:5] = 1
    names = ("healthy/h0", "abnormal/x", "abnormal/y", "abnormal/z")
    for name in names[1:]:
        scan(tmp_path / f"{name}.nii.gz")
    voxels = lesion_voxels()
    voxels[3, 0, 0] = 1  # outside of the region
    write_as(tmp_path / "abnormal/x_seg.nii.gz", voxels)
    write_as(tmp_path / "abnormal/y_seg.nii.gz", lesion_voxels())
    for name in names:
        folder, stem = name.split("/")
        where = f"{name}_ignore.nii.gz" if "*" in how else f"{folder}/ignore_these/{stem}.nii.gz"
        write_as(tmp_path / where, region)
    cohort = Folder(tmp_path, ignore=how)
    read = {case.case.split(".")[0]: cohort.read(case) for case in cohort.cases()}
    assert {name: each.labels.tolist() for name, each in read.items()} == {
        "healthy/h0": [0] * 6,
        "healthy/h1": [0] * 6,
        "abnormal/x": [0, 0, UNKNOWN, 1, 0, 0],
        "abnormal/y": [0, 0, UNKNOWN, UNKNOWN, 0, 0],
        "abnormal/z": [1] * 6,
    }
    assert read["healthy/h1"].ignored is None
    for name in names:
        assert read[name].ignored.sum() == region.sum()
        assert read[name].lesions is None or not (read[name].lesions & read[name].ignored).any()
    assert "4 of 5 scans have a mask of what is not to be judged (ignore)" in cohort.notes()
    with pytest.raises(UserError, match="ignore names no file"):
        Folder(tmp_path, ignore="*_nothing.nii.gz").cases()


def test_two_masks_leave_nothing_healthy(tmp_path):
    well(tmp_path)
    for name in ("abnormal/x", "healthy/y"):
        scan(tmp_path / f"{name}.nii.gz")
        mask(tmp_path / f"{name}_seg.nii.gz")
        mask(tmp_path / f"{name}_gt.nii.gz")
    cohort = Folder(tmp_path)
    cases = {case.case: case for case in cohort.cases()}
    assert set(cohort.read(cases["abnormal/x.nii.gz"]).labels.tolist()) == {ABNORMAL}
    with pytest.raises(UnreadableScan, match="mask_pattern"):
        cohort.read(cases["healthy/y.nii.gz"])
    chosen = labels_of(tmp_path, mask_pattern="*_seg.nii.gz", image_pattern="healthy/h*,*x.nii.gz")
    assert chosen == WELL | {"abnormal/x.nii.gz": LABELS}


def values(path, voxels, **options):
    well(path)
    scan(path / "abnormal/x.nii.gz")
    write_as(path / "abnormal/x_seg.nii.gz", voxels)
    return labels_of(path, **options)["abnormal/x.nii.gz"]


@pytest.mark.parametrize("background", [0, 0.0003, -0.0003])
def test_resampled_floats(background, tmp_path):
    voxels = lesion_voxels(np.float32) * np.float32(0.97) + np.float32(background)
    assert values(tmp_path, voxels) == LABELS


def test_a_faint_slice_is_not_healthy(tmp_path):
    voxels = lesion_voxels(np.float32) * np.float32(0.97)
    voxels[4, 3, 3] = 0.4
    assert values(tmp_path, voxels) == [0, 0, 1, 1, UNKNOWN, 0]


def test_255_in_a_signed_byte(tmp_path):
    assert values(tmp_path, (lesion_voxels() * 255).view(np.int8)) == LABELS
    assert values(tmp_path / "wide", -lesion_voxels(np.int16)) == LABELS


def test_organ_and_tumour(tmp_path):
    voxels = lesion_voxels() + 1
    voxels[0] = 0
    assert values(tmp_path, voxels) == [0, 1, 1, 1, 1, 1]
    assert values(tmp_path, voxels, mask_labels="2") == LABELS
    assert values(tmp_path, voxels, ignore="1") == [0, UNKNOWN, 1, 1, UNKNOWN, UNKNOWN]
    with pytest.raises(UserError, match="whole numbers"):
        Folder(tmp_path, mask_labels="two")


def test_an_empty_mask_makes_no_abnormal_scan_healthy(tmp_path):
    assert values(tmp_path, np.zeros(SHAPE, np.uint8)) == [UNKNOWN] * 6


@pytest.mark.parametrize("kind", [False, True])
def test_pictures_with_regions(kind, tmp_path):
    """In grey and in colour; a picture whose only lesion lies in the region has no label."""
    for name in ("healthy/a.png", "healthy/b.png", "abnormal/x.png", "abnormal/y.png"):
        write_picture(tmp_path / name, generator(0, name).integers(0, 255, (24, 24)))
    marks = np.zeros((24, 24), np.uint8)
    marks[8:16, 8:16] = 255
    for name, lesion in (("x", marks), ("y", np.roll(marks, 4, axis=0))):
        write_picture(tmp_path / f"abnormal/{name}_mask.png", lesion)
        write_picture(tmp_path / f"abnormal/{name}_roi.png", marks)
    cohort = Folder(tmp_path, ignore="*_roi.png", colour=kind)
    read = {case.case: cohort.read(case) for case in cohort.cases()}
    assert len(read) == 4
    assert read["abnormal/x.png"].labels.tolist() == [UNKNOWN]
    assert read["abnormal/y.png"].labels.tolist() == [ABNORMAL]
    assert read["abnormal/y.png"].lesions.sum() == 4 * 8


@pytest.mark.parametrize("kind", ["red.png", "white.jpg", "grey.png", "one.png"])
def test_pictures_of_masks(kind, tmp_path):
    truth = np.zeros((24, 24), bool)
    truth[8:16, 8:16] = True
    for name in ("healthy/a.png", "healthy/b.png", "abnormal/x.png"):
        write_picture(tmp_path / name, generator(0, name).integers(0, 255, (24, 24)))
    where = tmp_path / f"abnormal/x_mask.{kind[-3:]}"
    if kind == "red.png":
        Image.fromarray(np.stack([truth * np.uint8(255), 0 * truth, 0 * truth], -1).astype(np.uint8)).save(where)
    else:
        bright = {"white.jpg": 255, "grey.png": 90, "one.png": 1}[kind]
        Image.fromarray((truth * bright).astype(np.uint8)).save(where)
    cohort = Folder(tmp_path)
    read = cohort.read(next(case for case in cohort.cases() if case.lesion))
    assert read.labels.tolist() == [ABNORMAL]
    np.testing.assert_array_equal(read.lesions[0], truth)


def test_the_table_wins(tmp_path):
    well(tmp_path)
    scan(tmp_path / "abnormal/x.nii.gz")
    scan(tmp_path / "abnormal/z.nii.gz")
    mask(tmp_path / "abnormal/odd.nii.gz")
    table = tmp_path / "cases.csv"
    table.write_text(
        "File;Patient;LABEL;Split;Mask;site\n"
        "healthy/h0.nii.gz;p1;Healthy;TRAIN;;A\nhealthy/h1.nii.gz;p2;0;Test;;\n"
        "abnormal/x.nii.gz;p3;;val;abnormal/odd.nii.gz;B\nabnormal/z.nii.gz;p2;normal;test;none;B\n"
    )
    cohort = Folder(tmp_path, table=str(table))
    assert {case.case: (case.patient, case.split, case.site) for case in cohort.cases()} == {
        "healthy/h0.nii.gz": ("p1", "train", "A"),
        "healthy/h1.nii.gz": ("p2", "test", ""),
        "abnormal/x.nii.gz": ("p3", "validation", "B"),
        "abnormal/z.nii.gz": ("p2", "test", "B"),
    }
    assert labels_of(tmp_path, table=str(table)) == WELL | {
        "abnormal/x.nii.gz": LABELS,
        "abnormal/z.nii.gz": [0] * 6,
    }


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("file,lable\n", "lable"),
        ("patient\np\n", "no column file, and none of its 1 patients"),
        ("site\nA\n", "column named file"),
        ("file,label\nhealthy/h0.nii.gz,ill-ish\n", "line 2, has the label"),
        ("file,split\nhealthy/h0.nii.gz,holdout\n", "line 2, has the split"),
        ("file\nhealthy/none.nii.gz\n", "not there"),
        ("file\nhealthy/h0.nii.gz\nhealthy/h0.nii.gz\n", "second time"),
        ("file,label\nhealthy/h0.nii.gz\n", "1 values for 2 columns"),
        ("file\n", "no line"),
        ("", "column named file"),
    ],
)
def test_tables_that_are_refused(text, what, tmp_path):
    well(tmp_path)
    (tmp_path / "cases.csv").write_text(text)
    with pytest.raises(UserError, match=what):
        Folder(tmp_path, table=str(tmp_path / "cases.csv")).cases()


def test_prepare_stores_the_pairs_and_notices_changes(tmp_path):
    source = tmp_path / "source"
    well(source)
    scan(source / "healthy/h2.nii.gz", 2)
    scan(source / "abnormal/x.nii.gz")
    mask(source / "abnormal/x_seg.nii.gz")
    asked = PrepareSettings(image_size=8)
    made = prepare("folder", source, tmp_path / "store", settings=asked)
    assert made.prepared["pairing"]["pairs"] == {"abnormal/x.nii.gz": "abnormal/x_seg.nii.gz"}
    (source / "abnormal/x_seg.nii.gz").touch()
    prepare("folder", source, tmp_path / "store", settings=asked)
    write_as(source / "abnormal/x_seg.nii.gz", np.ones(SHAPE, np.uint8))
    with pytest.raises(UserError, match="have changed since"):
        prepare("folder", source, tmp_path / "store", settings=asked)


NAMES = st.text("abX1-_. t", min_size=1, max_size=6).filter(lambda name: name.strip("-_. ") == name)


@settings(max_examples=25, deadline=None)
@given(
    name=NAMES,
    nest=st.sampled_from(["", "p1/", "p1/anat/", "images/"]),
    ending=st.sampled_from(ENDINGS),
    folder=st.sampled_from(["", "masks/", "Labels/", "gt/", "annotation/"]),
    suffix=st.sampled_from([".nii", ".nii.gz", ".NII.GZ"]),
)
def test_no_tree_trains_on_a_lesion(name, nest, ending, folder, suffix):
    with tempfile.TemporaryDirectory() as made:
        source = Path(made)
        well(source)
        scan(source / f"abnormal/{nest}{name}.nii.gz")
        mask(source / f"abnormal/{nest}{folder}{name}{ending}{suffix}")
        cohort = Folder(source)
        cases = cohort.cases()
        assert [case.source.name for case in cases if case.called == ABNORMAL] == [f"{name}.nii.gz"]
        for case in cases:
            labels = cohort.read(case).labels
            if case.called == ABNORMAL:
                assert not np.any(labels[list(LESION)] == HEALTHY)
        splits = split_patients(cases, 0)
        assert set(splits) == {case.patient for case in cases}


@pytest.mark.parametrize(("first", "second"), [("x.nii", "x.NII"), ("x.png", "x.tif"), ("X.nii.gz", "x.nii.gz")])
def test_a_mask_that_two_scans_of_one_name_share_is_of_neither(first, second, tmp_path):
    well(tmp_path)
    for number, name in enumerate((first, second)):
        if name.endswith(("g", "f")):
            write_picture(tmp_path / "abnormal/p" / name, generator(number).integers(0, 255, (8, 8)).astype(np.uint8))
        else:
            scan(tmp_path / "abnormal/p" / name, number)
    mask(tmp_path / "abnormal/p/x_seg.nii")
    found = labels_of(tmp_path)
    assert all(ABNORMAL in labels and HEALTHY not in labels for name, labels in found.items() if name[0] == "a")
    assert "or share one; none of these was taken" in " ".join(Folder(tmp_path).notes())

"""Roles of files in every cohort: its layout with the faults of real life, judged slice by slice after `prepare`."""

import shutil
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from anomae.cohorts.patient_names import doubt_of, unit_of
from anomae.cohorts.registry import COHORTS, open_cohort
from anomae.errors import UnreadableScan, UserError
from anomae.slices.contract import (
    MARKED_SIDE,
    Mark,
    check_marked_store,
    marked_lesions,
    marked_scan,
    marked_slice,
    read_mark,
)
from anomae.slices.settings import PrepareSettings
from anomae.slices.store import SliceStore
from anomae.stages.prepare import prepare
from anomae.volumes.write import write_picture

from .role_trees import ALL_ILL, DEPTH, MASKED_ILL, SOME_ILL, TREES, Tree, arrays_of, nifti, slice_file, write_lgg_tiffs

PLAIN = PrepareSettings(image_size=MARKED_SIDE, intensity="none")


@dataclass(frozen=True)
class Outcome:
    """What becomes of a tree.

    refused: the sentence with which all is refused, as a pattern.  skipped: the same of cases that are left out, whose
    patients are `gone`.  labels: (patient, slice) -> its label, where it is another than in the sound tree.
    """

    refused: str = ""
    skipped: str = ""
    gone: Collection[int] = ()
    labels: Mapping[tuple[int, int], int] = field(default_factory=dict)


SAME = Outcome()


def unknown(*patients: int) -> Outcome:
    return Outcome(labels={(patient, z): -1 for patient in patients for z in range(DEPTH)})


def prepared(tree: Tree, folder: Path) -> Path:
    store = folder.with_name("store")
    prepare(tree.cohort, folder / tree.inside, store, settings=PLAIN, options=dict(tree.options), workers=0, seed=1)
    return store


def labels_read(tree: Tree, folder: Path) -> dict[tuple[int, int], int]:
    """(patient, slice) -> its label, of all that the cohort reads, whatever becomes of it."""
    cohort, found = open_cohort(tree.cohort, folder / tree.inside, **tree.options), {}
    for case in cohort.cases():
        try:
            read = cohort.read(case)
        except UnreadableScan:
            continue
        for image, label in zip(read.images, read.labels.tolist(), strict=True):
            mark = read_mark(image[0])
            assert mark is not None, f"{case.case} is no slice of a patient"
            assert found.setdefault((mark.patient, mark.number), label) == label
    return found


def compare(tree: Tree, folder: Path, store: Path, outcome: Outcome) -> None:
    """Each slice of the tree is in the store, with the label that it has in truth, or its absence is right."""
    rows = check_marked_store(store, patients_known=tree.patients_known)
    truth = tree.truth() | dict(outcome.labels)
    truth = {key: label for key, label in truth.items() if key[0] not in outcome.gone}
    assert labels_read(tree, folder) == truth
    found = {(row.mark.patient, row.mark.number): row.label for row in rows}
    split_of = {row.mark.patient: row.split for row in rows}
    assert found.items() <= truth.items()
    for (patient, number), label in truth.items():
        if split_of.get(patient, "train") != "train" or label == 0:
            assert (patient, number) in found, f"slice {number} of patient {patient} is missing"
    if tree.splits:
        assert split_of == {patient: split for patient, split in tree.splits.items() if patient in split_of}
    told = SliceStore(store).prepared
    unknown_patients = not tree.patients_known or tree.cohort == "luna16"
    assert bool(doubt_of(told)) == (unit_of(told) in ("file", "scan", "image")) == unknown_patients
    names = {(row.mark.patient, row.patient) for row in rows}
    if tree.patients_known:
        assert len(names) == len(split_of) == len({name for _, name in names})


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Tree], Path]:
    written: dict[Callable[[Path], None], Path] = {}

    def folder(tree: Tree) -> Path:
        if tree.write not in written:
            written[tree.write] = tmp_path_factory.mktemp("sound") / "tree"
            tree.write(written[tree.write])
        return written[tree.write]

    return folder


def test_every_cohort_is_in_the_suite():
    missing = set(COHORTS) - {tree.cohort for tree in TREES.values()}
    assert not missing, f"add a Tree of these cohorts to role_trees.py, and faults here: {missing}"
    untried = set(COHORTS) - {TREES[name].cohort for name, _, _ in FAULTS} - {"phantom"}
    assert not untried, f"no fault of its own is tried of {untried}"


def litter(folder: Path) -> None:
    """What file browsers and archives leave behind, beside every file."""
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        beside = path.with_name(f"._{path.name}")
        away = folder / "__MACOSX" / path.relative_to(folder).with_name(f"._{path.name}")
        away.parent.mkdir(parents=True, exist_ok=True)
        for each in (beside, away):
            each.write_bytes(b"\x00\x05\x16\x07" + b"Mac OS X" * 8)
        for name in (".DS_Store", "Thumbs.db", "desktop.ini"):
            (path.parent / name).write_bytes(b"litter")
    (folder / ".git").mkdir()


@pytest.mark.parametrize("name", TREES)
def test_litter_is_no_scan(name, sound, tmp_path):
    tree = TREES[name]
    shutil.copytree(sound(tree), tmp_path / "tree")
    litter(tmp_path / "tree")
    compare(tree, tmp_path / "tree", prepared(tree, tmp_path / "tree"), SAME)


def renamed(pattern: str, change: Callable[[str], str]) -> Callable[[Path], None]:
    def rename(folder: Path) -> None:
        paths = sorted(path for path in folder.rglob(pattern) if path.is_file())
        assert paths
        for path in paths:
            path.rename(path.with_name(change(path.name)))

    return rename


def nested(folder: Path) -> None:
    folder.rename(folder.with_name("inner"))
    folder.mkdir()
    folder.with_name("inner").rename(folder / "archive")


def masks(pattern: str, voxels: Callable[[np.ndarray], np.ndarray], count: int | None = None) -> Callable:
    """Write other voxels into the masks of the first `count` patients; voxels: of the usual mask."""

    def write(folder: Path) -> None:
        paths = sorted(folder.rglob(pattern))
        assert paths
        for path in paths[:count]:
            scan = path.with_name(path.name.replace("-seg", "-t1n"))
            ill = MASKED_ILL[int(path.parent.name[1])] if scan.parent.name[0] == "p" else (1,)
            nifti(path, voxels(marked_lesions(DEPTH, ill)))

    return write


def organ_and_tumour(mask: np.ndarray) -> np.ndarray:
    both = 4 * mask
    both[:, 12:][mask[:, 12:] > 0] = 2
    return both


def blurred(mask: np.ndarray) -> np.ndarray:
    return mask * np.float32(0.97) + np.float32(0.0003)


# What a mask may hold, and what its slices are then; None: the case is left out.
VALUES = {
    "255 in int8": (lambda mask: (255 * mask).view(np.int8), SAME),
    "several parts": (organ_and_tumour, SAME),
    "resampled": (blurred, SAME),
    "booleans as floats": (lambda mask: mask.astype(np.float32), SAME),
}


def values_of(tree: str, pattern: str) -> list[tuple[str, str, tuple[Callable[[Path], None], Outcome]]]:
    all_ill = TREES[tree].lesions == ALL_ILL
    negative = Outcome(refused="negative") if all_ill else Outcome(skipped="negative", gone={5, 6})
    shape = Outcome(refused="has shape") if all_ill else Outcome(skipped="has shape", gone={5, 6})
    return [
        *((tree, f"mask of {kind}", (masks(pattern, voxels), outcome)) for kind, (voxels, outcome) in VALUES.items()),
        (tree, "negative mask", (masks(pattern, lambda m: -3 * m.astype(np.int16)), negative)),
        (tree, "masks of another shape", (masks(pattern, lambda m: m[:, 1:]), shape)),
    ]


def without(*names: str) -> Callable[[Path], None]:
    def remove(folder: Path) -> None:
        for name in names:
            path = folder / name
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    return remove


def copied(source: str, target: str) -> Callable[[Path], None]:
    def copy(folder: Path) -> None:
        (folder / target).parent.mkdir(parents=True, exist_ok=True)
        (shutil.copytree if (folder / source).is_dir() else shutil.copy)(folder / source, folder / target)

    return copy


def replaced(name: str, old: str, new: str) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        text = (folder / name).read_text()
        assert old in text
        (folder / name).write_text(text.replace(old, new))

    return write


def several(*changes: Callable[[Path], None]) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        for change in changes:
            change(folder)

    return make


CASE = "BraTS20_Training_001"
OF_2023 = "BraTS-GLI-00001-000"
LGG_CASE = "TCGA_CS_0001_19960101"
LGG_PAIR = (f"{LGG_CASE}/{LGG_CASE}_seg.nii.gz", f"{LGG_CASE}/{LGG_CASE}_flair.nii.gz")


def empty(name: str) -> Callable[[Path], None]:
    return lambda folder: nifti(folder / name, marked_lesions(DEPTH))


def empty_pictures(*names: str) -> Callable[[Path], None]:
    return lambda folder: [write_picture(folder / name, np.zeros((16, 16), np.uint8)) for name in names]


def slice_masks(patient: int, voxels: Callable[[np.ndarray], np.ndarray]) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        for z in range(DEPTH):
            mask = voxels(marked_lesions(DEPTH, ALL_ILL[patient])[z])
            slice_file(folder / f"volume_{patient}_slice_{z}.h5", marked_slice(Mark(patient, z, z == 1)), mask)

    return write


def in_arrays(change: Callable[[dict[str, np.ndarray]], object]) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        content = arrays_of(MASKED_ILL)
        change(content)
        np.savez(folder / "x.npz", **content)

    return write


def in_medmnist(change: Callable[[dict[str, np.ndarray]], object]) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        with np.load(folder / "x.npz") as whole:
            content = dict(whole)
        change(content)
        np.savez(folder / "x.npz", **content)

    return write


def session_of(patient: int) -> Callable[[Path], None]:
    """Another scan of a patient, years later, among Kaggle's TIFFs."""
    return lambda folder: write_lgg_tiffs(folder, "20010101", {patient: (1,)})


def scans_of_lgg(name: str, patient: int, listed: str = "") -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        nifti(folder / name / f"{name}_flair.nii.gz", marked_scan(patient, DEPTH, [1]).astype(np.int16))
        nifti(folder / name / f"{name}_seg.nii.gz", marked_lesions(DEPTH, [1]))
        if listed:
            table = folder / "patients.csv"
            table.write_text(f"{table.read_text()}{name},{listed}\n")

    return write


def fallen_ill(folder: Path) -> None:
    """Patient 1 is healthy in one scan and ill in a later one."""
    later = np.stack([marked_slice(Mark(1, z, True)) for z in range(3, 6)])
    nifti(folder / "abnormal" / "p1" / "later.nii.gz", later.astype(np.int16))


LUNA_LINE = "1.2.1,23.5,7.5,1.0,1\n"  # a nodule of patient 1

FAULTS: list[tuple[str, str, tuple[Callable[[Path], None], Outcome]]] = [
    ("brats2020", "as it is", (lambda folder: None, SAME)),
    ("brats2020", "upper case", (renamed("*.gz", str.upper), SAME)),
    ("brats2020", "unpacked too deep", (nested, SAME)),
    *values_of("brats2020", "*_seg.nii.gz"),
    ("brats2020", "another mask beside it", (copied(f"{CASE}/{CASE}_t1.nii.gz", f"{CASE}/of_me_seg.nii.gz"), SAME)),
    ("brats2020", "an empty mask", (empty(f"{CASE}/{CASE}_seg.nii.gz"), unknown(1))),
    (
        "brats2020",
        "no mask",
        (without(f"{CASE}/{CASE}_seg.nii.gz"), Outcome(skipped="without a segmentation", gone={1})),
    ),
    (
        "brats2020",
        "two masks",
        (
            several(
                renamed(f"{CASE}_seg.nii.gz", lambda _: "one_seg.nii.gz"),
                copied(f"{CASE}/one_seg.nii.gz", f"{CASE}/two-seg.nii.gz"),
            ),
            Outcome(skipped="2 files that could be its seg", gone={1}),
        ),
    ),
    ("brats2020", "a case twice", (copied(CASE, f"HGG/{CASE}"), Outcome(refused="the same case"))),
    ("brats2020", "two years", (copied(CASE, "BraTS2021_00001"), Outcome(refused="2020 and 2021"))),
    ("brats2020", "cases to be judged", (copied(CASE, "BraTS20_Validation_001"), SAME)),
    ("brats2019", "sessions", (lambda folder: None, SAME)),
    ("brats2023", "sessions", (lambda folder: None, SAME)),
    (
        "brats2023",
        "sessions in other letters",
        (lambda folder: (folder / OF_2023).rename(folder / OF_2023.lower()), SAME),
    ),
    ("brats2023", "an empty mask", (empty("BraTS-GLI-00004-000/BraTS-GLI-00004-000-seg.nii.gz"), unknown(4))),
    ("brats-slices", "as it is", (lambda folder: None, SAME)),
    ("brats-slices", "upper case", (renamed("*.h5", str.upper), SAME)),
    ("brats-slices", "some upper case", (renamed("volume_2_*.h5", str.upper), SAME)),
    (
        "brats-slices",
        "a slice twice",
        (copied("volume_1_slice_1.h5", "volume_01_slice_1.h5"), Outcome(refused="are the same slice")),
    ),
    ("brats-slices", "mask of 255 in int8", (slice_masks(1, lambda mask: (255 * mask).view(np.int8)), SAME)),
    (
        "brats-slices",
        "mask of background first",
        (slice_masks(1, lambda m: np.stack([1 - m, m, 0 * m, 0 * m], -1)), SAME),
    ),
    (
        "brats-slices",
        "negative mask",
        (slice_masks(1, lambda mask: -3 * mask.astype(np.int16)), Outcome(skipped="negative", gone={1})),
    ),
    ("brats-slices", "resampled mask", (slice_masks(1, blurred), Outcome(skipped="between", gone={1}))),
    ("brats-slices", "mask of another shape", (slice_masks(1, lambda m: m[1:]), Outcome(skipped="shape", gone={1}))),
    ("brats-slices", "an empty mask", (slice_masks(2, lambda mask: 0 * mask), unknown(2))),
    ("luna16", "as it is", (lambda folder: None, SAME)),
    (
        "luna16",
        "subset in a subset",
        (several(copied("subset0", "sub"), without("subset0"), copied("sub", "subset0/subset0"), without("sub")), SAME),
    ),
    ("luna16", "semicolons", (replaced("candidates.csv", ",", ";"), SAME)),
    ("luna16", "a header in other letters", (replaced("candidates.csv", "seriesuid", "SeriesUID"), SAME)),
    ("luna16", "the table in a folder", (renamed("candidates.csv", lambda _: "CSVFILES"), Outcome(refused="candid"))),
    ("luna16", "unpacked too deep", (nested, SAME)),
    (
        "luna16",
        "a table that contradicts",
        (
            replaced("candidates.csv", LUNA_LINE, LUNA_LINE + LUNA_LINE.replace("1.0,1", "1.0,0")),
            Outcome(labels={(1, 1): -1}),
        ),
    ),
    ("luna16", "a line twice", (replaced("candidates.csv", LUNA_LINE, 2 * LUNA_LINE), SAME)),
    (
        "luna16",
        "a class of none",
        (
            replaced("candidates.csv", LUNA_LINE, LUNA_LINE.replace(",1\n", ",2\n")),
            Outcome(refused="a class other than 0 and 1"),
        ),
    ),
    ("luna16", "upper case", (renamed("1.2.1.mhd", str.upper), Outcome(gone={1}))),
    ("luna16-subsets", "as it is", (lambda folder: None, SAME)),
    (
        "luna16-subsets",
        "a scan in two subsets",
        (
            several(copied("subset0/1.2.1.mhd", "subset5/1.2.1.mhd"), copied("subset0/1.2.1.raw", "subset5/1.2.1.raw")),
            Outcome(refused="subsets of two splits"),
        ),
    ),
    ("lgg", "as it is", (lambda folder: None, SAME)),
    *values_of("lgg", "*_seg.nii.gz"),
    ("lgg", "an empty mask", (empty("TCGA_CS_0004_19960101/TCGA_CS_0004_19960101_seg.nii.gz"), unknown(4))),
    ("lgg", "no mask", (without(LGG_PAIR[0]), Outcome(skipped="missing", gone={1}))),
    ("lgg", "upper case", (renamed(f"{LGG_CASE}_*.gz", str.upper), Outcome(gone={1}))),
    ("lgg", "another mask beside it", (copied(LGG_PAIR[1], f"{LGG_CASE}/of_me_seg.nii.gz"), SAME)),
    (
        "lgg",
        "a table that contradicts",
        (
            replaced("patients.csv", f"{LGG_CASE},train\n", f"{LGG_CASE},train\n{LGG_CASE},report\n"),
            Outcome(refused="twice"),
        ),
    ),
    ("lgg", "a part of none", (replaced("patients.csv", "report", "rest"), Outcome(refused="part"))),
    ("lgg", "a patient not listed", (scans_of_lgg("TCGA_CS_0009_19960101", 9), SAME)),
    (
        "lgg",
        "sessions in two splits",
        (scans_of_lgg("TCGA_CS_0001_20010101", 1, "report"), Outcome(refused="more than one split")),
    ),
    ("lgg", "sessions in one split", (scans_of_lgg("TCGA_CS_0001_20010101", 1, "train"), SAME)),
    ("lgg-tiffs", "as it is", (lambda folder: None, SAME)),
    ("lgg-tiffs", "sessions", (several(*(session_of(one) for one in ALL_ILL)), SAME)),
    ("lgg-tiffs", "upper case", (renamed("*.tif", str.upper), Outcome(refused="missing"))),
    ("lgg-tiffs", "upper case suffixes", (renamed("*.tif", lambda name: name.replace(".tif", ".TIF")), SAME)),
    (
        "lgg-tiffs",
        "a slice twice",
        (
            several(
                copied(f"{LGG_CASE}/{LGG_CASE}_2.tif", f"{LGG_CASE}/{LGG_CASE}_02.tif"),
                copied(f"{LGG_CASE}/{LGG_CASE}_1_mask.tif", f"{LGG_CASE}/{LGG_CASE}_02_mask.tif"),
            ),
            Outcome(skipped="the same slice", gone={1}),
        ),
    ),
    (
        "lgg-tiffs",
        "unpacked too deep",
        (lambda folder: (nested(folder), (folder / "archive").rename(folder / "kaggle_3m")), SAME),
    ),
    (
        "lgg-tiffs",
        "an empty mask",
        (empty_pictures("TCGA_CS_0002_19960101/TCGA_CS_0002_19960101_2_mask.tif"), unknown(2)),
    ),
    ("lgg-tiffs", "no mask", (without(f"{LGG_CASE}/{LGG_CASE}_2_mask.tif"), Outcome(skipped="missing", gone={1}))),
    ("folder", "as it is", (lambda folder: None, SAME)),
    ("folder", "upper case", (renamed("*.gz", str.upper), SAME)),
    ("folder", "class folders in upper case", (lambda folder: (folder / "abnormal").rename(folder / "ABNORMAL"), SAME)),
    ("folder", "a folder of none", (copied("abnormal/p5", "others/p5"), SAME)),
    (
        "folder",
        "deeper",
        (several(copied("healthy/p1", "p1"), without("healthy/p1"), copied("p1", "healthy/p1/anat/raw")), SAME),
    ),
    (
        "folder",
        "sessions",
        (
            several(
                copied("healthy/p1/flair.nii.gz", "healthy/p1/ses-2/flair.nii.gz"),
                copied("healthy/p2/flair.nii.gz", "healthy/p2/ses-2/flair.nii.gz"),
            ),
            SAME,
        ),
    ),
    (
        "folder",
        "one patient in both classes",
        (fallen_ill, Outcome(labels={(1, z): 1 for z in range(3, 6)})),
    ),
    ("masked-folder", "as it is", (lambda folder: None, SAME)),
    *values_of("masked-folder", "*_seg.nii.gz"),
    ("masked-folder", "masks in upper case", (renamed("*_seg.nii.gz", str.upper), SAME)),
    ("masked-folder", "an empty mask", (empty("abnormal/p5/flair_seg.nii.gz"), unknown(5))),
    (
        "masked-folder",
        "masks apart",
        (
            several(
                *(
                    lambda folder, one=one: (
                        (folder / "masks" / f"p{one}").mkdir(parents=True),
                        (folder / f"abnormal/p{one}/flair_seg.nii.gz").rename(
                            folder / "masks" / f"p{one}" / "flair.nii.gz"
                        ),
                    )
                    for one in (5, 6)
                )
            ),
            SAME,
        ),
    ),
    (
        "masked-folder",
        "a mask of none among scans of several",
        (
            several(
                without("abnormal/p5", "abnormal/p6"),
                lambda folder: scan_in(folder, "abnormal/p5/images/a5.nii.gz", 5),
                lambda folder: nifti(folder / "abnormal/p5/images/a6_seg.nii.gz", marked_lesions(DEPTH)),
            ),
            Outcome(gone={6}, labels={(5, z): 1 for z in range(DEPTH)}),
        ),
    ),
    ("pictures", "as it is", (lambda folder: None, SAME)),
    ("pictures", "upper case", (renamed("*.png", str.upper), SAME)),
    ("pictures", "masks that are empty", (empty_pictures(*(f"yes/p5/{z}_mask.png" for z in range(DEPTH))), SAME)),
    ("mvtec", "as it is", (lambda folder: None, SAME)),
    ("mvtec", "upper case", (renamed("*.png", str.upper), Outcome(refused="patient_pattern"))),
    (
        "mvtec",
        "masks that are empty",
        (empty_pictures(*(f"ground_truth/spot/p5_{z}_mask.png" for z in range(DEPTH))), SAME),
    ),
    ("mvtec", "no masks", (without("ground_truth"), SAME)),
    (
        "mvtec",
        "a patient in two splits",
        (copied("train/good/p1_0.png", "test/good/p1_0.png"), Outcome(refused="more than one split")),
    ),
    ("arrays", "as it is", (lambda folder: None, SAME)),
    (
        "arrays",
        "masks of 255 in int8",
        (in_arrays(lambda c: c.update(lesions=(255 * c["lesions"]).view(np.int8))), SAME),
    ),
    ("arrays", "labels that the masks contradict", (in_arrays(lambda c: c["labels"].fill(0)), SAME)),
    ("arrays", "empty masks", (in_arrays(lambda c: c["lesions"].fill(0)), SAME)),
    (
        "arrays",
        "masks of another shape",
        (in_arrays(lambda c: c.update(lesions=c["lesions"][:, 1:])), Outcome(refused="shape")),
    ),
    (
        "arrays",
        "negative masks",
        (in_arrays(lambda c: c.update(lesions=-3 * c["lesions"].astype(np.int16))), Outcome(refused="negative")),
    ),
    ("arrays", "labels of none", (in_arrays(lambda c: c["labels"].fill(3)), Outcome(refused="must be 0"))),
    (
        "arrays",
        "a patient in two splits",
        (
            in_arrays(lambda c: c.update(splits=np.array(["train", "test", "test"] * 6))),
            Outcome(refused="more than one split"),
        ),
    ),
    ("arrays", "upper case", (renamed("x.npz", lambda _: "x.NPZ"), SAME)),
    ("arrays", "two files of one stem", (copied("x.npz", "x.NPZ"), Outcome(refused="the same name"))),
    ("medmnist", "as it is", (lambda folder: None, SAME)),
    ("medmnist", "upper case", (renamed("x.npz", lambda _: "x.NPZ"), SAME)),
    ("medmnist", "two files of one stem", (copied("x.npz", "x.NPZ"), Outcome(refused="the same name"))),
    (
        "medmnist",
        "labels in a row",
        (in_medmnist(lambda c: c.update({k: v.ravel() for k, v in c.items() if "labels" in k})), SAME),
    ),
    (
        "medmnist",
        "labels of 255 in int8",
        (
            in_medmnist(
                lambda c: c.update(
                    {k: (np.uint8(255) * v.astype(np.uint8)).view(np.int8) for k, v in c.items() if "labels" in k}
                )
            ),
            SAME,
        ),
    ),
    (
        "medmnist",
        "a label too few",
        (in_medmnist(lambda c: c.update(train_labels=c["train_labels"][1:])), Outcome(refused="where there are")),
    ),
    ("bmad", "as it is", (lambda folder: None, SAME)),
    ("bmad", "upper case", (renamed("*.png", str.upper), SAME)),
    ("bmad", "unpacked too deep", (nested, SAME)),
    (
        "bmad",
        "masks that are empty",
        (empty_pictures(*(f"test/Ungood/label/00005_{z}.png" for z in range(DEPTH))), SAME),
    ),
    (
        "bmad",
        "masks of odd names",
        (
            lambda folder: [
                p.rename(p.with_name("odd" + p.name)) for p in sorted((folder / "test/Ungood/label").iterdir())
            ],
            SAME,
        ),
    ),
    (
        "bmad",
        "masks beside the pictures",
        (
            lambda folder: [
                shutil.copy(p, p.parents[1] / "img" / f"{p.stem}_mask.png")
                for p in sorted((folder / "test/Ungood/label").iterdir())
            ],
            SAME,
        ),
    ),
    (
        "bmad",
        "masks beside healthy pictures",
        (
            lambda folder: [
                write_picture(p.with_name(f"{p.stem}_mask.png"), np.full((16, 16), 255))
                for p in sorted((folder / "train/good").iterdir())
            ],
            SAME,
        ),
    ),
    (
        "bmad",
        "two masks of one stem",
        (
            copied("test/Ungood/label/00005_0.png", "test/Ungood/label/00005_0.bmp"),
            Outcome(refused="two masks of one name"),
        ),
    ),
    (
        "bmad",
        "a patient in two splits",
        (copied("train/good/00001_0.png", "test/good/img/00001_9.png"), Outcome(refused="more than one split")),
    ),
    ("medianomaly", "as it is", (lambda folder: None, SAME)),
    ("medianomaly", "unpacked too deep", (nested, SAME)),
    ("medianomaly", "upper case suffixes", (renamed("*.png", lambda name: name.replace(".png", ".PNG")), SAME)),
    (
        "medianomaly",
        "masks that are empty",
        (empty_pictures(*(f"test/annotation/BraTS2021_00005_seg_{z}.png" for z in range(DEPTH))), SAME),
    ),
    (
        "medianomaly",
        "masks to train on",
        (copied("test/annotation", "train/annotation"), Outcome(refused="holds masks")),
    ),
    ("medianomaly-json", "as it is", (lambda folder: None, SAME)),
    (
        "medianomaly-json",
        "a list that contradicts",
        (replaced("data.json", '"p1_0.png"', '"p1_0.png", "p5_0.png"'), Outcome(refused="twice")),
    ),
    (
        "medianomaly-json",
        "a picture that is not there",
        (without("images/p4_0.png", "images/p4_1.png", "images/p4_2.png"), Outcome(skipped="missing", gone={4})),
    ),
    ("covid", "as it is", (lambda folder: None, SAME)),
    ("covid", "unpacked too deep", (nested, SAME)),
    ("covid", "upper case suffixes", (renamed("*.png", lambda name: name.replace(".png", ".PNG")), SAME)),
    ("covid", "folders in other letters", (lambda folder: (folder / "Normal").rename(folder / "NORMAL"), SAME)),
    (
        "covid",
        "masks beside the pictures",
        (
            lambda folder: [
                shutil.copy(p, p.parents[1] / "images" / f"{p.stem}_mask.png")
                for p in sorted((folder / "Normal/masks").iterdir())
            ],
            SAME,
        ),
    ),
    ("covid", "a folder of masks", (copied("Normal/masks", "masks"), SAME)),
]


def scan_in(folder: Path, name: str, patient: int) -> None:
    nifti(folder / name, marked_scan(patient, DEPTH, SOME_ILL[patient]).astype(np.int16))


@pytest.mark.parametrize(("name", "fault", "how"), FAULTS, ids=[f"{name}: {fault}" for name, fault, _ in FAULTS])
def test_each_slice_is_what_it_is(name, fault, how, sound, tmp_path):
    tree, (change, outcome) = TREES[name], how
    folder = tmp_path / "tree"
    shutil.copytree(sound(tree), folder)
    change(folder)
    if outcome.refused:
        with pytest.raises(UserError, match=outcome.refused) as refused:
            prepared(tree, folder)
        assert "\n" not in str(refused.value)
        return
    store = prepared(tree, folder)
    compare(tree, folder, store, outcome)
    told = (store / "prepare.json").read_text()
    if outcome.skipped:
        assert outcome.skipped in told
    else:
        assert '"skipped": []' in told

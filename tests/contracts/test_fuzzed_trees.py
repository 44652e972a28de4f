"""Folder trees as hypothesis draws them: whatever lies in them, no lesion trains and no patient is in two splits."""

import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from anomae.errors import UserError
from anomae.slices.contract import MARKED_SIDE, Mark, check_marked_store, marked_lesions, marked_scan, marked_slice
from anomae.slices.settings import PrepareSettings
from anomae.stages.prepare import prepare

from .role_trees import nifti

PLAIN = PrepareSettings(image_size=MARKED_SIDE, intensity="none")
CHEAP = settings(
    max_examples=15, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow], database=None
)

endings = st.sampled_from(["_seg", "-seg", "_mask", "_label", "_gt", "-Mask", ".seg", "_SEG", "_odd", "", "_lesion"])
mask_folders = st.sampled_from(["", "", "masks/", "Labels/", "gt/", "Annotation/", "others/"])
nests = st.sampled_from(["", "anat/", "ses-{visit}/", "ses-{visit}/anat/", "images/", "raw.v2/"])
stems = st.sampled_from(["flair", "t1", "scan.{visit}", "Image_{visit}", "{person}", "{person}-{visit}", "0{visit}"])
persons = st.sampled_from(["p{}", "P-{}", "sub-{}", "case {}", "{}.x"])
volume_suffixes = st.sampled_from([".nii", ".nii.gz", ".NII", ".NII.GZ"])
picture_suffixes = st.sampled_from([".png", ".PNG", ".bmp", ".tif", ".TIFF"])


@st.composite
def trees(draw, suffixes):
    """Files of a tree as (path, patient, lesion slices, mask path or ""), the patients in folders of their own."""
    person, deep = draw(persons), draw(nests)
    healthy = draw(st.integers(2, 4))
    classes = draw(st.sampled_from([("healthy", "abnormal"), ("NORMAL", "Diseased"), ("good", "bad")]))
    files = []
    for patient in range(healthy + draw(st.integers(1, 3))):
        ill = patient >= healthy
        for visit in range(draw(st.integers(1, 2))):
            words = {"person": person.format(patient), "visit": visit + 1}
            stem, suffix = draw(stems).format(**words), draw(suffixes)
            home = f"{classes[ill]}/{words['person']}/{deep.format(**words)}"
            masked, folder, ending = draw(st.booleans()), draw(mask_folders), draw(endings)
            mask = f"{home}{folder}{stem}{ending}{draw(suffixes)}"
            if ending in ("", "_odd") and folder in ("", "others/"):
                mask = ""  # nothing tells it from a scan
            files.append((f"{home}{stem}{suffix}", patient, ill, mask if masked and ill else ""))
    return files


def check(cohort: str, source: Path, **options: object) -> bool:
    """Whether it was prepared; otherwise it was refused, in one sentence."""
    store = source.with_name("store")
    refused = None
    try:
        prepare(cohort, source, store, settings=PLAIN, options=options, workers=0)
    except UserError as error:
        refused = str(error)
    if refused is None:
        assert check_marked_store(store)
        return True
    assert "\n" not in refused
    return False


def try_trees(trees: st.SearchStrategy, attempt: Callable[[list], bool]) -> None:
    """attempt: lays a tree out and says whether it was prepared; most are, or little would be tried."""
    outcomes: list[bool] = []

    @CHEAP
    @given(trees)
    def each_tree_is_safe(files):
        outcomes.append(attempt(files))

    each_tree_is_safe()
    assert 2 * sum(outcomes) >= len(outcomes) > 0


def scans_prepared(files) -> bool:
    with tempfile.TemporaryDirectory() as made:
        source = Path(made) / "tree"
        for path, patient, ill, mask in files:
            lesions = [1] if mask else [0, 1, 2] if ill else []
            if (source / path).exists():
                continue
            nifti(source / path, marked_scan(patient, 3, lesions).astype(np.int16))
            if mask:
                nifti(source / mask, marked_lesions(3, lesions))
        return check("folder", source)


def test_no_tree_of_scans_trains_on_a_lesion():
    try_trees(trees(volume_suffixes), scans_prepared)


def draw_picture(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def pictures_prepared(files) -> bool:
    with tempfile.TemporaryDirectory() as made:
        source = Path(made) / "tree"
        for path, patient, ill, mask in files:
            draw_picture(source / path, marked_slice(Mark(patient, len(path) % 11, ill)))
            if mask:
                draw_picture(source / mask, 255 * marked_lesions(1, [0])[0])
        return check("folder", source)


def test_no_tree_of_pictures_trains_on_a_lesion():
    try_trees(trees(picture_suffixes), pictures_prepared)


CLASSES = {
    "bmad": ("train/good/", "test/good/img/", "test/Ungood/img/", ("test/Ungood/label/", "test/Ungood/img/", "")),
    "medianomaly": ("train/", "test/normal/", "test/tumor/", ("test/annotation/", "test/tumor/", "test/Mask/")),
    "covid-radiography": ("Normal/images/", "Normal/", "COVID/images/", ("COVID/masks/", "COVID/images/", "masks/")),
}


@st.composite
def benchmarks(draw, cohort):
    """Pictures as (path, patient, number, lesion, mask path or "")."""
    train, good, bad, masks = CLASSES[cohort]
    files = []
    style = draw(st.sampled_from(["p{p}_{n}", "P{p}-flair-{n}", "{p:05d}_{n}", "p{p}_Scan.{n}"]))
    for patient in range(draw(st.integers(4, 6))):
        ill = patient % 3 == 2
        home = bad if ill else (train, good)[patient % 2]
        for number in range(2):
            name, suffix = style.format(p=patient, n=number), draw(picture_suffixes)
            mask = draw(st.sampled_from(masks)) if ill else ""
            ending = draw(st.sampled_from(["_mask", "_seg", "-gt", "_label"])) if "img" in mask or mask == bad else ""
            where = f"{mask}{name}{ending}{draw(picture_suffixes)}" if mask else ""
            files.append((f"{home}{name}{suffix}", patient, number, ill, where))
    return files


def benchmark_prepared(cohort, files) -> bool:
    with tempfile.TemporaryDirectory() as made:
        source = Path(made) / "tree"
        for path, patient, number, ill, mask in files:
            draw_picture(source / path, marked_slice(Mark(patient, number, ill)))
            if mask:
                draw_picture(source / mask, 255 * marked_lesions(1, [0])[0])
        return check(cohort, source, patient_pattern=r"[pP/](\d+)[_-]")


@pytest.mark.parametrize("cohort", CLASSES)
def test_no_tree_of_a_benchmark_trains_on_a_lesion(cohort):
    try_trees(benchmarks(cohort), partial(benchmark_prepared, cohort))

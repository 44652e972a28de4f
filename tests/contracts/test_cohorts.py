"""What every cohort keeps to, shown on its own made-up data set."""

import pickle
import shutil
from dataclasses import dataclass, field
from typing import get_args

import numpy as np
import pytest

from anomae.cohorts.case import ABNORMAL, HEALTHY, SPLITS, UNKNOWN, CaseSlices, Order
from anomae.cohorts.case import Kind as Kinds
from anomae.cohorts.describe import describe_cohort
from anomae.cohorts.registry import COHORTS, cohort_options, open_cohort
from anomae.detectors.mae_classifier.recipes import RECIPES
from anomae.errors import UnreadableScan, UserError
from anomae.phantoms.layouts import SLICE_CHANNELS, write_phantom_data_set
from anomae.slices.settings import PrepareSettings


@dataclass(frozen=True)
class Kind:
    cohort: str
    layout: str
    options: dict = field(default_factory=dict)
    file_format: str | None = None
    place: str = ""

    def __str__(self):
        return "-".join(filter(None, (self.cohort, self.layout, self.file_format)))


KINDS = [
    Kind("brats", "brats2019"),
    Kind("brats", "brats2021", {"modality": "flair,t1ce"}),
    Kind("brats", "brats2023", {"modality": "t1c"}, "nii"),
    Kind("lgg", "lgg-tiffs"),
    Kind("lgg", "lgg-tiffs", {"modality": "pre,flair,post"}),
    Kind("bmad", "bmad"),
    Kind("medianomaly", "medianomaly"),
    Kind("medmnist", "medmnist", {"healthy": "0"}),
    Kind("covid-radiography", "covid-radiography"),
    Kind("covid-radiography", "covid-radiography", {"near_duplicates": True, "colour": True}),
    Kind("brats2020", "brats2020"),
    Kind("brats2020", "brats2020", {"modality": "flair"}, "nii"),
    Kind("brats2020", "brats2020-slices", {"channels": ",".join(SLICE_CHANNELS)}),
    Kind("luna16", "luna16", {"patch_side": 24, "patch_spacing_mm": 2.0}),
    Kind("lgg", "lgg"),
    Kind("lgg", "lgg", {"modality": "t1"}),
    Kind("lgg", "lgg", {"modality": "t1,flair"}),
    Kind("brats2020", "brats2020", {"modality": "flair,t1,t1ce,t2"}),
    Kind("brats2020", "brats2020-slices", {"channels": ",".join(SLICE_CHANNELS), "modality": "flair,t1"}),
    Kind("folder", "folder", {"colour": True}, "png"),
    Kind("folder", "mvtec", {"near_duplicates": True, "colour": True}),
    Kind("phantom", "brats2020", {"modality": "t2,t1"}),
    Kind("folder", "folder", {}, "png"),
    Kind("folder", "folder", {}, "nii.gz"),
    Kind("folder", "folder", {}, "dicom"),
    Kind("folder", "mvtec", {"patient_pattern": r"p(\d+)_s"}),
    Kind("folder", "mvtec", {"near_duplicates": True}),
    Kind("arrays", "arrays", {}, None, "slices.npz"),
    Kind("phantom", "lgg"),
    Kind("phantom", "brats2020-slices"),
    Kind("phantom", "heads"),
]


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Layout and format -> folder, each written once."""
    folders = {}

    def write(kind):
        key = (kind.layout, kind.file_format)
        if key not in folders:
            folders[key] = tmp_path_factory.mktemp("cohort")
            shape = (16, 40, 40) if kind.layout == "luna16" else (12, 24, 24)
            write_phantom_data_set(
                folders[key], kind.layout, count=6, seed=3, shape=shape, file_format=kind.file_format
            )
        return folders[key]

    return write


@pytest.fixture(params=KINDS, ids=str)
def kind(request):
    return request.param


@pytest.fixture
def opened(kind, written):
    if kind.layout == "heads":
        return open_cohort("phantom", "heads:4", size="12x24x24")
    return open_cohort(kind.cohort, written(kind) / kind.place, **kind.options)


def test_every_cohort_is_tested_here():
    assert {kind.cohort for kind in KINDS} == set(COHORTS)


def test_cases_are_unique_and_in_a_fixed_order(opened, kind):
    cases = list(opened.cases())
    assert opened.name == kind.cohort
    assert len({case.case for case in cases}) == len(cases) > 0
    assert cases == list(opened.cases())
    for case in cases:
        assert case.patient
        assert case.split in ("", *SPLITS)
        assert case.label in (HEALTHY, ABNORMAL, UNKNOWN)
        assert case.lesion is None or case.lesion.is_file()


def test_what_stages_need_to_know_of_it_is_said(opened, kind):
    """By the class before anything is opened, and by the opened cohort, which may know better."""
    told = COHORTS[kind.cohort]
    assert told.name == kind.cohort
    for each in (told, opened):
        assert each.kind in get_args(Kinds)
        assert each.order in get_args(Order)
        assert each.channel_names
    assert opened.recipe == told.recipe
    assert told.recipe in RECIPES
    assert told.accepts_rows == ("rows" in cohort_options(kind.cohort))
    assert bool(told.modalities) == ("modality" in cohort_options(kind.cohort))
    PrepareSettings.model_validate(dict(told.preparation))


def test_slices_labels_and_lesions_agree(opened):
    labels = set()
    for case in opened.cases():
        found = opened.read(case)
        check_slices(found)
        assert found.channels == len(opened.channel_names)
        if case.label != UNKNOWN and found.lesions is None:
            assert (found.labels == case.label).all()
        labels.update(found.labels.tolist())
    assert labels == {HEALTHY, ABNORMAL}


def check_slices(found: CaseSlices):
    count = len(found.images)
    assert found.images.ndim == 4
    assert count > 0
    assert found.images.dtype.kind in "iuf"
    assert found.slices.shape == found.labels.shape == found.positions_mm.shape == (count,)
    assert (found.slices.dtype, found.labels.dtype) == (np.int64, np.int8)
    assert found.positions_mm.dtype == np.float64
    assert (np.diff(found.slices) > 0).all()
    assert min(found.spacing_mm) > 0
    if found.lesions is not None:
        assert found.lesions.shape == found.images[:, 0].shape
        assert found.lesions.dtype == np.bool_
        np.testing.assert_array_equal(found.lesions.any(axis=(1, 2)), found.labels == ABNORMAL)
    if found.grid is not None:
        assert sorted(found.grid.shape) == sorted(found.images[:, 0].shape)
        assert (np.diff(found.positions_mm) > 0).all()
    for more in (found.patients, found.splits):
        assert more is None or more.shape == (count,)


def test_reading_again_and_elsewhere_gives_the_same(opened):
    case = opened.cases()[-1]
    once, elsewhere = opened.read(case), pickle.loads(pickle.dumps(opened)).read(pickle.loads(pickle.dumps(case)))
    for name in ("images", "slices", "labels", "positions_mm"):
        np.testing.assert_array_equal(getattr(once, name), getattr(elsewhere, name))
    assert (once.grid, once.spacing_mm, once.notes) == (elsewhere.grid, elsewhere.spacing_mm, elsewhere.notes)


def test_it_is_small_enough_to_be_sent_with_every_case(opened):
    opened.cases()
    assert len(pickle.dumps(opened)) < 4000


def test_a_broken_file_is_refused_and_the_others_are_read(kind, written, tmp_path):
    if kind.layout == "heads":
        pytest.skip("made-up heads stand on no disk")
    shutil.copytree(written(kind), tmp_path / "broken")
    cohort = open_cohort(kind.cohort, tmp_path / "broken" / kind.place, **kind.options)
    first, *others = cohort.cases()
    broken = [first.source]
    if first.source.is_dir():
        several = sorted(first.source.iterdir())
        broken = [path for path in several if path.suffix == ".dcm" or path.name.startswith(f"{first.case}_")]
    whole = [path.read_bytes() for path in broken]
    for damaged in ([content[: len(content) // 2] for content in whole], [b""] * 99, [b"not a scan" * 100] * 99):
        for path, content in zip(broken, damaged, strict=False):
            path.write_bytes(content)
        with pytest.raises(UnreadableScan) as refused:
            cohort.read(first)
        assert "\n" not in str(refused.value)
    for path in broken:
        path.unlink()
    with pytest.raises(UnreadableScan):
        cohort.read(first)
    for case in others[:1]:
        check_slices(cohort.read(case))


def test_what_it_holds_can_be_said_in_numbers_that_name_no_patient(opened):
    cases = opened.cases()
    told = describe_cohort(opened)
    assert told["cases"] == len(cases) == sum(told["labels"].values()) == sum(told["splits"].values())
    assert told["patients"] == len({case.patient for case in cases})
    assert not any(case.patient in note for case in cases for note in told["notes"])


@pytest.mark.parametrize("name", COHORTS)
def test_a_source_that_is_none_gets_one_sentence(name, tmp_path):
    with pytest.raises(UserError, match=r"does not exist; expected") as refused:
        open_cohort(name, tmp_path / "nowhere").cases()
    assert "\n" not in str(refused.value)
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError):
        open_cohort(name, tmp_path / "empty").cases()

import numpy as np
import pytest
from PIL import Image

from anomae.cohorts.lgg import Lgg
from anomae.cohorts.lgg_tiffs import NO_SPACING
from anomae.errors import UnreadableScan, UserError
from anomae.phantoms.layouts import write_phantom_data_set
from anomae.slices.settings import PrepareSettings
from anomae.stages.prepare import prepare


@pytest.fixture
def written(tmp_path):
    write_phantom_data_set(tmp_path / "archive" / "kaggle_3m", "lgg-tiffs", count=2, seed=1, shape=(12, 20, 18))
    return tmp_path / "archive"


def test_slices_patients_and_colours(written):
    every = Lgg(written, "pre,flair,post")
    assert every.channel_names == ("t1", "flair", "t1ce")
    case = every.cases()[0]
    found = every.read(case)
    assert (case.patient, case.site) == (case.source.name, case.patient.split("_")[1])
    assert found.slices.tolist() == list(range(1, 13))
    for row, number in enumerate(found.slices):
        picture = np.asarray(Image.open(case.source / f"{case.case}_{number}.tif"))
        np.testing.assert_array_equal(found.images[row], picture.transpose(2, 0, 1))
        assert found.labels[row] == np.asarray(Image.open(case.source / f"{case.case}_{number}_mask.tif")).any()
    for index, names in enumerate((("t1", "pre", "red"), ("flair", "green", "FLAIR"), ("t1ce", "post", "blue"))):
        for name in names:
            np.testing.assert_array_equal(Lgg(written, name).read(case).images[:, 0], found.images[:, index])


def test_a_sequence_that_repeats_flair_is_refused(written):
    case = Lgg(written).cases()[0]
    for path in sorted(case.source.glob("*.tif")):
        if "mask" not in path.name:
            picture = np.array(Image.open(path))
            picture[..., 2] = picture[..., 1]
            Image.fromarray(picture).save(path)
    with pytest.raises(UnreadableScan, match=r"has no t1ce: its files repeat FLAIR"):
        Lgg(written, "t1ce").read(case)
    Lgg(written, "flair").read(case)
    Lgg(written, "t1").read(case)


def test_masks_that_are_missing_or_grey_are_refused_and_gaps_are_said(written):
    cohort = Lgg(written)
    first, second = cohort.cases()
    mask = first.source / f"{first.case}_5_mask.tif"
    values = np.arange(20 * 18, dtype=np.uint8).reshape(20, 18)
    Image.fromarray(values).save(mask)
    with pytest.raises(UnreadableScan, match="a mask has 0 and one other value"):
        cohort.read(first)
    mask.unlink()
    with pytest.raises(UnreadableScan, match="without a mask"):
        cohort.read(first)
    (second.source / f"{second.case}_5.tif").unlink()
    assert cohort.read(second).notes == ("1 slices between the first and the last are missing",)


def test_an_unknown_sequence_is_refused(written):
    with pytest.raises(UserError, match=r"no modality 't2'"):
        Lgg(written, "t2")


def test_a_brain_is_prepared_although_the_pictures_tell_no_spacing(written, tmp_path):
    """With a skull-stripped look (nonzero), so that no network is needed."""
    settings = PrepareSettings(image_size=32, preparation="brain", brain_mask="nonzero")
    store = prepare("lgg", written, tmp_path / "store", settings=settings, options={"modality": "flair"}, workers=0)
    assert NO_SPACING in store.prepared["notes"]
    assert store.has_bodies
    assert store.bodies(np.arange(len(store.index))).any()
    assert not store.prepared["skipped"]

"""A prepared case depends on its own scan and the settings alone, and says what was done to it."""

from dataclasses import replace

import numpy as np
import pytest

from anomae.errors import UnreadableScan
from anomae.slices.preparing import prepare_case
from anomae.slices.settings import settings_from


def test_it_has_the_size_and_scale_that_were_asked_for(make_case, small):
    case = make_case()
    prepared = prepare_case(case, small)
    assert prepared.images.shape == (6, 1, 16, 12)
    assert prepared.images.dtype == np.float32
    assert prepared.lesions.shape == (6, 16, 12)
    assert prepared.kept.tolist() == list(range(6))
    assert prepared.images.min() == 0
    assert 0.8 < prepared.images.max() <= 1
    np.testing.assert_array_equal(prepared.lesions.any(axis=(1, 2)), case.lesions.any(axis=(1, 2)))
    np.testing.assert_array_equal(prepared.lesion_fraction > 0, case.labels == 1)


def test_empty_slices_are_kept_and_marked(make_case, small):
    prepared = prepare_case(make_case(), small)
    assert prepared.empty.tolist() == [True, False, False, False, False, False]
    assert (prepared.body_fraction == 0).tolist() == prepared.empty.tolist()


def test_body_fraction_is_a_share_of_the_prepared_image(make_case):
    case = make_case(shape=(20, 40))
    body = (12 * 32) / (20 * 40)
    assert prepare_case(case, settings_from({"image_size": (16, 32)})).body_fraction[1] == pytest.approx(body)
    padded = prepare_case(case, settings_from({"image_size": (32, 32)})).body_fraction[1]
    assert padded == pytest.approx(body / 2)


def test_a_slice_does_not_depend_on_which_others_are_wanted(make_case, small):
    case = make_case()
    whole = prepare_case(case, small)
    for place in range(6):
        alone = prepare_case(case, small, np.arange(6) == place)
        assert alone.kept.tolist() == [place]
        np.testing.assert_array_equal(alone.images[0], whole.images[place])
        np.testing.assert_array_equal(alone.lesions[0], whole.lesions[place])
        assert alone.body_fraction[0] == whole.body_fraction[place]


@pytest.mark.parametrize("intensity", ["percentile", "hu/100", "none"])
def test_it_is_rounded_as_a_store_rounds_it(make_case, intensity):
    settings = settings_from({"image_size": 16, "intensity": intensity})
    images = prepare_case(make_case(), settings).images
    np.testing.assert_array_equal(images, images.astype(settings.stored_as))


def test_what_it_is_given_is_left_as_it_is(make_case, small):
    case = make_case(kind=np.float32)
    case.images[2, 0, 3, 3] = np.nan
    before = case.images.copy()
    prepare_case(case, small)
    np.testing.assert_array_equal(case.images, before)


def test_turned_views_are_read_as_well_as_arrays_of_their_own(make_case, small):
    case = make_case()
    turned = np.asfortranarray(case.images[::-1].transpose(0, 1, 3, 2)).transpose(0, 1, 3, 2)[::-1]
    assert not turned.flags["C_CONTIGUOUS"]
    np.testing.assert_array_equal(
        prepare_case(replace(case, images=turned), small).images, prepare_case(case, small).images
    )


def test_without_masks_no_lesion_fraction_is_known(make_case, small):
    prepared = prepare_case(make_case(lesions=False), small)
    assert prepared.lesions is None
    assert np.isnan(prepared.lesion_fraction).all()


def test_the_spacing_is_that_of_a_prepared_pixel(make_case):
    case = make_case(shape=(20, 40))
    prepared = prepare_case(case, settings_from({"image_size": (32, 32)}))
    assert prepared.spacing_mm == (1.5 * 20 / 16, 1.0 * 40 / 32)


def test_voxels_that_are_no_numbers_are_mended_and_said(make_case, small):
    case = make_case(kind=np.float64, notes=("read with a note",))
    case.images[2, 0, 0, :3] = [np.nan, np.inf, -np.inf]
    prepared = prepare_case(case, small)
    assert np.isfinite(prepared.images).all()
    assert prepared.notes[0] == "read with a note"
    assert prepared.notes[1].startswith("3 voxels")
    assert prepare_case(make_case(), small).notes == ()


@pytest.mark.parametrize("images", [np.full((6, 20, 24), np.nan), np.zeros((6, 0, 24)), np.zeros((6, 20, 24), complex)])
def test_what_cannot_be_prepared_is_refused(make_case, small, images):
    with pytest.raises(UnreadableScan) as refused:
        prepare_case(make_case(images=images, lesions=False), small)
    assert "\n" not in str(refused.value)


def test_values_too_large_for_the_store_are_refused_not_made_infinite(make_case):
    case = make_case(images=np.full((6, 20, 24), 1e5), lesions=False)
    with pytest.raises(UnreadableScan, match="store_type=float32"):
        prepare_case(case, settings_from({"image_size": 16, "intensity": "none", "store_type": "float16"}))
    assert prepare_case(case, settings_from({"image_size": 16, "intensity": "none"})).images.max() == 1e5


def test_a_case_without_slices_has_none(make_case, small):
    none = np.empty(0)
    case = make_case(images=np.zeros((0, 20, 24)), lesions=False, labels=none, slices=none, positions_mm=none)
    prepared = prepare_case(case, small)
    assert prepared.images.shape == (0, 1, 16, 12)
    assert len(prepared.empty) == len(prepared.body_fraction) == 0


def filled(count, share=0.5):
    """Slices of which `share` is bright, the highest value in the first."""
    images = np.zeros((count, 20, 20), np.int16)
    images[:, : round(20 * share)] = 100
    images[0, 0, 0] = 1000
    return images


@pytest.mark.parametrize(("count", "kept"), [(11, [4, 5, 6, 7, 8]), (101, list(range(35, 81))), (2, []), (1, [0])])
def test_the_middle_is_a_range_of_positions(make_case, count, kept):
    case = make_case(images=filled(count), slices=np.arange(count), labels=np.zeros(count, np.int8), lesions=False)
    assert prepare_case(case, settings_from({"image_size": 16, "slices": "mid"})).kept.tolist() == kept


def test_slices_with_little_in_them_are_not_of_the_middle(make_case):
    images = filled(11)
    images[0, 0] = 1000  # a row of them: one alone would be an outlier
    images[4] = 0
    images[5, :, 3:] = 0  # 15 % is not more than 15 %
    images[6] = np.where(images[6] > 0, 80, 0)  # 0.08 of the maximum is not above it
    case = make_case(images=images, slices=np.arange(11), labels=np.zeros(11, np.int8), lesions=False)
    settings = settings_from({"image_size": 16, "slices": "mid"})
    images[5, :10, :6] = 100
    images[5, 10:] = 0
    assert (images[5] > 80).mean() == 0.15
    assert prepare_case(case, settings).kept.tolist() == [7, 8]
    assert prepare_case(case, settings, np.arange(11) != 7).kept.tolist() == [8]

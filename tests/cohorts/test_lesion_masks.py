"""What in a mask is lesion, whatever numbers say so."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from anomae.cohorts.lesion_masks import (
    BLURRED,
    COLOURED,
    DRAWN,
    NONE_OF_THEM,
    NUMBERED,
    SEVERAL,
    SIGNED,
    MaskValues,
    lesions_of,
    read_mask,
)
from anomae.errors import UnreadableScan
from anomae.volumes.volume import Grid, Volume

TRUTH = arrays(np.bool_, (3, 4, 5))


def mask_of(voxels, path=Path("x.nii")):
    return Volume(voxels, Grid(voxels.shape), path, "nifti")


@given(TRUTH, st.sampled_from("bBhHiIqfd"), st.sampled_from([1, 2, 100]))
def test_two_values_of_any_type_are_the_truth(truth, kind, value):
    found = lesions_of(mask_of((truth * value).astype(kind)), MaskValues())
    np.testing.assert_array_equal(found.lesion, truth)
    assert found.unsure is None
    assert found.notes == ()


@given(TRUTH, st.sampled_from([np.int8, np.int16, np.float32]))
def test_255_in_a_signed_type_is_lesion(truth, kind):
    found = lesions_of(mask_of(-truth.astype(kind)), MaskValues())
    np.testing.assert_array_equal(found.lesion, truth)
    assert found.notes == ((SIGNED,) if truth.any() else ())


@given(TRUTH, st.floats(0.76, 1.2), st.floats(0, 0.2))
def test_a_resampled_mask_is_cut_at_half(truth, top, ringing):
    voxels = np.where(truth, top, ringing).astype(np.float32)
    np.testing.assert_array_equal(lesions_of(mask_of(voxels), MaskValues()).lesion, truth)


def test_what_is_faint_is_neither():
    voxels = np.zeros((2, 4, 4), np.float32)
    voxels[0, 0, 0], voxels[1, 0, 0] = 0.9, 0.4
    found = lesions_of(mask_of(voxels), MaskValues())
    assert BLURRED in found.notes
    assert (found.lesion.any((1, 2)).tolist(), found.unsure.any((1, 2)).tolist()) == ([True, False], [False, True])


def test_labels_are_all_lesion_or_those_that_are_named():
    voxels = np.arange(4, dtype=np.uint8).reshape(4, 1, 1) * np.ones((1, 2, 2), np.uint8)
    every = lesions_of(mask_of(voxels), MaskValues())
    assert (every.lesion.any((1, 2)).tolist(), every.notes) == ([False, True, True, True], (SEVERAL,))
    chosen = lesions_of(mask_of(voxels), MaskValues((2,), (3,)))
    assert chosen.lesion.any((1, 2)).tolist() == [False, False, True, False]
    assert chosen.unsure.any((1, 2)).tolist() == [False, False, False, True]
    assert NONE_OF_THEM in lesions_of(mask_of(voxels), MaskValues((9,))).notes
    assert lesions_of(mask_of(voxels), MaskValues(), several_said=False).notes == ()


def test_values_of_no_mask_are_refused(tmp_path):
    with pytest.raises(UnreadableScan, match="negative values"):
        lesions_of(mask_of(np.array([[[-7, 0, 3]]], np.int16)), MaskValues())
    blurred = mask_of(np.array([[[0, 0.4, 0.9]]], np.float32), tmp_path / "x.nii")
    with pytest.raises(UnreadableScan, match="between its labels"):
        lesions_of(blurred, MaskValues((1,)))


@pytest.mark.parametrize("suffix", ["png", "jpg", "bmp", "tif"])
@pytest.mark.parametrize("colour", [(255, 255, 255), (255, 0, 0), (0, 200, 0)])
def test_pictures_of_masks_in_any_colour(suffix, colour, tmp_path):
    truth = np.zeros((16, 16), bool)
    truth[8:, 8:] = True
    path = tmp_path / f"x.{suffix}"
    Image.fromarray((truth[..., None] * np.array(colour)).astype(np.uint8)).save(path, quality=95)
    found = lesions_of(read_mask(path), MaskValues())
    np.testing.assert_array_equal(found.lesion[0], truth)
    assert (COLOURED in found.notes) == (colour != (255, 255, 255))


PALETTES = {
    "L": None,
    "VOC": [0, 0, 0, 128, 0, 0, 0, 128, 0, 128, 128, 128],
    "grey": [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3],
}


@pytest.mark.parametrize("palette", PALETTES)
@pytest.mark.parametrize("suffix", ["png", "tif", "bmp"])
@pytest.mark.parametrize("held", [(1,), (2,), (3,), (1, 2, 3)])
def test_labels_are_the_numbers_that_a_mask_stores_however_they_look(palette, suffix, held, tmp_path):
    """Colours of a palette are for the eye; also where a file holds but its greys."""
    numbers = np.zeros((9, 9), np.uint8)
    for at, number in enumerate(held):
        numbers[2 * at : 2 * at + 2, 3:6] = number
    picture = Image.fromarray(numbers)
    if PALETTES[palette]:
        picture.putpalette(PALETTES[palette])
    picture.save(tmp_path / f"x.{suffix}")
    values = MaskValues((1, 3), (2,))
    found = lesions_of(read_mask(tmp_path / f"x.{suffix}", values), values)
    np.testing.assert_array_equal(found.lesion[0], np.isin(numbers, (1, 3)))
    np.testing.assert_array_equal(found.ignored[0], numbers == 2)
    assert (NUMBERED in found.notes) == (palette == "VOC")


def test_numbers_far_apart_in_a_palette_are_labels(tmp_path):
    numbers = np.arange(21, dtype=np.uint8)[:, None] * np.ones((1, 9), np.uint8)
    numbers[20] = 255
    picture = Image.fromarray(numbers)
    picture.putpalette([(37 * entry) % 256 for entry in range(768)])
    picture.save(tmp_path / "x.png")
    values = MaskValues((), (255,))
    found = lesions_of(read_mask(tmp_path / "x.png", values), values)
    np.testing.assert_array_equal(found.lesion[0], (numbers > 0) & (numbers < 255))
    np.testing.assert_array_equal(found.ignored[0], numbers == 255)


@pytest.mark.parametrize("values", [MaskValues((1,)), MaskValues((), (2,))])
def test_labels_of_a_mask_in_colours_cannot_be_told(values, tmp_path):
    pixels = np.zeros((8, 8, 3), np.uint8)
    pixels[2:4, 2:4] = (128, 0, 0)
    Image.fromarray(pixels).save(tmp_path / "x.png")
    with pytest.raises(UnreadableScan, match=r"x\.png is in colours.*or leave both settings out"):
        read_mask(tmp_path / "x.png", values)
    assert COLOURED in read_mask(tmp_path / "x.png", MaskValues()).notes


def test_a_photograph_with_marks_on_it_is_no_mask(tmp_path):
    photograph = np.repeat(np.arange(256, dtype=np.uint8).reshape(16, 16, 1), 3, axis=-1)
    photograph[4:6, 4:6] = (255, 0, 0)
    Image.fromarray(photograph).save(tmp_path / "x.png")
    with pytest.raises(UnreadableScan, match="coloured marks"):
        read_mask(tmp_path / "x.png")


@pytest.mark.parametrize("grey", [0, 128, 255])
def test_a_mask_drawn_in_transparency_alone(grey, tmp_path):
    truth = np.zeros((6, 6), np.bool_)
    truth[2:4, 3:5] = True
    pixels = np.full((6, 6, 4), grey, np.uint8)
    pixels[..., 3] = 255 * truth
    Image.fromarray(pixels).save(tmp_path / "mask.png")
    found = lesions_of(read_mask(tmp_path / "mask.png"), MaskValues())
    np.testing.assert_array_equal(found.lesion[0], truth)
    assert found.notes == (DRAWN,)
    pixels[2, 3, :3] = 255 if grey < 255 else 0  # drawn in grey too: that counts
    Image.fromarray(pixels).save(tmp_path / "mask.png")
    assert DRAWN not in lesions_of(read_mask(tmp_path / "mask.png"), MaskValues()).notes


def test_no_number_where_nothing_is_wrong_is_refused(tmp_path):
    """As programs that mask by NaN save it: all of it would be lesion."""
    voxels = np.full((2, 4, 4), np.nan, np.float32)
    voxels[1, 1, 1] = 1
    np.save(tmp_path / "mask.npy", voxels)
    with pytest.raises(UnreadableScan, match=r"has no number .NaN. where nothing is wrong"):
        lesions_of(read_mask(tmp_path / "mask.npy"), MaskValues())
    voxels[0, 0, 0] = 0
    np.save(tmp_path / "mask.npy", voxels)
    assert lesions_of(read_mask(tmp_path / "mask.npy"), MaskValues()).lesion.sum() == 1


def test_no_mask_is_emptied_by_a_voxel_that_no_reader_mended():
    voxels = np.zeros((2, 4, 4), np.float32)
    voxels[0, 0, :2] = np.nan, 1
    with pytest.raises(UnreadableScan, match="no number"):
        lesions_of(Volume(voxels, Grid(voxels.shape), None, "array"), MaskValues())


def numbered(count, side=2, gap=1):
    """Lesions of side x side pixels, each with a number of its own, from slice 4 on; slices 0 to 3 hold none."""
    step = side + gap
    row = 48 // step
    voxels = np.zeros((4 + -(-count // row), step, 48), np.int64)
    for at in range(count):
        z, x = 4 + at // row, step * (at % row)
        voxels[z, :side, x : x + side] = at + 1
    return voxels


@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.int32, np.float32, np.float64])
@pytest.mark.parametrize("count", [65, 100, 250])
def test_lesions_numbered_one_by_one_are_lesions_however_many(kind, count):
    """More numbers than labels of a mask were taken for blurring, and the slices of the lower ones for healthy."""
    voxels = numbered(count)
    found = lesions_of(mask_of(voxels.astype(kind)), MaskValues())
    np.testing.assert_array_equal(found.lesion, voxels > 0)
    assert found.unsure is None
    assert found.notes == (SEVERAL,)
    chosen = lesions_of(mask_of(voxels.astype(kind)), MaskValues((3,)))
    np.testing.assert_array_equal(chosen.lesion, voxels == 3)


@given(st.integers(65, 255), st.integers(0, 9))
def test_where_numbers_cannot_be_told_from_blurring_no_such_slice_is_healthy(highest, seed):
    voxels = np.random.default_rng(seed).integers(0, highest + 1, (6, 12, 12))
    voxels[0] = 0
    for kind in (np.uint8, np.int16, np.float32):
        found = lesions_of(mask_of(voxels.astype(kind)), MaskValues())
        unsure = np.zeros_like(found.lesion) if found.unsure is None else found.unsure
        assert (found.lesion | unsure).any((1, 2)).tolist() == [False, True, True, True, True, True]


def test_numbers_that_were_resampled_are_in_doubt_and_what_was_two_values_is_not():
    voxels = numbered(100).astype(np.float32)
    found = lesions_of(mask_of((voxels + np.roll(voxels, 1, 2)) / 2), MaskValues())
    assert ((voxels > 0).any((1, 2)) == (found.lesion | found.unsure).any((1, 2))).all()
    two = np.zeros((3, 20, 20), np.float32)
    two[0, 4:16, 4:16], two[0, 3, 4:16], two[1, 4:16, 4:16] = 255, 100.4, 20.3  # ringing beside a lesion
    found = lesions_of(mask_of(two), MaskValues())
    assert found.lesion.any((1, 2)).tolist() == [True, False, False]
    assert not found.unsure[1:].any()

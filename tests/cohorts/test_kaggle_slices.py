"""Slice files of BraTS2020: which channel, which file, and what their masks may hold."""

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anomae.cohorts.brats_names import MODALITIES
from anomae.cohorts.case import UNKNOWN
from anomae.cohorts.hdf5_slice import read_slice_file
from anomae.cohorts.kaggle_slices import KaggleSlices, slice_files, slice_folder, told_channels
from anomae.cohorts.scan_slices import EMPTY_MASK
from anomae.errors import UnreadableScan, UserError


def write(path, mask, channels=4):
    with h5py.File(path, "w") as file:
        file["image"] = np.arange(4 * 6 * channels, dtype=np.float64).reshape(4, 6, channels)
        file["mask"] = mask
    return path


LESION = np.zeros((4, 6), np.uint8)
LESION[1:3, 2:4] = 1


@given(st.permutations(MODALITIES), st.lists(st.sampled_from(MODALITIES), min_size=1, unique=True))
def test_the_channels_are_those_of_the_names(order, wanted):
    found = told_channels(",".join(wanted), None, ", ".join(order).upper())
    assert [order[index] for index in found] == wanted


def test_a_channel_that_is_not_told_or_told_twice_is_refused():
    assert told_channels(None, 3, None) == (3,)
    for told, cause in (
        ((None, None, None), "not guessed"),
        ((None, 0, "t1"), "not both"),
        ((None, 4, None), "channels 0 to 3"),
        ((None, None, "t1,t2,t2,flair"), "each of"),
    ):
        with pytest.raises(UserError, match=cause):
            told_channels(*told)


@pytest.mark.parametrize(
    "mask",
    [
        LESION,
        (255 * LESION).view(np.int8),
        -LESION.astype(np.int16),
        4.0 * LESION,
        np.stack([LESION, 0 * LESION, 0 * LESION], axis=-1),
        np.stack([1 - LESION, 0 * LESION, LESION, 0 * LESION], axis=-1),
    ],
    ids=["bytes", "255 in int8", "-1", "floats", "three parts", "background first"],
)
def test_masks_of_any_kind(mask, tmp_path):
    image, lesion = read_slice_file(write(tmp_path / "x.h5", mask), (2, 0))
    np.testing.assert_array_equal(lesion, LESION > 0)
    np.testing.assert_array_equal(image, np.arange(96.0).reshape(4, 6, 4)[..., [2, 0]].transpose(2, 0, 1))


@pytest.mark.parametrize(
    ("mask", "cause"),
    [
        (0.4 * LESION, "between its labels"),
        (np.float32(np.nan) * LESION, "between its labels"),
        (-3 * LESION.astype(np.int16), "negative"),
        (LESION[1:], "where image has"),
        (np.stack([LESION] * 2, axis=-1), "where image has"),
    ],
)
def test_masks_of_no_kind_are_refused(mask, cause, tmp_path):
    with pytest.raises(UnreadableScan, match=cause):
        read_slice_file(write(tmp_path / "x.h5", mask), (0,))


def test_files_by_number_in_any_case_and_each_once(tmp_path):
    folder = tmp_path / "content" / "data"
    folder.mkdir(parents=True)
    for name in ("volume_2_slice_10.h5", "VOLUME_2_SLICE_9.H5", "volume_21_slice_0.h5", "._volume_3_slice_0.h5"):
        write(folder / name, LESION)
    assert slice_folder(tmp_path) == folder
    assert {volume: sorted(slices) for volume, slices in slice_files(folder).items()} == {2: [9, 10], 21: [0]}
    assert set(slice_files(folder, 2)) == {2}
    write(folder / "volume_02_slice_9.h5", LESION)
    with pytest.raises(UserError, match="are the same slice"):
        slice_files(folder)


def test_a_volume_without_a_lesion_is_not_healthy(tmp_path):
    for number in range(3):
        write(tmp_path / f"volume_1_slice_{number}.h5", 0 * LESION)
    cohort = KaggleSlices(tmp_path, channel=0)
    found = cohort.read(cohort.cases()[0])
    assert (found.labels.tolist(), found.notes) == ([UNKNOWN] * 3, (EMPTY_MASK,))
    write(tmp_path / "volume_1_slice_2.h5", LESION)
    assert cohort.read(cohort.cases()[0]).labels.tolist() == [0, 0, 1]

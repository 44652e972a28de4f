"""Slices of several channels: each has the scale that is its own, and all lie in the same place."""

from dataclasses import replace

import numpy as np
import pytest

from anomae.cohorts.case import COLOURS
from anomae.errors import UnreadableScan
from anomae.phantoms.phantom import make_head
from anomae.slices.channels import ChannelScales, grey_case, measure_channels
from anomae.slices.intensity import measure_scale
from anomae.slices.preparing import prepare_case
from anomae.slices.rows import rows_or_reason
from anomae.slices.settings import settings_from
from anomae.slices.split_rule import SplitRule
from anomae.slices.store import SliceStore
from anomae.slices.writer import StoreWriter

PREPARATIONS = [
    {},
    {"intensity": "none"},
    {"preparation": "body"},
    {"preparation": "brain", "brain_mask": "nonzero"},
    {"preparation": "brain", "brain_mask": "nonzero", "bias_correction": "n4", "intensity": "percentile"},
]


def of(**more):
    return settings_from({"image_size": (24, 20), **more})


@pytest.fixture(scope="module")
def modalities():
    """Three modalities of one brain in units of their own, (n, 3, h, w)."""
    heads = [make_head(3, shape=(12, 40, 36), modality=name, skull=False).voxels for name in ("flair", "t1", "t2")]
    return np.stack([heads[0], heads[1] * 7, heads[2].astype(np.float64) / 50], axis=1)


@pytest.fixture
def several(make_case, modalities):
    count = len(modalities)
    return make_case(
        images=modalities,
        slices=np.arange(count),
        labels=np.zeros(count, np.int8),
        lesions=False,
        positions_mm=np.arange(count) * 1.0,
    )


@pytest.mark.parametrize("chosen", PREPARATIONS, ids=str)
def test_one_channel_is_prepared_as_ever(several, chosen):
    """(n, h, w) and (n, 1, h, w) are the same case, whether its channel has a scale of its own or a shared one."""
    flat = replace(several, images=several.images[:, 0])
    assert flat.images.shape == several.images[:, :1].shape
    expected = prepare_case(flat, of(**chosen))
    for case in (replace(several, images=several.images[:, :1]), replace(flat, one_scale=True)):
        found = prepare_case(case, of(**chosen))
        for name in ("images", "bodies", "kept", "empty", "body_fraction", "filled"):
            np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))
        assert (found.warp, found.notes) == (expected.warp, expected.notes)


@pytest.mark.parametrize("chosen", PREPARATIONS, ids=str)
def test_the_order_of_channels_does_not_matter(several, chosen):
    images = prepare_case(several, of(**chosen)).images
    turned = prepare_case(replace(several, images=several.images[:, [2, 0, 1]]), of(**chosen)).images
    assert images.shape == (12, 3, 24, 20)
    np.testing.assert_allclose(turned, images[:, [2, 0, 1]], atol=2e-3)


def test_the_unit_of_a_modality_does_not_matter(several):
    """Each has a scale of its own, and none decides alone where the brain is or how it is turned."""
    settings = of(preparation="brain", brain_mask="nonzero")
    prepared = prepare_case(several, settings)
    images = several.images.astype(np.float64) * np.array([1, 1000, 0.01]).reshape(1, 3, 1, 1)
    again = prepare_case(replace(several, images=images), settings)
    np.testing.assert_allclose(again.images, prepared.images, atol=2e-3)
    np.testing.assert_array_equal(again.bodies, prepared.bodies)
    for channel in range(3):
        inside = prepared.images[:, channel][prepared.bodies]
        assert np.median(inside) == pytest.approx(0.5, abs=0.1)  # pixels at its edge are partly black


def test_modalities_are_scaled_as_each_would_be_alone(several):
    """Whole slices: nothing else than the scale could depend on the other channels."""
    together = prepare_case(several, of()).images
    for channel in range(3):
        alone = prepare_case(replace(several, images=several.images[:, channel]), of()).images
        np.testing.assert_array_equal(together[:, channel], alone[:, 0])


def test_all_channels_lie_in_the_same_place(several):
    """Three copies of one scan are prepared to three equal channels, and the geometry is that of the copy alone."""
    copies = replace(several, images=np.repeat(several.images[:, :1], 3, axis=1))
    settings = of(preparation="brain", brain_mask="nonzero")
    prepared = prepare_case(copies, settings)
    alone = prepare_case(replace(several, images=several.images[:, 0]), settings)
    for channel in (1, 2):
        np.testing.assert_array_equal(prepared.images[:, channel], prepared.images[:, 0])
    assert prepared.warp.centre_mm == alone.warp.centre_mm
    assert prepared.warp.angle == pytest.approx(alone.warp.angle, abs=0.02)


def test_colours_have_one_scale(make_case):
    rng = np.random.default_rng(0)
    colours = rng.integers(0, 100, (1, 3, 20, 24)).astype(np.uint8)
    colours[0, 1] *= 2  # green is twice as bright, and stays so
    case = make_case(
        images=colours,
        slices=np.arange(1),
        labels=np.zeros(1, np.int8),
        lesions=False,
        positions_mm=np.full(1, np.nan),
        one_scale=True,
    )
    scales = measure_channels(case, of())
    assert scales.shared
    assert scales.scales[0] == scales.scales[2] == measure_scale(colours[0], of())
    apart = measure_channels(replace(case, one_scale=False), of())
    assert apart.scales[0].width < apart.scales[1].width
    images = prepare_case(case, of()).images
    assert images[0, 1].mean() == pytest.approx(2 * images[0, 0].mean(), rel=0.1)
    grey, _ = grey_case(case, scales, of())
    np.testing.assert_allclose(grey.images[0, 0], scales.apply(colours[0]).mean(axis=0), rtol=1e-6)


def test_voxels_that_are_no_numbers_are_counted_once(several):
    images = several.images.astype(np.float64)
    images[5, 0, 0, :2] = np.nan
    images[5, 2, 0, :3] = np.inf
    for one_scale in (False, True):
        case = replace(several, images=images, one_scale=one_scale)
        assert measure_channels(case, of()).non_finite == 5
        assert prepare_case(case, of()).notes[-1].startswith("5 voxels")


@pytest.mark.parametrize("reach", [1, 2])
def test_neighbours_are_channels(several, reach):
    alone = prepare_case(several, of()).images
    images = prepare_case(several, of(neighbours=reach)).images
    assert images.shape == (12, 3 * (2 * reach + 1), 24, 20)
    for row in range(12):
        beside = [step if 0 <= step < 12 else row for step in range(row - reach, row + reach + 1)]
        np.testing.assert_array_equal(images[row], np.concatenate(alone[beside]))


def test_a_neighbour_may_lie_outside_the_middle_and_gaps_stand_for_themselves(several):
    case = replace(several, images=several.images[:, 0], slices=np.array([*range(6), *range(7, 13)]))
    whole = prepare_case(case, of()).images[:, 0]
    middle = prepare_case(case, of(neighbours=1, slices="mid"))
    assert middle.kept[0] > 0
    first = middle.kept[0]
    np.testing.assert_array_equal(middle.images[0, 0], whole[first - 1])
    images = prepare_case(case, of(neighbours=1)).images
    np.testing.assert_array_equal(images[5], whole[[4, 5, 5]])
    np.testing.assert_array_equal(images[6], whole[[6, 6, 7]])
    assert prepare_case(case, of(neighbours=1)).empty.tolist() == prepare_case(case, of()).empty.tolist()


def test_a_neighbour_is_of_the_same_split_and_of_healthy_slices_outside_the_test_split_healthy(
    make_case, make_cohort, small
):
    """make_case: 6 slices, of which 2 and 5 are abnormal and dropped from the training split."""
    settings = small.model_copy(update={"neighbours": 1})
    plain = prepare_case(make_case(), small).images[:, 0]
    cohort = make_cohort({"a": make_case()}, {"a": "train"})
    found = rows_or_reason(cohort.cases()[0], cohort, SplitRule(), settings)
    assert found.entry["columns"]["slice"] == [0, 1, 3, 4]
    for image, beside in zip(found.images, [(0, 0, 1), (0, 1, 1), (3, 3, 4), (3, 4, 4)], strict=True):
        np.testing.assert_array_equal(image, plain[list(beside)])
    splits = np.array(["test", "test", "validation", "validation", "", "test"])
    cohort = make_cohort({"a": make_case(splits=splits)})
    found = rows_or_reason(cohort.cases()[0], cohort, SplitRule(), settings)
    assert found.entry["columns"]["slice"] == [0, 1, 2, 3, 5]
    for image, beside in zip(found.images, [(0, 0, 1), (0, 1, 1), (2, 2, 3), (3, 3, 3), (5, 5, 5)], strict=True):
        np.testing.assert_array_equal(image, plain[list(beside)])
    cohort = make_cohort({"a": make_case()}, {"a": "test"})
    found = rows_or_reason(cohort.cases()[0], cohort, SplitRule(), settings)
    assert found.entry["columns"]["label"] == [0, 0, 1, 0, 0, 1]
    np.testing.assert_array_equal(found.images, prepare_case(make_case(), settings).images)  # as new scans are


def test_what_is_not_healthy_changes_no_healthy_slice_outside_the_test_split(make_case, make_cohort, small):
    """Law: whatever lesions look like, the slices that thresholds are taken from are the same to the bit."""
    settings = small.model_copy(update={"neighbours": 2, "intensity": "none"})
    ill = make_case(labels=np.array([0, 1, 0, -1, 0, 0], np.int8))
    images = ill.images.copy()
    images[ill.labels != 0] = 7
    for split, same in (("train", True), ("validation", True), ("test", False)):
        found = []
        for case in (ill, replace(ill, images=images)):
            cohort = make_cohort({"a": case}, {"a": split})
            rows = rows_or_reason(cohort.cases()[0], cohort, SplitRule(), settings)
            found.append(rows.images[np.array(rows.entry["columns"]["label"]) == 0])
        assert np.array_equal(*found) == same


@pytest.mark.parametrize("stopped", [False, True])
def test_a_store_keeps_every_channel_and_goes_on(make_case, make_cohort, small, write, tmp_path, stopped):
    settings = small.model_copy(update={"neighbours": 1})
    colours = np.random.default_rng(0).integers(0, 255, (6, 3, 20, 24)).astype(np.uint8)
    found = {name: make_case(seed, images=colours + seed, one_scale=True) for seed, name in enumerate("ab")}
    found["grey"] = make_case(2)
    cohort = make_cohort(found, {"b": "test"}, COLOURS)
    request = {"channels": 9}
    writer = StoreWriter(tmp_path / "store", request, settings)
    if stopped:
        write(writer, make_cohort({"a": found["a"]}, {}, COLOURS), SplitRule(), settings)
        writer.close()
        writer = StoreWriter(tmp_path / "store", request, settings)
    write(writer, cohort, SplitRule(), settings)
    writer.write_index()
    writer.finish({})
    store = SliceStore(tmp_path / "store")
    assert store.channels == 9
    assert store.prepared["skipped"] == [{"case": "grey", "reason": "scans/grey: its slices have 1 channel(s), not 3."}]
    rows = np.flatnonzero(store.index.case == "b")
    prepared = prepare_case(found["b"], settings).images
    np.testing.assert_array_equal(store.select(rows).read(slice(None)), prepared)
    assert store.select(rows).neighbours(slice(None)).shape == (6, 2, 9, 16, 12)
    np.testing.assert_allclose(store.select(rows).pictures(slice(None)), prepared.mean(axis=1), rtol=1e-6)


def test_a_case_without_pixels_in_any_channel_is_refused(make_case):
    with pytest.raises(UnreadableScan, match="no pixels"):
        prepare_case(make_case(images=np.zeros((6, 2, 0, 4)), lesions=False), of())


@pytest.mark.parametrize("channels", [1, 2, 3, 7])
def test_the_mean_at_scale_is_that_of_all_channels_together_to_the_bit(channels):
    image = np.random.default_rng(channels).normal(300, 90, (channels, 33, 47)).astype(np.float32)
    scales = ChannelScales(
        tuple(measure_scale(each[None], settings_from({"intensity": "percentile"})) for each in image)
    )
    np.testing.assert_array_equal(scales.mean(image), scales.apply(image).mean(axis=0))

"""Trivial baselines are what they say, whatever the batches, and in a direction fixed beforehand."""

import numpy as np
import pytest

from anomae.statistics.scored import ScoredSlices
from anomae.statistics.trivial_baselines import TRIVIAL_BASELINES, intensity_baselines, known_baselines


def slices_of(labels, **columns) -> ScoredSlices:
    count = len(labels)
    usual = {
        "case": np.array([f"c{k // 10}" for k in range(count)]),
        "patient": np.array([f"p{k // 10}" for k in range(count)]),
        "slice": np.arange(count) % 10,
        "label": np.asarray(labels, dtype=np.int8),
        "relative_position": np.full(count, np.nan),
        "empty": np.zeros(count, dtype=np.bool_),
        "body_fraction": np.full(count, np.nan),
        "site": np.full(count, ""),
    }
    return ScoredSlices(**{**usual, **columns})


def images(count: int = 7, h: int = 30, w: int = 23) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(count, h, w)).astype(np.float32)


@pytest.mark.parametrize("size", [1, 3, 7, 50])
def test_intensity_trivial_baselines_do_not_depend_on_the_batches(size):
    stack = images()
    found = intensity_baselines(stack[start : start + size] for start in range(0, len(stack), size))
    spots = {f"brightest_spot_{size}" for size in (5, 9, 17)} | {"darkest_spot_9"}
    assert set(found) == {"mean", "maximum", "spread", "centre_contrast"} | spots
    for row, image in enumerate(stack.astype(np.float64)):
        windows = np.lib.stride_tricks.sliding_window_view(image, (3, 3))  # 17 of 128, in an image of 23
        assert found["mean"][row] == pytest.approx(image.mean(), abs=1e-6)
        assert found["maximum"][row] == image.max()
        assert found["spread"][row] == pytest.approx(image.std(), abs=1e-6)
        assert found["brightest_spot_17"][row] == pytest.approx(windows.mean(axis=(2, 3)).max(), abs=1e-6)
        centre = image[11:19, 7:15].mean() - np.median(image)
        assert found["centre_contrast"][row] == pytest.approx(centre, abs=1e-6)


def test_tiny_images_and_none_at_all():
    small = images(2, 5, 4)
    found = intensity_baselines([small])
    np.testing.assert_allclose(found["brightest_spot_17"], small.max(axis=(1, 2)), atol=1e-6)  # of one pixel
    assert all(len(column) == 0 for column in intensity_baselines([]).values())


def test_a_lesion_raises_what_should_rise():
    plain = np.zeros((1, 40, 40), dtype=np.float32)
    lesion = plain.copy()
    lesion[0, 16:24, 16:24] = 1
    before, after = intensity_baselines([plain]), intensity_baselines([lesion])
    assert all(after[name][0] > before[name][0] for name in before if not name.startswith("darkest"))


def test_a_dark_lesion_raises_the_darkest_spot():
    plain = np.ones((1, 40, 40), dtype=np.float32)
    lesion = plain.copy()
    lesion[0, 16:24, 16:24] = 0.5
    dark = [intensity_baselines([one])["darkest_spot_9"][0] for one in (plain, lesion)]
    assert dark == [-1, -0.5]


def test_only_what_is_known_becomes_a_baseline():
    labels = np.tile([0, 1], 30)
    assert known_baselines(slices_of(labels)) == {}
    half = np.where(np.arange(60) < 30, np.nan, 0.5)
    assert known_baselines(slices_of(labels, relative_position=half)) == {}
    relative = np.tile(np.linspace(0, 1, 10), 6)
    assert set(known_baselines(slices_of(labels, relative_position=relative))) == {
        "position_centre",
        "position_with_labels",
    }
    full = known_baselines(
        slices_of(labels, relative_position=relative, empty=np.arange(60) == 3, body_fraction=relative), relative, 10
    )
    assert list(full) == ["position_rarity", "position_centre", "position_with_labels", "not_empty", "body_fraction"]
    assert set(full) <= set(TRIVIAL_BASELINES)


def test_training_positions_may_be_partly_unknown():
    relative = np.tile(np.linspace(0, 1, 10), 6)
    slices = slices_of(np.tile([0, 1], 30), relative_position=relative)
    assert "position_rarity" not in known_baselines(slices, np.full(4, np.nan))
    found = known_baselines(slices, np.array([np.nan, 0.0, 0.0, 1.0]), 10)["position_rarity"]
    assert found[0] == pytest.approx(-2 / 3 / 2)  # two of three, at two slices that are joined
    assert found[5] == 0


def test_only_the_learned_baselines_have_seen_labels():
    assert [name for name, trivial_baseline in TRIVIAL_BASELINES.items() if trivial_baseline.uses_labels] == [
        "position_with_labels",
        "source_with_labels",
    ]
    relative = np.tile(np.linspace(0, 1, 10), 6)
    one, other = (
        known_baselines(slices_of(labels, relative_position=relative), relative, 10)
        for labels in (np.tile([0, 1], 30), np.tile([1, 0], 30))
    )
    for name in one:
        assert TRIVIAL_BASELINES[name].uses_labels or (one[name] == other[name]).all()


def test_labels_elsewhere_are_used_before_the_tested_ones():
    relative = np.tile(np.linspace(0, 1, 10), 6)
    elsewhere = (np.array([0.0, 0.0, 1.0, 1.0, np.nan]), np.array([0, 0, 1, 1, 1], dtype=np.int8))
    one, other = (
        known_baselines(slices_of(labels, relative_position=relative), labelled_elsewhere=elsewhere)
        for labels in (np.tile([0, 1], 30), np.tile([1, 0], 30))
    )
    np.testing.assert_array_equal(one["position_with_labels"], other["position_with_labels"])
    assert one["position_with_labels"][9] > one["position_with_labels"][0]

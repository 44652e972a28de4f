"""Place in the scan, and how much of the labels it explains: on made-up lists, and on the paper's own where present."""

import re
from pathlib import Path

import numpy as np
import pytest

from anomae.statistics.intervals import PatientBootstrap
from anomae.statistics.metrics import auroc
from anomae.statistics.positions import (
    abnormal_share,
    abnormal_share_across,
    abnormal_share_of_group,
    position_rarity,
    relative_positions,
    seen_extents,
    tenth_of_scan,
)

DEPTH = 155


def test_first_is_0_and_last_is_1():
    case = np.array(["a", "a", "a", "b", "b", "c"])
    number = np.array([3, 5, 7, 0, 10, 4])
    extents = seen_extents(case, number)
    assert extents == {"a": (3, 7), "b": (0, 10)}
    found = relative_positions(case, number, extents)
    np.testing.assert_array_equal(found, [0, 0.5, 1, 0, 1, np.nan])


def test_slices_beyond_the_scan_are_nowhere():
    found = relative_positions(np.array(["a", "a"]), np.array([-1, 12]), {"a": (0, 10)})
    assert np.isnan(found).all()


def test_unknown_numbers_have_no_extent():
    assert seen_extents(np.array(["a", "a"]), np.array([-1, -1])) == {}
    assert relative_positions(np.array([], dtype=np.str_), np.array([], dtype=np.int64), {}).shape == (0,)


def test_tenths():
    found = tenth_of_scan(np.array([0, 0.05, 0.1, 0.55, 0.999, 1.0, np.nan]))
    np.testing.assert_array_equal(found, [0, 0, 1, 5, 9, 9, -1])


def test_what_is_common_in_training_is_not_rare():
    training = np.array([0.0] * 60 + [1.0] * 40)
    found = position_rarity(np.array([0.0, 0.5, 1.0]), training, DEPTH)
    np.testing.assert_allclose(found, np.array([-0.6, 0, -0.4]) / 31)  # a bin is of 31 slices


def test_rarity_is_on_one_scale_whatever_the_training_split_holds():
    rng = np.random.default_rng(0)
    training, relative = rng.beta(4, 4, 4000), np.linspace(0, 1, 50)
    whole = position_rarity(relative, training, 50)
    np.testing.assert_allclose(position_rarity(relative, np.tile(training, 3), 50), whole)
    for some in (1000, 300, 100):  # the fewer, the more slices are joined
        assert position_rarity(relative, training[:some], 50).sum() == pytest.approx(-1)
    coarse = position_rarity(np.linspace(0, 1, 21), np.linspace(0, 1, 21), 21)  # the last bin is of fewer slices
    np.testing.assert_allclose(coarse, -1 / 21)


def test_learned_shares_do_not_say_how_many_abnormal_slices_there_are():
    relative = np.tile(np.linspace(0, 1, 20), 50)
    rng = np.random.default_rng(0)
    for share in (0.1, 0.5, 0.9):
        labels = (rng.random(1000) < share).astype(np.int8)
        assert abnormal_share(relative, relative, labels).mean() == pytest.approx(1, abs=0.02)
    np.testing.assert_array_equal(abnormal_share(relative, relative, np.zeros(1000, dtype=np.int8)), 1)


def test_learned_share_follows_the_labels():
    known = np.tile(np.linspace(0, 1, 11), 100)
    labels = (np.abs(known - 0.5) < 0.2).astype(np.int8)
    found = abnormal_share(np.array([0.0, 0.5, 1.0]), known, labels)
    assert found[1] > 0.9 / labels.mean()
    assert found[0] < 0.1
    assert found[2] < 0.1


def test_learning_across_patients_learns_nothing_from_noise():
    rng = np.random.default_rng(0)
    found = []
    for _ in range(20):
        patient = np.repeat(np.arange(40).astype(np.str_), 30)
        relative = np.tile(np.linspace(0, 1, 30), 40)
        labels = (rng.random(len(patient)) < 0.4).astype(np.int8)
        found.append(auroc(labels, abnormal_share_across(relative, labels, patient)))
    assert abs(np.mean(found) - 0.5) < 0.02


def made_up_lists(seed: int = 0) -> dict[str, np.ndarray]:
    """Lists of the paper's shape, (volume, slice) each: lesions stand in the middle slices of every scan."""
    rng = np.random.default_rng(seed)
    lists: dict[str, list[tuple[int, int]]] = {"normal_training": [], "normal_test": [], "abnormal_test": []}
    for volume in range(60):
        centre, half = rng.normal(80, 9), rng.normal(32, 8)
        for number in range(DEPTH):
            label = "abnormal" if abs(number - centre) < half else "normal"
            split = "training" if volume < 30 else "test"
            if f"{label}_{split}" in lists:
                lists[f"{label}_{split}"].append((volume, number))
    return {name: np.array(pairs) for name, pairs in lists.items()}


def paper_lists(folder: Path) -> dict[str, np.ndarray]:
    found = {}
    for name in ("normal_training", "normal_test", "abnormal_test"):
        lines = (folder / f"{name}_samples.txt").read_text().split()
        found[name] = np.array([[int(split) for split in re.findall(r"\d+", line)] for line in lines])
    return found


def baselines_of(lists: dict[str, np.ndarray]):
    test = np.concatenate([lists["abnormal_test"], lists["normal_test"]])
    labels = np.repeat([1, 0], [len(lists["abnormal_test"]), len(lists["normal_test"])]).astype(np.int8)
    extents = {str(volume): (0, DEPTH - 1) for volume in range(400)}
    relative, training = (
        relative_positions(pairs[:, 0].astype(np.str_), pairs[:, 1], extents)
        for pairs in (test, lists["normal_training"])
    )
    columns = {
        "near_80": -np.abs(test[:, 1] - 80.0),
        "rarity": position_rarity(relative, training, DEPTH),
        "learned": abnormal_share_across(relative, labels, test[:, 0].astype(np.str_)),
    }
    bootstrap = PatientBootstrap(test[:, 0], 2000)
    return test, labels, relative, columns, bootstrap


def test_groups_are_learned_from_other_patients_only():
    rng = np.random.default_rng(0)
    patient = np.repeat(np.arange(40), 5).astype(np.str_)
    group = np.where(np.arange(200) // 5 % 2, "png 9x9", "jpg 8x8")
    labels = (rng.random(200) < np.where(group == "png 9x9", 0.8, 0.2)).astype(np.int8)
    found = abnormal_share_of_group(group, labels, patient)
    assert found[group == "png 9x9"].min() > 1.2 > 0.8 > found[group == "jpg 8x8"].max()
    turned = labels.copy()
    turned[patient == "3"] = 1 - turned[patient == "3"]
    np.testing.assert_array_equal(
        abnormal_share_of_group(group, turned, patient)[patient == "3"], found[patient == "3"]
    )


def test_position_alone_does_well_on_lists_of_the_papers_shape():
    test, labels, relative, columns, bootstrap = baselines_of(made_up_lists())
    everywhere = bootstrap.aurocs(labels, columns)
    assert all(estimate.value > 0.85 for estimate in everywhere.values())
    middle = np.flatnonzero((test[:, 1] >= 60) & (test[:, 1] < 100))
    near = everywhere["near_80"].value
    assert bootstrap.aurocs(labels, columns, rows=middle)["near_80"].value < near - 0.1
    assert bootstrap.aurocs(labels, columns, bands=tenth_of_scan(relative))["near_80"].value < near - 0.2


@pytest.mark.real_data
def test_the_papers_own_lists(development_images):
    test, labels, _, columns, bootstrap = baselines_of(paper_lists(development_images / "paper_splits" / "brats"))
    assert (len(labels), int(labels.sum()), bootstrap.patients) == (22_940, 9_737, 148)
    found = bootstrap.aurocs(labels, columns)
    near = found["near_80"].interval()
    assert near.value == pytest.approx(0.8915, abs=5e-5)
    assert (near.low, near.high) == pytest.approx((0.875, 0.908), abs=2e-3)
    assert found["rarity"].value == pytest.approx(0.8897, abs=5e-5)
    middle = np.flatnonzero((test[:, 1] >= 60) & (test[:, 1] <= 99))
    assert bootstrap.aurocs(labels, columns, rows=middle)["near_80"].value == pytest.approx(0.575, abs=5e-4)

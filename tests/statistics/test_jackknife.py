"""Jackknife intervals of AUROC between slices and the same ones altered."""

import numpy as np
import pytest

from anomae.statistics.jackknife import jackknifed_aurocs, mean_jackknife
from anomae.statistics.metrics import auroc


def altered(patients: int, seed: int, shift: float = 1.0, each: int = 4, effect: float = 3.0):
    rng = np.random.default_rng(seed)
    who = np.repeat(np.arange(patients), each)
    plain = effect * rng.normal(size=patients)[who] + rng.normal(size=len(who))
    lesion = plain + shift * (1 + 0.5 * rng.normal(size=patients)[who])
    return np.repeat([0, 1], len(who)), np.r_[plain, lesion], np.tile(who, 2).astype(np.str_)


def test_it_is_the_figure_without_each_patient():
    labels, scores, patient = altered(9, 0)
    found = jackknifed_aurocs(labels, {"a": scores}, patient)["a"]
    assert found.value == pytest.approx(auroc(labels, scores))
    for index, name in enumerate(np.unique(patient)):
        assert found.without[index] == pytest.approx(auroc(labels[patient != name], scores[patient != name]))


def test_the_mean_is_that_of_the_parts_patient_by_patient():
    labels, scores, patient = altered(9, 0)
    one, other = jackknifed_aurocs(labels, {"a": scores, "b": np.round(scores)}, patient).values()
    both = mean_jackknife([one, other])
    assert both.value == (one.value + other.value) / 2
    np.testing.assert_allclose(both.without, (one.without + other.without) / 2)


def test_a_slice_that_has_no_part_is_as_if_it_were_not_there():
    labels, scores, patient = altered(9, 0)
    gone = np.tile(np.arange(len(scores) // 2) % 3 == 0, 2) | (patient == "4")
    gapped, whole = jackknifed_aurocs(labels, {"a": np.where(gone, np.nan, scores), "b": scores}, patient).values()
    assert gapped.value == auroc(labels[~gone], scores[~gone])
    for index, name in enumerate(np.unique(patient)):
        kept = ~gone & (patient != name)
        assert gapped.without[index] == pytest.approx(auroc(labels[kept], scores[kept]))
    assert (gapped.held.patients, whole.held.patients) == (8, 9)
    assert mean_jackknife([whole, gapped]).held == gapped.held


@pytest.mark.parametrize("patients", [1, 4])
def test_too_few_patients_give_no_interval(patients):
    labels, scores, patient = altered(patients, 0)
    found = jackknifed_aurocs(labels, {"a": scores}, patient)["a"].interval()
    assert (found.low, found.why) == (None, f"too few patients with slices ({patients}): no interval")


def test_all_told_apart_is_not_certain():
    labels, scores, patient = altered(8, 0, shift=1000.0)
    found = jackknifed_aurocs(labels, {"a": scores, "b": -scores}, patient)
    over, under = found["a"].interval(), found["b"].interval()
    assert (over.value, over.high) == (1.0, 1.0)
    assert over.low <= 0.025 ** (1 / 8)
    assert (under.low, under.high) == (0.0, pytest.approx(1 - over.low))


@pytest.mark.parametrize("patients", [5, 12, 30])
@pytest.mark.parametrize("shift", [0.0, 2.0])
def test_it_holds_the_truth(patients, shift):
    truth = auroc(*altered(4000, 99, shift, each=1)[:2])
    held = 0
    for seed in range(120):
        labels, scores, patient = altered(patients, seed, shift)
        found = jackknifed_aurocs(labels, {"a": scores}, patient)["a"].interval()
        assert found.low <= found.value <= found.high
        held += found.low <= truth <= found.high
    assert held >= 110

"""Shares by patient: the value, the binomial where patients have one slice, and the mean of two."""

import numpy as np
import pytest
from scipy.stats import binomtest, t

from anomae.statistics.holders import Holders
from anomae.statistics.intervals import Interval
from anomae.statistics.ratios import mean_of_ratios, ratio


def test_one_slice_a_patient_is_nearly_the_binomial():
    hit = (np.arange(400) < 12).astype(float)
    found, exact = ratio(hit, np.ones(400)), binomtest(12, 400).proportion_ci(0.95, method="exact")
    assert found.value == 0.03
    assert (found.low, found.high) == (pytest.approx(exact.low, rel=0.02), pytest.approx(exact.high, rel=0.02))


def test_copies_of_a_slice_bring_nothing_new_and_scale_does_not_count():
    hit = (np.arange(40) % 4 == 0).astype(float)
    alone = ratio(hit, np.ones(40))
    copied = ratio(hit * 1000, np.full(40, 1000.0))
    assert (copied.low, copied.high) == pytest.approx((alone.low, alone.high))


def test_all_or_none_flagged_is_what_as_many_patients_leave_possible():
    none, every = ratio(np.zeros(9), np.full(9, 50.0)), ratio(np.full(9, 50.0), np.full(9, 50.0))
    assert (none.low, none.high) == (0.0, pytest.approx(1 - 0.025 ** (1 / 9)))
    assert (every.low, every.high) == (pytest.approx(0.025 ** (1 / 9)), 1.0)
    heavy = ratio(np.array([1000.0, *np.ones(8)]), np.array([1000.0, *np.ones(8)]))
    assert heavy.low < 0.05  # one patient is nearly all there is


def test_too_few_patients_or_nothing_at_all():
    few = ratio(np.ones(9), np.array([2.0] * 4 + [0.0] * 5) + np.array([0.0] * 9))
    assert (few.low, few.why) == (None, "too few patients with anything to count (4): no interval")
    beside = ratio(np.zeros(9), np.ones(9), (Holders("lesions", 3, 3.0),))
    assert beside.why == "too few patients with lesions (3): no interval"
    assert ratio(np.zeros(3), np.zeros(3)) is None


def test_many_alike_patients_are_not_certain():
    found = ratio(np.full(50, 1.0), np.full(50, 100.0))  # 1 of 100 in every one
    assert found.low < 0.01 < found.high < 0.12


def test_the_mean_of_two_shares():
    one, other = Interval(0.9, 0.8, 0.94), Interval(0.5, 0.2, 0.8)
    found = mean_of_ratios(one, other)
    assert found.value == pytest.approx(0.7)
    assert found.low == pytest.approx(0.7 - np.hypot(0.1, 0.3) / 2)
    assert found.high == pytest.approx(0.7 + np.hypot(0.04, 0.3) / 2)
    assert mean_of_ratios(one, None) is None
    none = mean_of_ratios(one, Interval(0.5, why="too few"))
    assert (none.low, none.why) == (None, "too few")


@pytest.mark.parametrize(("patients", "chance"), [(5, 0.97), (7, 0.8), (20, 0.98), (50, 0.99)])
def test_it_holds_the_truth_where_slices_of_a_patient_are_alike(patients, chance):
    rng = np.random.default_rng(patients)
    held = 0
    for _ in range(200):
        own = rng.beta(2 * chance, 2 * (1 - chance), patients)
        found = ratio(rng.binomial(8, own).astype(float), np.full(patients, 8.0))
        held += found.low <= chance <= found.high
    assert held >= 184


def test_the_width_is_that_of_student_where_nothing_is_rare():
    rng = np.random.default_rng(1)
    of = np.full(60, 200.0)
    hit = np.round(of * np.clip(0.5 + 0.4 * rng.normal(size=60), 0, 1))
    found, share = ratio(hit, of), hit / of
    reach = t.ppf(0.975, 59) * share.std(ddof=1) / np.sqrt(60)
    assert found.high - found.low == pytest.approx(2 * reach, rel=0.15)

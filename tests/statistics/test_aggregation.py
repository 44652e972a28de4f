"""Whole patients: the highest slice score, the mean of the three highest, and the label of any slice."""

import numpy as np

from anomae.statistics.aggregation import aggregated, mean_of_highest
from anomae.statistics.scored import ScoredSlices


def test_against_the_obvious_way():
    rng = np.random.default_rng(0)
    group, scores = rng.integers(0, 12, 200), rng.normal(size=200)
    for highest in (1, 3, 500):
        expected = [np.sort(scores[group == one])[::-1][:highest].mean() for one in range(12)]
        np.testing.assert_allclose(mean_of_highest(group, scores, highest), expected)


def test_the_mean_of_numbers_near_the_largest_there_is():
    largest = np.finfo(np.float64).max
    group, scores = np.array([0, 0, 0, 1, 1]), np.array([largest, largest, largest, 1.0, 2.0])
    np.testing.assert_allclose(mean_of_highest(group, scores, 3), [largest, 1.5], rtol=1e-12)
    np.testing.assert_allclose(mean_of_highest(group, -scores, 3), [-largest, -1.5], rtol=1e-12)


def test_a_power_of_two_goes_through_and_finite_stays_finite():
    rng = np.random.default_rng(3)
    group, largest = rng.integers(0, 9, 200), np.finfo(np.float64).max
    scores = rng.uniform(-1, 1, 200)
    for highest in (1, 3, 500):
        once = mean_of_highest(group, scores, highest)
        for power in (-900, 40, 1000, 1023):
            found = mean_of_highest(group, np.ldexp(scores, power), highest)
            np.testing.assert_allclose(found, np.ldexp(once, power), rtol=1e-14)
        assert np.isfinite(mean_of_highest(group, np.where(scores > 0, largest, -largest), highest)).all()


def test_a_patient_with_one_abnormal_slice_is_abnormal():
    slices = ScoredSlices(
        case=np.array(["a1", "a1", "a2", "b1"]),
        patient=np.array(["a", "a", "a", "b"]),
        slice=np.arange(4),
        label=np.array([0, 0, 1, 0], dtype=np.int8),
        relative_position=np.full(4, np.nan),
        empty=np.zeros(4, dtype=np.bool_),
        body_fraction=np.full(4, np.nan),
        site=np.full(4, ""),
    )
    scores = np.array([0.1, 0.5, 0.3, 0.9])
    patient, label, columns = aggregated(slices, "patient", scores)
    assert (patient.tolist(), label.tolist()) == (["a", "b"], [1, 0])
    np.testing.assert_allclose(columns["max"], [0.5, 0.9])
    np.testing.assert_allclose(columns["mean_of_top_3"], [0.3, 0.9])
    np.testing.assert_allclose(columns["slices"], [3, 1])
    patient, label, columns = aggregated(slices, "case", scores)
    assert (patient.tolist(), label.tolist()) == (["a", "a", "b"], [0, 1, 0])

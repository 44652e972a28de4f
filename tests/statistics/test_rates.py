"""Intervals of means of counts hold the truth, also where counts come in clusters and where there are none."""

import numpy as np
import pytest

from anomae.statistics.rates import rate


def test_the_figure_is_the_mean_over_scans():
    assert rate(np.array([3.0, 0, 1, 0, 4]), np.array([1.0, 2, 1, 1, 3])).value == pytest.approx(1.0)
    assert rate(np.zeros(5), np.zeros(5)) is None


def test_few_patients_have_no_interval_and_none_found_is_no_certainty():
    assert rate(np.ones(4), np.ones(4)).low is None
    none = rate(np.zeros(20), np.ones(20))
    assert none.low == 0
    assert none.high == pytest.approx(3.69 / 20, abs=0.001)


@pytest.mark.parametrize(
    ("patients", "mean", "spread"), [(8, 2.0, 1.0), (25, 0.2, 0.0), (25, 3.0, 2.0), (60, 0.05, 1.0)]
)
def test_intervals_hold_the_truth(patients, mean, spread):
    """spread: variance of the patients' own rates over the squared mean, as gamma rates; 0: Poisson."""
    rng = np.random.default_rng(7)
    scans = rng.integers(1, 4, patients).astype(float)
    held = 0
    for _ in range(500):
        own = np.full(patients, mean) if not spread else rng.gamma(1 / spread, mean * spread, patients)
        interval = rate(rng.poisson(own * scans).astype(float), scans)
        held += interval.low <= mean <= interval.high
    assert held / 500 >= 0.92

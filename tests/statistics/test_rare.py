"""Intervals near 0 and 1: the binomial's own, and what patients are worth."""

import numpy as np
import pytest
from scipy.stats import binom, binomtest

from anomae.statistics.rare import MOST_OF_ONE, clopper_pearson, is_rare, worth


@pytest.mark.parametrize(("hits", "of"), [(0, 12), (1, 12), (7, 12), (12, 12), (3, 400)])
def test_whole_numbers_give_the_exact_interval(hits, of):
    exact = binomtest(hits, of).proportion_ci(0.95, method="exact")
    assert clopper_pearson(hits / of, of) == pytest.approx((exact.low, exact.high), abs=1e-9)


def test_it_holds_every_share_at_least_95_times_in_100():
    for share in (0.01, 0.1, 0.5, 0.97):
        hits = np.arange(21)
        held = [low <= share <= high for low, high in (clopper_pearson(one / 20, 20) for one in hits)]
        assert binom.pmf(hits, 20, share)[held].sum() >= 0.95


def test_patients_who_all_agree_count_once_and_others_three_times_at_most():
    assert worth(1.0, 0.0, 7.0, 6) == 7
    much, little = worth(0.5, 1e-9, 7.0, 1000), worth(0.5, 0.25 / 4, 7.0, 1000)
    assert much == pytest.approx(7 * MOST_OF_ONE, rel=0.01)
    assert little == pytest.approx(4, rel=0.01)  # the variance of four independent slices
    assert worth(0.5, 0.25 / 4, 7.0, 6) < little


def test_rare_is_what_fewer_than_five_patients_hold():
    assert is_rare(0.97, 100.0)
    assert is_rare(0.03, 100.0)
    assert not is_rare(0.94, 100.0)
    assert is_rare(0.94, 50.0)

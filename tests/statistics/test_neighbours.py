"""Scores smoothed over neighbours: laws for every run of slices, and the three weights by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anomae.errors import UserError
from anomae.statistics.neighbours import has_neighbours, smoothed_over_neighbours


@st.composite
def scans(draw):
    """Scores, case and slice of up to four scans with gaps, in any order."""
    keys = draw(st.sets(st.tuples(st.sampled_from("abcd"), st.integers(0, 12)), min_size=1, max_size=30))
    ordered = draw(st.permutations(sorted(keys)))
    scores = draw(st.lists(st.floats(-1e3, 1e3), min_size=len(ordered), max_size=len(ordered)))
    return np.array(scores), np.array([case for case, _ in ordered]), np.array([number for _, number in ordered])


def by_hand(scores, case, number):
    known = {(one, int(at)): score for one, at, score in zip(case, number, scores, strict=True)}
    return [
        known.get((one, at - 1), score) / 4 + score / 2 + known.get((one, at + 1), score) / 4
        for (one, at), score in known.items()
    ]


def test_a_quarter_a_half_a_quarter():
    found = smoothed_over_neighbours([0, 4, 0, 8], ["a"] * 4, [3, 4, 5, 6])
    np.testing.assert_array_equal(found, [1, 2, 3, 6])


@given(scans())
def test_it_is_what_the_sentence_says(made):
    np.testing.assert_allclose(smoothed_over_neighbours(*made), by_hand(*made), rtol=1e-12, atol=1e-9)


@given(scans(), st.floats(-1e6, 1e6))
def test_a_constant_stays(made, value):
    _, case, number = made
    found = smoothed_over_neighbours(np.full(len(case), value), case, number)
    np.testing.assert_allclose(found, value, rtol=0, atol=1e-300)  # a quarter of the smallest numbers there are is none


@given(scans())
def test_the_sum_of_every_run_of_neighbours_stays_and_nothing_leaves_it(made):
    scores, case, number = made
    found = smoothed_over_neighbours(*made)
    order = np.lexsort((number, case))
    breaks = (case[order][1:] != case[order][:-1]) | (np.diff(number[order]) != 1)
    for run in np.split(order, np.flatnonzero(breaks) + 1):
        assert found[run].sum() == pytest.approx(scores[run].sum(), abs=1e-6)
        assert found[run].min() >= scores[run].min() - 1e-9
        assert found[run].max() <= scores[run].max() + 1e-9
        np.testing.assert_array_equal(found[run], smoothed_over_neighbours(scores[run], case[run], number[run]))


@given(scans(), st.randoms(use_true_random=False))
def test_the_order_of_the_rows_does_not_matter(made, chance):
    shuffled = list(range(len(made[0])))
    chance.shuffle(shuffled)
    found = smoothed_over_neighbours(*(column[shuffled] for column in made))
    np.testing.assert_array_equal(found, smoothed_over_neighbours(*made)[shuffled])


def test_gaps_and_other_scans_are_no_neighbours():
    assert not has_neighbours(["a", "a", "b"], [1, 3, 2])
    np.testing.assert_array_equal(smoothed_over_neighbours([1, 5, 9], ["a", "a", "b"], [1, 3, 2]), [1, 5, 9])
    assert has_neighbours(["a", "b", "a"], [2, 7, 1])
    assert not has_neighbours([], [])
    assert smoothed_over_neighbours([], [], []).shape == (0,)


def test_a_slice_that_is_there_twice_is_refused():
    with pytest.raises(UserError, match="two slices of the same number"):
        smoothed_over_neighbours([1, 2], ["a", "a"], [4, 4])


@given(scans(), st.integers(-900, 1000))
def test_a_power_of_two_goes_through_and_finite_stays_finite(made, power):
    scores, case, number = made
    scores = np.where(np.abs(scores) < 1e-6, 0.0, scores)  # so that no quarter of any is too small for a number
    once = smoothed_over_neighbours(scores, case, number)
    np.testing.assert_array_equal(
        smoothed_over_neighbours(np.ldexp(scores, power), case, number), np.ldexp(once, power)
    )
    largest = np.finfo(np.float64).max
    highest = smoothed_over_neighbours(np.where(scores >= 0, largest, -largest), case, number)
    assert np.isfinite(highest).all()
    assert (np.abs(highest) <= largest).all()


def test_what_is_not_finite_stays_so():
    found = smoothed_over_neighbours([np.nan, 1.0, np.inf, 1.0], ["a", "a", "b", "b"], [1, 2, 1, 2])
    assert np.isnan(found[:2]).all()
    assert not np.isfinite(found[2:]).any()

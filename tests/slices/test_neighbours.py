"""Slices below and above: of the same case, one number lower or higher; order, gaps and other cases as they must be."""

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anomae.errors import UserError
from anomae.slices.neighbours import below_and_above, within_reach
from anomae.slices.store import Slices

Made = tuple[npt.NDArray[np.str_], npt.NDArray[np.int64]]


@st.composite
def stores(draw: st.DrawFn) -> Made:
    """Case and slice number of some images in any order; no number twice in a case."""
    pairs = draw(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 8)), min_size=1, max_size=20, unique=True))
    return np.array([case for case, _ in pairs]), np.array([number for _, number in pairs])


def numbered(count: int) -> npt.NDArray[np.float32]:
    """Images (count, 1, 1) that hold their own row."""
    return np.arange(count, dtype=np.float32).reshape(-1, 1, 1)


def beside(slices: Slices) -> npt.NDArray[np.int64]:
    """Rows of all neighbours, (len, 2)."""
    return slices.neighbours(slice(None))[:, :, 0, 0, 0].astype(np.int64)


@given(made=stores(), data=st.data())
def test_against_a_search_one_by_one(made: Made, data: st.DataObject) -> None:
    case, number = made
    every = list(range(len(case)))
    rows = np.array(data.draw(st.lists(st.sampled_from(every), max_size=20)), dtype=np.int64)
    among = data.draw(st.none() | st.lists(st.sampled_from(every), max_size=20))
    allowed = {*rows.tolist(), *(among or [])}
    row_of = {(case[row], number[row]): row for row in allowed}
    slices = Slices(numbered(len(case)), rows, made, None if among is None else np.array(among, dtype=np.int64))
    wanted = [[row_of.get((case[row], number[row] + step), row) for step in (-1, 1)] for row in rows]
    np.testing.assert_array_equal(beside(slices), np.array(wanted).reshape(-1, 2))


@given(made=stores(), seed=st.integers(0, 9))
def test_the_order_of_the_rows_does_not_matter(made: Made, seed: int) -> None:
    order = np.random.default_rng(seed).permutation(len(made[0]))
    shuffled = Slices(numbered(len(order)), None, (made[0][order], made[1][order]))
    straight = Slices(numbered(len(order)), None, made)
    np.testing.assert_array_equal(order[beside(shuffled)], beside(straight)[order])


@given(made=stores())
def test_cases_never_mix_and_gaps_stand_for_themselves(made: Made) -> None:
    case, number = made
    for row, pair in enumerate(beside(Slices(numbered(len(case)), None, made))):
        assert (case[pair] == case[row]).all()
        for side, step in zip(pair, (-1, 1), strict=True):
            there = ((case == case[row]) & (number == number[row] + step)).any()
            assert number[side] == number[row] + step if there else side == row


@given(made=stores(), reach=st.integers(0, 3), data=st.data())
def test_within_reach_against_a_search_one_by_one(made: Made, reach: int, data: st.DataObject) -> None:
    number = np.unique(made[1])
    aloof = np.array(data.draw(st.lists(st.booleans(), min_size=len(number), max_size=len(number))), np.bool_)
    groups = np.array(data.draw(st.lists(st.sampled_from(["", "x", "y"]), min_size=len(number), max_size=len(number))))
    order = np.random.default_rng(0).permutation(len(number))
    number = number[order]
    for row, found in enumerate(within_reach(number, reach, groups, aloof)):
        assert found[reach] == row
        may = (groups == groups[row]) & (groups != "") & (aloof | ~aloof[row])
        for step, index in zip(range(-reach, reach + 1), found, strict=True):
            there = np.flatnonzero((number == number[row] + step) & may)
            assert index == (there[0] if len(there) else row)


def test_within_a_reach_of_one_are_the_slices_below_and_above() -> None:
    number = np.array([4, 1, 2, 7, 3])
    below, above = below_and_above(np.zeros(5), number)
    np.testing.assert_array_equal(within_reach(number, 1, np.full(5, "all"))[:, [0, 2]], np.stack([below, above], 1))
    with pytest.raises(UserError, match="same number"):
        within_reach([1, 1], 1, ["all", "all"])
    assert within_reach([], 2, np.empty(0, dtype=np.str_)).shape == (0, 5)


def test_rows_are_those_of_the_selection() -> None:
    slices = Slices(numbered(6), np.array([4, 1, 2]), (list("aaabbb"), [0, 1, 2, 0, 1, 2]), np.array([0, 5]))
    assert slices.neighbours(slice(0, 2))[:, :, 0, 0, 0].tolist() == [[4, 5], [0, 2]]
    assert slices.neighbours(np.array([2]))[:, :, 0, 0, 0].tolist() == [[1, 2]]
    assert slices.neighbours(slice(0, 0)).shape == (0, 2, 1, 1, 1)


def test_without_an_order_each_stands_for_its_own_neighbours() -> None:
    assert beside(Slices(numbered(3), np.array([2, 0]))).tolist() == [[2, 2], [0, 0]]


def test_a_number_twice_in_a_case_is_refused() -> None:
    with pytest.raises(UserError, match="same number"):
        Slices(numbered(2), None, (["a", "a"], [3, 3])).neighbours(slice(None))

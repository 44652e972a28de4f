"""Few patients: how many hold a class, when there is no interval, and how much wider one is."""

from dataclasses import replace

import numpy as np
import pytest

from anomae.statistics.holders import Holders, fewest_of, holders, slice_holders, stretch, why_no_interval


def test_equal_weights_count_as_many_as_there_are_and_one_heavy_patient_as_about_one():
    assert holders("x", np.full(12, 7.0)).effective == pytest.approx(12)
    assert holders("x", [1000.0, 1, 1, 1]).effective == pytest.approx(1.0, abs=0.01)
    assert holders("x", [0, 0, 3.0]).patients == 1
    assert holders("x", []).patients == 0


def test_each_class_is_counted_by_its_own_patients():
    abnormal, normal = slice_holders([1, 1, 0, 0, 0, 1], np.array([0, 0, 0, 1, 2, 2]))
    assert (abnormal.patients, normal.patients) == (2, 3)
    assert abnormal.effective == pytest.approx(9 / 5)
    assert why_no_interval([abnormal, normal]) == "too few patients with abnormal slices (2): no interval"


def test_five_are_enough_for_an_interval():
    assert why_no_interval([holders("x", np.ones(5)), holders("y", np.ones(50))]) == ""
    assert why_no_interval([holders("x", np.ones(50)), holders("y", np.ones(4))]).startswith("too few patients with y")
    assert why_no_interval([]) == ""


def test_the_fewer_the_wider_and_above_thirty_as_it_is():
    found = [stretch([holders("x", np.ones(k)), holders("y", np.ones(50))]) for k in range(5, 32)]
    assert found[0] == pytest.approx(1.583, abs=0.001)
    assert (np.diff(found) < 0).all()
    assert found[-2] > 1.05
    assert found[-1] == 1.0
    assert stretch([]) == 1.0
    assert fewest_of([holders("x", np.ones(4)), holders("y", np.ones(3))]) == 3


@pytest.mark.parametrize(("mixed", "enough"), [(0, 30), (20, 45), (40, 60)])
def test_patients_with_both_classes_count_for_one(mixed, enough):
    label, patient = np.repeat([1, 0], 40), np.r_[np.arange(40), 40 - mixed + np.arange(40)]
    abnormal, normal = slice_holders(label, patient)
    assert (abnormal.enough, normal.enough) == (enough, enough)
    assert (stretch([abnormal, normal]) > 1) == (enough > 40)
    assert 1 < stretch([abnormal, normal], enough=np.inf) < 1.05


def test_many_patients_of_which_few_count_are_few():
    assert stretch([holders("x", [500.0] * 3 + [1.0] * 30)]) > 1


def test_some_figures_need_more_patients_than_five():
    normal = Holders("normal slices", 30, 30.0, needed=40)
    assert why_no_interval([holders("x", np.ones(5)), normal]) == (
        "too few patients with normal slices (30, not 40): no interval"
    )
    assert why_no_interval([replace(normal, patients=40)]) == ""
    assert why_no_interval([holders("x", np.ones(3)), replace(normal, patients=39)]).startswith(
        "too few patients with x"
    )

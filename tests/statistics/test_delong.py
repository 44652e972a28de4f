"""DeLong's test equals the definition written out, and its p-values are even where there is no difference."""

import numpy as np
import pytest
from scipy.stats import norm, t

from anomae.errors import UserError
from anomae.statistics.delong import auroc_covariance, delong_test, holm
from anomae.statistics.metrics import auroc


def written_out(labels, columns):
    """The structural components from every single pair."""
    truth = np.asarray(labels).astype(bool)
    areas, rows, sides = [], [], []
    for scores in columns:
        wins = np.array([[1.0 if x > y else 0.5 if x == y else 0.0 for y in scores[~truth]] for x in scores[truth]])
        areas.append(wins.mean())
        rows.append(wins.mean(axis=1))
        sides.append(wins.mean(axis=0))
    covariance = np.cov(rows) / truth.sum() + np.cov(sides) / (~truth).sum()
    return np.array(areas), covariance


@pytest.mark.parametrize("digits", [8, 0])  # 0: nearly all tied
def test_equal_to_the_definition(digits):
    rng = np.random.default_rng(0)
    labels = np.arange(60) % 3 == 0
    columns = np.round(rng.normal(size=(2, 60)) + labels, digits)
    areas, covariance = auroc_covariance(labels.astype(int), columns)
    expected = written_out(labels, columns)
    np.testing.assert_allclose(areas, expected[0], atol=1e-12)
    np.testing.assert_allclose(covariance, expected[1], atol=1e-12)
    assert areas[0] == pytest.approx(auroc(labels.astype(int), columns[0]))


def test_by_hand():
    # Abnormal 3, 1; normal 2, 0.  One: wins (3>2, 3>0, 1>0) = 3/4; components (1, 1/2) and (1/2, 1): variance
    # 1/8 / 2 + 1/8 / 2 = 1/8.  Other is perfect: 1, no variance.
    areas, covariance = auroc_covariance([1, 1, 0, 0], np.array([[3.0, 1, 2, 0], [3, 3, 0, 0]]))
    assert areas.tolist() == [0.75, 1.0]
    np.testing.assert_allclose(covariance, [[0.125, 0], [0, 0]], atol=1e-12)


def test_z_and_p_are_those_of_the_covariance_and_few_patients_go_by_student():
    rng = np.random.default_rng(5)
    for count, freedom in ((60, None), (12, 11)):
        labels = np.arange(2 * count) % 2
        columns = rng.normal(size=(2, 2 * count)) + labels
        areas, covariance = auroc_covariance(labels, columns)
        error = np.sqrt(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1])
        error *= 1 if freedom is None else np.sqrt(count / (count - 1))
        law = norm if freedom is None else t(freedom)
        found = delong_test(labels, *columns)
        assert found.p == pytest.approx(2 * law.sf(abs(areas[0] - areas[1]) / error))
        assert found.high - found.difference == pytest.approx(law.ppf(0.975) * error)


def test_copies_of_an_image_bring_nothing_new():
    rng = np.random.default_rng(6)
    labels = np.arange(60) % 3 == 0
    columns = np.round(rng.normal(size=(2, 60)) + labels, 1)
    alone = delong_test(labels, *columns)
    assert delong_test(labels, *columns, np.arange(60)) == alone
    copied = delong_test(np.tile(labels, 7), *np.tile(columns, 7), np.tile(np.arange(60), 7))
    assert (copied.low, copied.high, copied.p) == pytest.approx((alone.low, alone.high, alone.p))
    assert delong_test(np.tile(labels, 7), *np.tile(columns, 7)).p < alone.p  # taken as independent


def test_slices_of_one_patient_may_hold_both_classes():
    # By the delete-one-patient jackknife, which the covariance comes near to where patients are many.
    rng = np.random.default_rng(7)
    patient = np.repeat(np.arange(150), 4)
    labels = rng.random(600) < 0.4
    scores = labels + rng.normal(size=600) + 2 * rng.normal(size=150)[patient]
    _, covariance = auroc_covariance(labels, scores[None], patient)
    left = np.array([auroc(labels[patient != who], scores[patient != who]) for who in range(150)])
    assert covariance[0, 0] == pytest.approx(149 / 150 * np.square(left - left.mean()).sum(), rel=0.05)
    assert covariance[0, 0] < auroc_covariance(labels, scores[None])[1][0, 0]


@pytest.mark.parametrize("few", [1, 4])
def test_too_few_patients_give_no_interval_and_no_p(few):
    rng = np.random.default_rng(8)
    patient = np.repeat(np.arange(30), 20)
    for labels, words in ((patient < few, "abnormal slices"), (patient >= few, "normal slices")):
        found = delong_test(labels, *rng.normal(size=(2, 600)), patient)
        assert (found.low, found.high, found.z, found.p) == (None,) * 4
        assert found.why == f"too few patients with {words} ({few}): no interval"


def test_turned_round_and_equal():
    rng = np.random.default_rng(1)
    labels = np.arange(50) % 2
    one, other = rng.normal(size=(2, 50)) + labels
    forth, back = delong_test(labels, one, other), delong_test(labels, other, one)
    assert (forth.difference, forth.p) == (pytest.approx(-back.difference), pytest.approx(back.p))
    same = delong_test(labels, one, np.exp(one))
    assert (same.difference, same.z, same.p) == (0.0, None, 1.0)
    apart = delong_test(labels, labels, 1 - labels)  # no spread, so no saying how sure
    assert (apart.difference, apart.low, apart.p, apart.why) == (1.0, None, None, "no two patients differ: no interval")


def test_the_p_values_are_even_without_a_difference():
    rng = np.random.default_rng(2)
    labels = np.arange(80) % 2
    ps = [delong_test(labels, *(rng.normal(size=(2, 80)) + 0.7 * labels)).p for _ in range(400)]
    assert 0.02 <= np.mean(np.array(ps) < 0.05) <= 0.09
    assert 0.42 <= np.mean(np.array(ps) < 0.5) <= 0.58


@pytest.mark.parametrize("ill", [6, 15, 40])
def test_the_p_values_of_clustered_slices_claim_no_difference_too_often(ill):
    rng = np.random.default_rng(3)
    patient = np.repeat(np.arange(50), 6)
    ps = []
    for _ in range(300):
        own = 2 * rng.normal(size=(2, 50))[:, patient] + rng.normal(size=(2, 300))
        ps.append(delong_test(patient < ill, *own, patient).p)
    assert np.mean(np.array(ps) < 0.05) <= 0.08


def test_one_class_and_nan_are_refused():
    with pytest.raises(UserError, match="both classes"):
        delong_test([1, 1], [0, 1], [1, 0])
    with pytest.raises(UserError, match="not finite"):
        delong_test([0, 1], [0, np.nan], [1, 0])


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.9]) == [1.0, 1.0]

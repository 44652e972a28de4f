"""DeLong's test equals the definition written out, and its p-values are even where there is no difference."""

import numpy as np
import pytest

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
    # 1/8 / 2 + 1/8 / 2 = 1/8.  Other is perfect: 1, no variance.  z = -0.25 / sqrt(1/8) = -0.7071.
    found = delong_test([1, 1, 0, 0], [3, 1, 2, 0], [3, 3, 0, 0])
    assert found.difference == -0.25
    assert found.z == pytest.approx(-(0.5**0.5))
    assert found.p == pytest.approx(0.4795, abs=1e-4)
    assert found.high == pytest.approx(-0.25 + 1.959964 * 0.125**0.5, abs=1e-5)


def test_turned_round_and_equal():
    rng = np.random.default_rng(1)
    labels = np.arange(50) % 2
    one, other = rng.normal(size=(2, 50)) + labels
    forth, back = delong_test(labels, one, other), delong_test(labels, other, one)
    assert (forth.difference, forth.p) == (pytest.approx(-back.difference), pytest.approx(back.p))
    same = delong_test(labels, one, np.exp(one))
    assert (same.difference, same.z, same.p) == (0.0, None, 1.0)
    assert delong_test(labels, labels, 1 - labels).p == 0.0


def test_the_p_values_are_even_without_a_difference():
    rng = np.random.default_rng(2)
    labels = np.arange(80) % 2
    ps = [delong_test(labels, *(rng.normal(size=(2, 80)) + 0.7 * labels)).p for _ in range(400)]
    assert 0.02 <= np.mean(np.array(ps) < 0.05) <= 0.09
    assert 0.42 <= np.mean(np.array(ps) < 0.5) <= 0.58


def test_one_class_and_nan_are_refused():
    with pytest.raises(UserError, match="both classes"):
        delong_test([1, 1], [0, 1], [1, 0])
    with pytest.raises(UserError, match="not finite"):
        delong_test([0, 1], [0, np.nan], [1, 0])


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.9]) == [1.0, 1.0]

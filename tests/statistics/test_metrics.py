"""Metrics equal scikit-learn and figures worked out by hand."""

import numpy as np
import pytest
from sklearn import metrics as reference

from anomae.statistics import metrics
from anomae.statistics.metric_specs import METRICS


def random_case(seed: int, ties: bool) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = (rng.random(400) < 0.3).astype(int)
    scores = rng.normal(size=400) + labels
    return labels, np.round(scores, 1) if ties else scores


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("seed", range(8))
def test_equal_to_scikit_learn(seed, ties):
    labels, scores = random_case(seed, ties)
    assert metrics.auroc(labels, scores) == pytest.approx(reference.roc_auc_score(labels, scores), abs=1e-12)
    expected = reference.average_precision_score(labels, scores)
    assert metrics.average_precision(labels, scores) == pytest.approx(expected, abs=1e-12)
    fpr, tpr, thresholds = reference.roc_curve(labels, scores, drop_intermediate=False)
    ours = metrics.roc_points(labels, scores)
    np.testing.assert_allclose(ours[0], fpr)
    np.testing.assert_allclose(ours[1], tpr)
    np.testing.assert_array_equal(ours[2], thresholds)
    assert metrics.fpr_at_tpr(labels, scores, 0.95) == pytest.approx(fpr[tpr >= 0.95].min())
    for specificity in (0.5, 0.9, 0.95, 0.99, 1.0):
        expected = tpr[1 - fpr >= specificity - 1e-12].max()
        assert metrics.sensitivity_at_specificity(labels, scores, specificity) == pytest.approx(expected)
    precision, recall, at = reference.precision_recall_curve(labels, scores)
    ours = metrics.precision_recall_points(labels, scores)
    np.testing.assert_allclose(ours[0], precision[:-1][::-1])
    np.testing.assert_allclose(ours[1], recall[:-1][::-1])
    np.testing.assert_array_equal(ours[2], at[::-1])
    expected = reference.balanced_accuracy_score(labels, scores >= 0.5)
    assert metrics.balanced_accuracy(labels, scores, 0.5) == pytest.approx(expected)


def test_by_hand():
    labels, scores = [0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8]
    assert metrics.auroc(labels, scores) == 0.75  # of four pairs, (0.35, 0.4) alone is in the wrong order
    assert metrics.average_precision(labels, scores) == pytest.approx(0.5 * 1 + 0.5 * 2 / 3)
    assert metrics.fpr_at_tpr(labels, scores) == 0.5
    assert metrics.sensitivity_at_specificity(labels, scores, 1.0) == 0.5
    assert metrics.sensitivity_at_specificity(labels, scores, 0.5) == 1.0


def test_equal_scores_say_nothing():
    labels = [0, 0, 0, 1]
    assert metrics.auroc(labels, np.zeros(4)) == 0.5
    assert metrics.average_precision(labels, np.zeros(4)) == 0.25
    assert metrics.fpr_at_tpr(labels, np.zeros(4)) == 1.0
    assert metrics.sensitivity_at_specificity(labels, np.zeros(4)) == 0.0


def test_minus_zero_equals_zero():
    assert metrics.auroc([0, 1], [0.0, -0.0]) == 0.5


def test_reversed_is_the_mirror():
    labels, scores = random_case(3, ties=True)
    assert metrics.auroc(labels, -scores) == pytest.approx(1 - metrics.auroc(labels, scores), abs=1e-12)


@pytest.mark.parametrize("ties", [False, True])
def test_whole_number_weights_are_repeated_rows(ties):
    labels, scores = random_case(5, ties)
    weights = np.random.default_rng(1).integers(0, 4, (6, len(labels)))
    counts = metrics.Ranked(labels, scores).counts(weights.astype(np.float64))
    for name, spec in METRICS.items():
        found = spec.function(*counts)
        for row, times in enumerate(weights):
            repeated = metrics.Ranked(np.repeat(labels, times), np.repeat(scores, times)).counts()
            assert found[row] == pytest.approx(spec.function(*repeated)[0], abs=1e-12), name


def test_a_resample_of_one_class_gives_no_figure():
    labels, scores = np.array([0, 0, 1, 1]), np.array([1.0, 2.0, 3.0, 4.0])
    only_one = np.array([[1.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 1.0]])
    counts = metrics.Ranked(labels, scores).counts(only_one)
    for name, spec in METRICS.items():
        assert np.isnan(spec.function(*counts)).all(), name

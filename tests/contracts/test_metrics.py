"""What every metric must do: laws that hold for all of them, whatever they measure."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as reference

from anomae.errors import UserError
from anomae.statistics import metrics
from anomae.statistics.delong import auroc_covariance
from anomae.statistics.metric_specs import METRICS as SPECS
from anomae.statistics.metric_specs import MetricSpec


def middle(scores: Any) -> float:
    return float(np.sort(np.asarray(scores))[len(scores) // 2]) if len(scores) else 0.0


def of_spec(spec: MetricSpec) -> Callable[..., float]:
    return lambda labels, scores: float(spec.function(*metrics.Ranked(labels, scores).counts())[0])


def curve(labels: Any, scores: Any) -> tuple[Any, Any]:
    """Specificity and sensitivity at every threshold, by scikit-learn."""
    fpr, tpr, _ = reference.roc_curve(labels, scores, drop_intermediate=False)
    return 1 - fpr, tpr


def sensitivity_at(specificity: float) -> Callable[..., float]:
    def found(labels: Any, scores: Any) -> float:
        specificities, sensitivities = curve(labels, scores)
        return float(sensitivities[specificities >= specificity - 1e-9].max())

    return found


# Every metric of the list, computed in another way: a new one is entered here too.
REFERENCES: dict[str, Callable[..., float]] = {
    "auroc": reference.roc_auc_score,
    "average_precision": reference.average_precision_score,
    "fpr_at_95_tpr": lambda labels, scores: (
        1 - max(s for s, t in zip(*curve(labels, scores), strict=True) if t >= 0.95)
    ),
    "sensitivity_at_90_specificity": sensitivity_at(0.90),
    "sensitivity_at_95_specificity": sensitivity_at(0.95),
    "sensitivity_at_99_specificity": sensitivity_at(0.99),
}
METRICS: dict[str, Callable[..., Any]] = {
    **{name: of_spec(spec) for name, spec in SPECS.items()},
    "auroc of one score": metrics.auroc,
    "average precision of one score": metrics.average_precision,
    "fpr_at_tpr": metrics.fpr_at_tpr,
    "sensitivity_at_specificity": metrics.sensitivity_at_specificity,
    "balanced_accuracy": lambda labels, scores: metrics.balanced_accuracy(labels, scores, middle(scores)),
    "auroc of DeLong": lambda labels, scores: float(
        auroc_covariance(labels, np.asarray(scores, dtype=float)[None])[0][0]
    ),
    "roc_points": lambda labels, scores: metrics.roc_points(labels, scores)[:2],
    "precision_recall_points": lambda labels, scores: metrics.precision_recall_points(labels, scores)[:2],
}


@st.composite
def labelled_scores(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """Both classes, and few distinct scores, so that there are ties."""
    count = draw(st.integers(2, 40))
    scores = draw(st.lists(st.integers(-6, 6), min_size=count, max_size=count))
    labels = draw(st.lists(st.integers(0, 1), min_size=count, max_size=count))
    labels[0], labels[1] = 0, 1
    return np.array(labels), np.array(scores, dtype=np.float64)


@pytest.fixture(params=sorted(METRICS))
def metric(request: pytest.FixtureRequest) -> Callable[..., Any]:
    return METRICS[request.param]


def test_every_metric_of_the_list_has_a_reference_here():
    assert set(REFERENCES) == set(SPECS)
    assert all(name == spec.name for name, spec in SPECS.items())


@pytest.mark.parametrize("name", sorted(REFERENCES))
@settings(max_examples=50, deadline=None, derandomize=True)
@given(case=labelled_scores())
def test_a_metric_equals_its_reference(name, case):
    np.testing.assert_allclose(METRICS[name](*case), REFERENCES[name](*case), atol=1e-9)


@pytest.mark.parametrize("name", sorted(SPECS))
@settings(max_examples=25, deadline=None, derandomize=True)
@given(case=labelled_scores())
def test_the_direction_is_the_better_end(name, case):
    labels, scores = case
    sign = 1 if SPECS[name].direction == "higher is better" else -1
    perfect = METRICS[name](labels, labels.astype(float))
    assert perfect == pytest.approx(1.0 if sign > 0 else 0.0)
    assert sign * METRICS[name](labels, scores) <= sign * perfect + 1e-12


@pytest.mark.parametrize("name", sorted(set(METRICS) - {"balanced_accuracy"}))
@pytest.mark.parametrize("transform", [lambda x: 3 * x - 7, np.exp, lambda x: x**3, np.arctan])
@settings(max_examples=25, deadline=None, derandomize=True)
@given(case=labelled_scores())
def test_a_strictly_increasing_transform_changes_nothing(name, transform, case):
    labels, scores = case
    np.testing.assert_allclose(METRICS[name](labels, transform(scores)), METRICS[name](labels, scores), atol=1e-12)


@pytest.mark.parametrize("name", sorted(METRICS))
@settings(max_examples=25, deadline=None, derandomize=True)
@given(case=labelled_scores(), seed=st.integers(0, 1000))
def test_the_order_of_rows_changes_nothing(name, case, seed):
    labels, scores = case
    order = np.random.default_rng(seed).permutation(len(labels))
    np.testing.assert_allclose(METRICS[name](labels[order], scores[order]), METRICS[name](labels, scores), atol=1e-12)


@pytest.mark.parametrize("name", sorted(METRICS))
@settings(max_examples=25, deadline=None, derandomize=True)
@given(case=labelled_scores())
def test_figures_lie_between_0_and_1(name, case):
    found = np.concatenate([np.ravel(part) for part in np.atleast_1d(METRICS[name](*case))])
    assert (found >= 0).all()
    assert (found <= 1).all()


@pytest.mark.parametrize("name", sorted(METRICS))
@settings(max_examples=25, deadline=None, derandomize=True)
@given(case=labelled_scores())
def test_every_row_twice_changes_nothing(name, case):
    labels, scores = case
    twice = METRICS[name](np.tile(labels, 2), np.tile(scores, 2))
    np.testing.assert_allclose(twice, METRICS[name](labels, scores), atol=1e-12)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_score_that_is_not_finite_is_refused(metric, bad):
    with pytest.raises(UserError, match="not finite"):
        metric([0, 1, 0], [0.1, bad, 0.3])


@pytest.mark.parametrize("labels", [[0, 0, 0], [1, 1, 1]])
def test_one_class_is_refused(metric, labels):
    with pytest.raises(UserError, match="both classes"):
        metric(labels, [0.1, 0.2, 0.3])


def test_unequal_lengths_are_refused(metric):
    with pytest.raises(UserError, match="one label for each"):
        metric([0, 1], [0.1, 0.2, 0.3])


@pytest.mark.parametrize("labels", [[0, 1, -1], [0, 1, 2], [0.0, 1.0, 0.5]])
def test_a_label_that_is_neither_0_nor_1_is_refused(metric, labels):
    with pytest.raises(UserError, match="Labels must be"):
        metric(labels, [0.1, 0.2, 0.3])


def test_empty_input_is_refused(metric):
    with pytest.raises(UserError):
        metric([], [])

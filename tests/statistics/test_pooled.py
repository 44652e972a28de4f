"""Pooled figures: those of scikit-learn, with paired differences to every baseline, whatever the scale of a fold."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from anomae.errors import UserError
from anomae.statistics.intervals import PatientBootstrap, paired_difference
from anomae.statistics.pooled import PooledEvaluation, mean_of_scores, spread, standardised

from .test_trivial_baselines import slices_of


def made_up(patients=12, seed=0):
    """Slices of scans of ten, and two scores and two baselines of them."""
    rng = np.random.default_rng(seed)
    label = (rng.random(patients * 10) < 0.3).astype(np.int8)
    slices = slices_of(label, relative_position=np.tile(np.linspace(0, 1, 10), patients))
    scores = {"score": label + rng.normal(0, 0.7, len(label)), "score_other": rng.normal(size=len(label))}
    trivial_baselines = {
        "mean": rng.normal(size=len(label)) + 0.3 * label,
        "position_with_labels": label + rng.normal(size=len(label)),
    }
    return slices, scores, trivial_baselines


def test_figures_are_those_of_scikit_learn_and_differences_are_paired():
    slices, scores, trivial_baselines = made_up()
    evaluation = PooledEvaluation(slices, trivial_baselines, resamples=300, seed=4)
    found = evaluation.figures(scores)
    middle = (slices.relative_position >= 0.35) & (slices.relative_position <= 0.8)
    bootstrap = PatientBootstrap(slices.patient, 300, 4)
    for name, score in scores.items():
        assert found[name]["all"]["auroc"]["value"] == pytest.approx(roc_auc_score(slices.label, score))
        expected = roc_auc_score(slices.label[middle], score[middle])
        assert found[name]["mid"]["auroc"]["value"] == pytest.approx(expected)
        aurocs = bootstrap.aurocs(slices.label, {name: score, **trivial_baselines})
        assert set(found[name]["all"]["differences"]) == set(trivial_baselines)
        for trivial_baseline in trivial_baselines:
            expected = paired_difference(aurocs[name], aurocs[trivial_baseline]).to_json()
            assert found[name]["all"]["differences"][trivial_baseline] == expected
    pairs = wins = 0
    for number in range(10):
        here = slices.slice == number
        one, other = (scores["score"][here & (slices.label == label)] for label in (1, 0))
        pairs, wins = pairs + len(one) * len(other), wins + np.sum(one[:, None] > other[None])
    assert found["score"]["position"]["auroc"]["value"] == pytest.approx(wins / pairs)


def test_the_best_baseline_has_seen_no_label():
    slices, scores, trivial_baselines = made_up()
    evaluation = PooledEvaluation(slices, trivial_baselines, resamples=100)
    assert evaluation.baselines()["position_with_labels"]["strata"]["all"]["value"] > 0.6
    assert next(iter(evaluation.baselines())) == "position_with_labels"
    assert set(evaluation.best_baselines().values()) == {"mean"}
    figures = evaluation.figures(scores)["score"]["all"]
    assert figures["gain"] == figures["differences"]["mean"]
    assert PooledEvaluation(slices, {}, resamples=100).figures(scores)["score"]["all"]["gain"] is None


def test_counts_are_of_what_is_compared():
    slices, _, trivial_baselines = made_up()
    counts = PooledEvaluation(slices, trivial_baselines, resamples=100).counts()
    assert list(counts) == ["all", "mid", "position"]
    assert counts["all"] == {
        "normal": int(np.sum(slices.label == 0)),
        "abnormal": int(np.sum(slices.label)),
        "patients": 12,
    }
    assert counts["mid"]["normal"] + counts["mid"]["abnormal"] == 12 * 4


def test_what_is_not_known_is_left_out_and_one_class_is_refused():
    label = np.arange(40) % 2
    counts = PooledEvaluation(slices_of(label), {}, resamples=100).counts()
    assert list(counts) == ["all"]
    with pytest.raises(UserError, match="one class only"):
        PooledEvaluation(slices_of(np.zeros(40)), {}, resamples=100)


def test_scores_stand_on_the_scale_of_the_healthy_ones():
    rng = np.random.default_rng(1)
    healthy, scores = rng.normal(5, 3, 200), rng.normal(6, 3, 50)
    found = standardised(scores, healthy)
    np.testing.assert_allclose(found, (scores - np.mean(healthy)) / np.sqrt(np.mean((healthy - np.mean(healthy)) ** 2)))
    np.testing.assert_allclose(standardised(7 * scores - 2, 7 * healthy - 2), found)  # no unit is left
    assert standardised(scores, np.full(9, 2.0)) is None


@pytest.mark.parametrize("power", [-1000, -500, 300, 1018])
def test_a_power_of_two_is_no_unit_either(power):
    rng = np.random.default_rng(1)
    healthy, scores = rng.normal(5, 3, 200), rng.normal(6, 3, 50)
    found = standardised(np.ldexp(scores, power), np.ldexp(healthy, power))
    np.testing.assert_allclose(found, standardised(scores, healthy), rtol=1e-13)


def test_what_no_number_holds_is_refused_and_what_one_holds_is_kept():
    largest, tiny = np.finfo(np.float64).max, np.array([0.0, 1e-300])
    with pytest.raises(UserError, match="too far from the held-out healthy ones"):
        standardised(np.array([largest]), tiny)
    columns = [{"score": np.array([sign * largest, 1.0])} for sign in (1, 1, 1)]
    np.testing.assert_allclose(mean_of_scores(columns)["score"], [largest, 1.0])
    columns[2] = {"score": np.array([-largest, 1.0])}
    np.testing.assert_allclose(mean_of_scores(columns)["score"], [largest / 3, 1.0])


def test_the_mean_is_of_what_all_have():
    columns = [{"score": np.array([0.0, 2.0]), "x": np.array([1.0, 1.0])}, {"score": np.array([4.0, 0.0])}]
    found = mean_of_scores(columns)
    assert list(found) == ["score"]
    np.testing.assert_array_equal(found["score"], [2.0, 1.0])


def test_a_spread_leaves_out_what_is_not_known():
    assert spread([0.5, None, 0.7]) == {"values": [0.5, None, 0.7], "mean": pytest.approx(0.6), "min": 0.5, "max": 0.7}
    assert spread([None]) == {"values": [None], "mean": None, "min": None, "max": None}

"""Comparisons: paired figures, seeds and merged ranks are what they say."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import rankdata

from anomae.reports.comparison import compare_scores, comparison_notes, mean_rank
from anomae.statistics.delong import delong_test
from anomae.statistics.intervals import PatientBootstrap
from anomae.statistics.metrics import auroc
from anomae.statistics.trivial_baselines import known_baselines

from .test_assessment import DEPTH, made_up

GROUPS = {"a": ["a", "b"], "c": ["c"]}


@pytest.fixture(scope="module")
def compared():
    slices = made_up()
    rng = np.random.default_rng(1)
    gains = {"a": 2, "b": 2, "c": 0.5}
    scores = {name: slices.label * gain + rng.normal(size=len(slices)) for name, gain in gains.items()}
    trivial_baselines = known_baselines(slices, slices.relative_position, DEPTH)
    return (
        slices,
        scores,
        compare_scores(slices, scores, trivial_baselines, GROUPS, PatientBootstrap(slices.patient, 200)).model_dump(),
    )


def test_pairs(compared):
    slices, scores, found = compared
    assert [(pair["one"], pair["other"]) for pair in found["pairs"]] == [("a", "b"), ("a", "c"), ("b", "c")]
    pair = found["pairs"][1]
    who = np.unique(slices.patient, return_inverse=True)[1]
    difference = auroc(slices.label, scores["a"]) - auroc(slices.label, scores["c"])
    assert pair["difference"]["value"] == pytest.approx(difference)
    assert 0 < pair["difference"]["low"] < difference < pair["difference"]["high"]
    assert pair["delong"]["p"] == pytest.approx(delong_test(slices.label, scores["a"], scores["c"], who).p)
    assert pair["delong"]["low"] < difference < pair["delong"]["high"]
    assert pair["delong"]["p_holm"] >= pair["delong"]["p"]


def test_spread_over_seeds(compared):
    slices, scores, found = compared
    assert list(found["seeds"]) == ["a"]
    values = [auroc(slices.label, scores[name]) for name in "ab"]
    spread = found["seeds"]["a"]["metrics"]["auroc"]
    assert spread["mean"] == pytest.approx(np.mean(values))
    assert spread["sd"] == pytest.approx(np.std(values, ddof=1))
    assert (spread["min"], spread["max"]) == (pytest.approx(min(values)), pytest.approx(max(values)))


def test_merged(compared):
    slices, scores, found = compared
    mean = mean_rank(list(scores.values()))
    np.testing.assert_allclose(mean, sum(rankdata(column) for column in scores.values()) / 3 / len(slices))
    assert found["merged"]["auroc"]["value"] == pytest.approx(auroc(slices.label, mean))
    np.testing.assert_allclose(mean_rank([np.exp(scores["a"]), 5 * scores["b"], scores["c"]]), mean)


def test_the_verdict_names_the_best_and_the_baseline(compared):
    _, _, found = compared
    best = max("ab", key=lambda name: found["runs"][name]["auroc"]["value"])
    assert found["verdict"].startswith(f"Best: {best}, AUROC ")
    pair = next(pair for pair in found["pairs"] if {pair["one"], pair["other"]} == {"a", "b"})
    clear = pair["difference"]["low"] * pair["difference"]["high"] > 0
    assert ("more than chance" if clear else "not distinguishable from zero") in found["verdict"]
    assert "over 2 seeds of a mean AUROC" in found["verdict"]
    assert (
        f"the best trivial baseline, {found['trivial_baselines'][found['best_trivial_baseline']]['title']}"
        in found["verdict"]
    )
    assert found["runs"]["a"]["position_matched_auroc"]["value"] > 0.8


@pytest.mark.parametrize("few", [1, 4])
def test_few_abnormal_patients_give_no_interval_anywhere_and_no_verdict(few):
    rng = np.random.default_rng(4)
    slices = made_up()
    label = np.where(np.isin(slices.patient, np.unique(slices.patient)[:few]), np.arange(len(slices)) % 2, 0)
    slices = replace(slices, label=label.astype(np.int8))
    scores = {name: rng.normal(size=len(slices)) for name in "abc"}
    baselines = known_baselines(slices, slices.relative_position, DEPTH)
    bootstrap = PatientBootstrap(slices.patient, 50)
    found = compare_scores(slices, scores, baselines, GROUPS, bootstrap).model_dump()

    def ends(section):
        if isinstance(section, dict):
            yield from (section[end] for end in ("low", "high", "p", "p_holm", "z") if end in section)
            section = section.values()
        if not isinstance(section, str | float | int | None):
            for part in section:
                yield from ends(part)

    ends = list(ends(found))
    assert len(ends) > 60
    assert set(ends) == {None}
    why = f"too few patients with abnormal slices ({few}): no interval"
    assert found["verdict"].startswith("Highest: ")
    assert why in found["verdict"]
    assert "more than chance" not in found["verdict"]
    assert "Best" not in found["verdict"]
    notes = comparison_notes(slices, scores["a"], bootstrap)
    assert notes[0] == f"T{why[1:]}, and no verdict of better or worse."
    assert any("images of one patient taken together" in note for note in notes)


def test_the_best_of_runs_that_are_worse_than_chance_is_called_so(compared):
    slices, scores, _ = compared
    turned = {name: -column for name, column in scores.items()}
    said = compare_scores(slices, turned, {}, {}, PatientBootstrap(slices.patient, 100)).verdict
    assert ", worse than chance; " in said

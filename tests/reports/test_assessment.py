"""The figures of a whole report hang together."""

import json

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from anomae.errors import UserError
from anomae.reports.assessment import assess
from anomae.statistics.intervals import PatientBootstrap
from anomae.statistics.metrics import auroc
from anomae.statistics.scored import ScoredSlices
from anomae.statistics.trivial_baselines import known_baselines

DEPTH = 20


def made_up(patients: int = 24, seed: int = 0) -> ScoredSlices:
    """Scans of 20 slices whose lesions stand mid-scan; every third patient is healthy; the ends are empty."""
    rng = np.random.default_rng(seed)
    count = patients * DEPTH
    number = np.tile(np.arange(DEPTH), patients)
    sick = np.repeat(np.arange(patients) % 3 != 0, DEPTH)
    centre = np.repeat(rng.normal(DEPTH / 2, 1.5, patients), DEPTH)
    names = np.repeat(np.array([f"p{k}" for k in range(patients)]), DEPTH)
    return ScoredSlices(
        case=names,
        patient=names,
        slice=number.astype(np.int64),
        label=(sick & (np.abs(number - centre) < 4)).astype(np.int8),
        relative_position=number / (DEPTH - 1),
        empty=(number == 0) | (number == DEPTH - 1),
        body_fraction=np.clip(0.5 - np.abs(number - 10) / 20 + rng.normal(0, 0.02, count), 0, 1),
        site=np.where(np.arange(count) < count // 2, "A", "B"),
    )


def assessed(slices: ScoredSlices, score: np.ndarray, **more):
    trivial_baselines = known_baselines(slices, slices.relative_position, DEPTH)
    bootstrap = PatientBootstrap(slices.patient, 200, **more)
    return assess(slices, {"score": score, "score_mae": score**3}, trivial_baselines, bootstrap).model_dump()


def test_a_score_that_is_position_gains_nothing_over_position():
    slices = made_up()
    found = assessed(slices, -np.abs(slices.relative_position - 0.5))
    assert found["trivial_baselines"]["position_centre"]["value"] == found["slice"]["auroc"]["value"] > 0.75
    assert found["gain"]["value"] <= 0
    assert found["tone"] != "above"
    assert "more than that baseline explains" not in found["verdict"]
    assert found["matched"]["position"]["scores"]["score"]["value"] < 0.65


def test_a_score_that_sees_lesions_gains():
    slices = made_up()
    found = assessed(slices, slices.label + np.random.default_rng(1).normal(0, 0.3, len(slices)))
    assert found["tone"] == "above"
    assert found["gain"]["low"] > 0
    assert "more than that baseline explains" in found["verdict"]
    assert found["matched"]["position"]["scores"]["score"]["value"] > 0.95
    assert found["patient"]["max"]["value"] > 0.9
    assert (found["patient"]["abnormal"], found["patient"]["normal"]) == (16, 8)


def test_the_sections_agree():
    slices = made_up()
    score = slices.label + np.random.default_rng(1).normal(size=len(slices))
    found = assessed(slices, score)
    assert found["slice"]["auroc"]["value"] == pytest.approx(auroc(slices.label, score))
    assert found["scores"]["score_mae"]["auroc"] == found["scores"]["score"]["auroc"]  # x**3 keeps the order
    assert found["strata"]["all"]["scores"]["score"] == found["slice"]["auroc"]
    assert found["strata"]["all"]["gain"] == found["gain"]
    assert set(found["strata"]) == {"all", "without_empty", "mid", "site: A", "site: B"}
    assert set(found["matched"]) == {"position", "tissue_area", "site"}
    assert found["strata"]["without_empty"]["slices"] == 24 * 18
    assert not found["trivial_baselines"][found["best_trivial_baseline"]]["uses_labels"]
    values = [trivial_baseline["value"] for trivial_baseline in found["trivial_baselines"].values()]
    assert values == sorted(values, reverse=True)
    for interval in (
        found["gain"],
        found["slice"]["average_precision"],
        *found["strata"]["mid"]["trivial_baselines"].values(),
    ):
        assert interval["low"] <= interval["value"] <= interval["high"]


def test_patients_have_every_metric_in_both_ways():
    slices = made_up()
    score = slices.label + np.random.default_rng(1).normal(size=len(slices))
    found = assessed(slices, score)["patient"]
    names = np.unique(slices.patient)
    truth = [int(slices.label[slices.patient == name].any()) for name in names]
    highest = [score[slices.patient == name].max() for name in names]
    three = [np.sort(score[slices.patient == name])[-3:].mean() for name in names]
    for way, column in (("max", highest), ("mean_of_top_3", three)):
        assert found["metrics"][way]["auroc"] == found[way]
        assert found[way]["value"] == pytest.approx(roc_auc_score(truth, column))
        value = found["metrics"][way]["average_precision"]["value"]
        assert value == pytest.approx(average_precision_score(truth, column))


def test_patients_of_one_slice_are_not_given_twice():
    slices = made_up().take(np.arange(0, 24 * DEPTH, DEPTH // 2))
    score = np.random.default_rng(1).normal(size=len(slices))
    assert assessed(slices, score)["patient"] is not None
    alone = slices.take(np.arange(1, len(slices), 2))
    found = assessed(alone, score[1::2])
    assert (found["patient"], found["volume"]) == (None, None)


def test_bands_hold_the_figures_of_their_slices():
    slices = made_up()
    score = slices.label + np.random.default_rng(1).normal(size=len(slices))
    found = assessed(slices, score)["bands"]
    assert set(found) == {"position", "tissue_area"}
    assert [row["name"] for row in found["position"]][::4] == ["0.0 to 0.2", "0.8 to 1.0"]
    for rows in found.values():
        assert sum(row["normal"] + row["abnormal"] for row in rows) == len(slices)
    middle = (slices.relative_position >= 0.4) & (slices.relative_position < 0.6)
    expected = auroc(slices.label[middle], score[middle])
    assert found["position"][2]["score"]["value"] == pytest.approx(expected)
    assert found["position"][0]["score"] is None or found["position"][0]["abnormal"] > 0


def test_equal_input_gives_equal_output_and_the_seed_moves_only_intervals():
    slices = made_up()
    score = slices.label + np.random.default_rng(1).normal(size=len(slices))
    one, same, other = assessed(slices, score), assessed(slices, score), assessed(slices, score, seed=5)
    assert json.dumps(one) == json.dumps(same)
    assert one["slice"]["auroc"]["value"] == other["slice"]["auroc"]["value"]
    assert json.dumps(one) != json.dumps(other)


def test_what_must_be_known_is_said():
    slices = made_up(patients=6)
    notes = " ".join(assessed(slices, np.where(slices.empty, 2.0, 1.0) + slices.label)["notes"])
    assert "Too few patients with abnormal slices (4): no interval, and no verdict of better or worse." in notes
    assert "come from patients who also have abnormal slices" in notes
    assert "12 of 120 test slices are empty" in notes
    assert "An empty slice scores above 100 % of the normal slices with content." in notes


@pytest.mark.parametrize("label", [0, 1])
def test_one_class_gives_counts_and_a_sentence(label):
    slices = made_up()
    one = slices.take(np.flatnonzero(slices.label == label))
    found = assess(
        one, {"score": np.arange(len(one), dtype=np.float64)}, {}, PatientBootstrap(one.patient, 100)
    ).model_dump()
    assert found["slice"]["auroc"] is None
    assert "so no AUROC can be given" in found["verdict"]
    json.dumps(found, allow_nan=False)


def test_a_score_that_is_no_number_is_refused():
    slices = made_up()
    with pytest.raises(UserError, match="1 values of score_mae are not finite"):
        assess(
            slices,
            {"score": np.zeros(len(slices)), "score_mae": np.where(np.arange(len(slices)) == 4, np.nan, 0)},
            {},
            PatientBootstrap(slices.patient, 100),
        )


def test_a_reversed_baseline_is_mentioned():
    slices = made_up()
    score = slices.label * 0.3 + np.random.default_rng(1).normal(size=len(slices))
    bootstrap = PatientBootstrap(slices.patient, 100)
    found = assess(slices, {"score": score}, {"mean": -slices.label.astype(np.float64)}, bootstrap).model_dump()
    assert found["trivial_baselines"]["mean"]["value"] == 0.0
    assert "mean intensity with its direction reversed gives 1.000" in found["verdict"]

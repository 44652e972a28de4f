"""What healthy slices with little tissue score above those with much is taken off, and nothing else."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from anomae.detectors.anomae.by_area import FEWEST, GROUPS, AreaExcess, areas_of
from anomae.detectors.anomae.detector import Anomae
from anomae.detectors.anomae.fitted import FittedAnomae
from anomae.detectors.anomae.method import anomae_recipe
from anomae.detectors.method import Situation
from anomae.detectors.protocol import Findings
from anomae.slices.store import Slices

from .test_measure import SPOT, settings

CURVE = AreaExcess((0.1, 0.3, 0.6), (2.0, 0.5, 0.0))
CHANCES = arrays.arrays(np.float64, 40, elements=st.floats(0, 1))
AREAS = arrays.arrays(np.float64, 40, elements=st.floats(0.01, 1))


def odds(chances: np.ndarray) -> np.ndarray:
    return np.log(chances / (1 - chances))


def drawn(slope: float, count: int = 600) -> tuple[np.ndarray, np.ndarray]:
    """Scores whose log odds go by `slope` with the area, and areas."""
    random = np.random.default_rng(0)
    areas = random.uniform(0.05, 0.6, count)
    return 1 / (1 + np.exp(-(slope * areas + random.normal(0, 1, count)))), areas


def test_a_fall_with_the_area_is_taken_off() -> None:
    scores, areas = drawn(-6.0)
    curve = AreaExcess.measured(scores, areas)
    assert len(curve.areas) == GROUPS
    assert np.all(np.diff(curve.areas) > 0)
    assert np.all(np.diff(curve.excess) <= 0)
    assert curve.excess[-1] == 0
    lowered = curve.lowered(scores, areas)
    assert np.corrcoef(odds(scores), areas)[0, 1] < -0.5
    assert abs(np.corrcoef(odds(lowered), areas)[0, 1]) < 0.1
    np.testing.assert_allclose(odds(scores) - odds(lowered), np.interp(areas, curve.areas, curve.excess), atol=1e-9)


@pytest.mark.parametrize("slope", [2.0, 20.0])
def test_where_scores_rise_with_the_area_nothing_is_taken_off(slope: float) -> None:
    scores, areas = drawn(slope)
    curve = AreaExcess.measured(scores, areas)
    assert set(curve.excess) == {0.0}
    assert np.array_equal(curve.lowered(scores, areas), scores)  # to the bit


@given(CHANCES, AREAS)
def test_scores_stay_probabilities_in_their_order_and_are_never_raised(scores: np.ndarray, areas: np.ndarray) -> None:
    lowered = CURVE.lowered(scores, areas)
    assert np.all((lowered >= 0) & (lowered <= scores))
    same = CURVE.lowered(np.sort(scores), np.full(40, 0.2))
    assert np.all(np.diff(same) >= 0)
    assert np.array_equal(CURVE.lowered(scores[:1], areas[:1]), lowered[:1])  # whatever stands beside it


def test_beyond_what_was_seen_it_is_as_at_the_ends() -> None:
    scores = np.full(2, 0.5)
    assert np.array_equal(CURVE.lowered(scores, np.array([0.0, 0.1])), CURVE.lowered(scores, np.array([0.1, 0.1])))
    assert np.array_equal(CURVE.lowered(scores, np.array([0.6, 1.0])), scores)


def test_too_few_slices_or_none_with_tissue_tell_nothing() -> None:
    scores, areas = drawn(-6.0, 2 * FEWEST - 1)
    assert set(AreaExcess.measured(scores, areas).excess) == {0.0}
    scores, areas = drawn(-6.0)
    assert set(AreaExcess.measured(scores, np.zeros(600)).excess) == {0.0}
    blank = np.concatenate([areas, np.zeros(300)])  # slices beside the head say nothing of those within
    assert AreaExcess.measured(np.concatenate([scores, np.ones(300)]), blank) == AreaExcess.measured(scores, areas)


def test_scores_of_0_and_1_are_borne() -> None:
    scores, areas = drawn(-6.0)
    scores[::3], scores[1::3] = 0.0, 1.0
    assert np.isfinite(AreaExcess.measured(scores, areas).excess).all()
    assert np.array_equal(CURVE.lowered(np.array([0.0, 1.0]), np.array([0.1, 0.1])), [0.0, 1.0])


def test_the_findings_keep_their_maps_and_say_what_the_heads_gave() -> None:
    images = np.zeros((2, 2, 10, 10), np.float32)  # of several channels, their mean
    images[0, 0, :1] = images[1, 1, :6] = 1
    np.testing.assert_allclose(areas_of(images), [0.1, 0.6])
    given = Findings(np.array([0.5, 0.5]), np.ones((2, 10, 10), np.float32), None, {"other": np.zeros(2)})
    found = CURVE.taken_off(given, images)
    np.testing.assert_allclose(found.scores, [1 / (1 + np.exp(2.0)), 0.5])
    assert found.maps is given.maps
    assert set(found.other_scores) == {"other", "highest_patches"}
    assert np.array_equal(found.other_scores["highest_patches"], given.scores)


@pytest.fixture(scope="module")
def fitted(healthy: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> FittedAnomae:
    made: Any = Anomae(settings(SPOT, by_area=True)).fit(
        Slices(healthy), seed=0, folder=tmp_path_factory.mktemp("by_area")
    )
    return dataclasses.replace(made, excess=CURVE)  # so short a training does not give one for sure


def test_a_fit_measures_it_on_its_healthy_images(healthy: np.ndarray, tmp_path: Path) -> None:
    made = Anomae(settings(None, by_area=True)).fit(Slices(healthy), seed=0, folder=tmp_path)
    by_heads = made.inspect_by_heads(healthy).scores
    assert made.excess == AreaExcess.measured(by_heads, areas_of(healthy))
    found = made.inspect(healthy)
    assert np.array_equal(found.other_scores["highest_patches"], by_heads)
    assert np.array_equal(found.scores, made.excess.lowered(by_heads, areas_of(healthy)))
    without = Anomae(settings(None)).fit(Slices(healthy), seed=0, folder=tmp_path / "without")
    assert without.excess is None
    assert without.inspect(healthy).other_scores == {}


def test_it_is_taken_off_before_a_measure_joins(fitted: FittedAnomae, healthy: np.ndarray) -> None:
    found, by_heads = fitted.inspect(healthy), fitted.inspect_by_heads(healthy)
    assert np.array_equal(found.other_scores["heads"], CURVE.lowered(by_heads.scores, areas_of(healthy)))
    assert np.array_equal(found.other_scores["highest_patches"], by_heads.scores)
    assert np.array_equal(found.maps, by_heads.maps)


def test_saved_and_read_it_scores_alike(fitted: FittedAnomae, healthy: np.ndarray, tmp_path: Path) -> None:
    fitted.save(tmp_path)
    again = Anomae.load(tmp_path)
    assert again.excess == CURVE
    assert np.array_equal(again.inspect(healthy[:5]).scores, fitted.inspect(healthy[:5]).scores)


def test_a_run_fitted_before_scores_as_it_did(fitted: FittedAnomae, healthy: np.ndarray, tmp_path: Path) -> None:
    from anomae.files import read_json, write_json

    fitted.save(tmp_path)
    content = read_json(tmp_path / "settings.json")
    del content["excess"], content["settings"]["by_area"]
    write_json(tmp_path / "settings.json", content)
    again = Anomae.load(tmp_path)
    assert again.excess is None
    assert np.array_equal(again.inspect(healthy).other_scores["heads"], fitted.inspect_by_heads(healthy).scores)


def test_brains_are_compared_by_area_and_nothing_else_is() -> None:
    assert anomae_recipe(Situation("lgg", "paper", (128, 128), aligned=True)).wants_area
    assert not anomae_recipe(Situation("lgg", "paper", (128, 128))).wants_area
    assert not anomae_recipe(Situation("luna16", "paper", (64, 64), aligned=True)).wants_area  # candidates

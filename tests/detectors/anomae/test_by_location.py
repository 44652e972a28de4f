"""What heads say of healthy patches at a location is taken off what they say of others there, and nothing else."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from anomae.detectors.anomae.by_location import FEWEST, GROUPS, HealthyOdds, areas_of
from anomae.detectors.anomae.detector import Anomae
from anomae.detectors.anomae.fitted import FittedAnomae, divided_odds
from anomae.detectors.anomae.method import anomae_recipe
from anomae.detectors.method import Situation
from anomae.files import read_json, write_json
from anomae.slices.store import Slices

from .test_measure import SPOT, settings

GRID = (6, 6)
CHANCES = arrays.arrays(np.float32, (3, *GRID), elements=st.floats(0, 1, width=32))


def odds(chances: np.ndarray) -> np.ndarray:
    return np.log(chances / (1 - chances))


def drawn(count: int = 800) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Healthy patches whose log odds rise to the right, and where there is little tissue; all tissue; areas."""
    random = np.random.default_rng(0)
    areas = random.uniform(0.1, 0.6, count)
    true = 0.5 * np.arange(GRID[1])[None, None] - 4 * areas[:, None, None] + random.normal(0, 1, (count, *GRID)) - 1
    return (1 / (1 + np.exp(-true))).astype(np.float32), np.ones((count, *GRID), np.float32), areas


def lowered(curve: HealthyOdds, patches: np.ndarray, areas: np.ndarray) -> np.ndarray:
    return divided_odds(torch.from_numpy(patches), torch.from_numpy(curve.factors(areas))).numpy()


def test_what_is_usual_at_a_location_is_taken_off() -> None:
    patches, tissue, areas = drawn()
    curve = HealthyOdds.measured(patches, tissue, areas)
    assert len(curve.areas) == GROUPS
    assert np.all(np.diff(curve.areas) > 0)
    before, after = odds(patches), odds(lowered(curve, patches, areas))
    assert np.ptp(before.mean(axis=(0, 1))) > 2.4
    assert np.ptp(after.mean(axis=(0, 1))) < 0.6  # neighbours count, so the ends are not quite met
    slopes = [np.polyfit(areas, found.mean(axis=(1, 2)), 1)[0] for found in (before, after)]
    assert slopes[0] < -3.5
    assert abs(slopes[1]) < 0.2 * abs(slopes[0])
    assert abs(before.mean() - after.mean()) < 0.05  # locations are evened out, the whole stays


def test_where_all_is_alike_nothing_changes() -> None:
    _, tissue, areas = drawn()
    curve = HealthyOdds.measured(np.full((800, *GRID), 0.25, np.float32), tissue, areas)
    np.testing.assert_allclose(curve.odds, 0, atol=1e-9)
    np.testing.assert_allclose(curve.factors(areas), 1)


def test_a_location_without_tissue_is_like_the_mean() -> None:
    patches, tissue, areas = drawn()
    outside = np.full((800, 5, GRID[1]), 1e-6, np.float32)  # never anything there; it would pull the mean down
    with_outside = HealthyOdds.measured(
        np.concatenate([outside, patches], axis=1), np.concatenate([0.2 + 0 * outside, tissue], axis=1), areas
    )
    alone = HealthyOdds.measured(patches, tissue, areas)
    assert np.abs(with_outside.odds[:, 0]).max() < 0.01
    np.testing.assert_allclose(with_outside.odds[:, -1], alone.odds[:, -1], atol=0.01)


@given(CHANCES)
def test_probabilities_stay_in_their_order_and_in_their_range(chances: np.ndarray) -> None:
    curve = HealthyOdds.measured(*drawn(100))
    areas = np.array([0.0, 0.3, 1.0])
    found = lowered(curve, chances, areas)
    assert np.all((found >= 0) & (found <= 1))
    order = lowered(curve, np.sort(chances.reshape(-1)).reshape(-1, 1, 1).repeat(6, 1).repeat(6, 2), np.full(108, 0.3))
    assert np.all(np.diff(order, axis=0) >= -1e-7)
    assert np.array_equal(curve.factors(areas[1:2]), curve.factors(areas)[1:2])  # whatever stands beside it


def test_between_groups_it_is_as_on_a_line_and_beyond_as_at_the_ends() -> None:
    curve = HealthyOdds((0.2, 0.4), np.stack([np.full(GRID, 1.0), np.full(GRID, 3.0)]))
    found = np.log(curve.factors(np.array([0.0, 0.2, 0.25, 0.4, 0.9]))[:, 0, 0])
    np.testing.assert_allclose(found, [1, 1, 1.5, 3, 3], rtol=1e-6)


@given(st.lists(st.integers(0, 4 * FEWEST), min_size=3, max_size=3))
def test_areas_of_groups_rise_however_many_slices_are_of_one(counts: list[int]) -> None:
    patches, tissue, _ = drawn(sum(counts))
    curve = HealthyOdds.measured(patches, tissue, np.repeat([1 / 3, 0.37, 0.9], counts))
    assert np.all(np.diff(curve.areas) > 0)


def test_slices_of_one_area_are_one_group_whatever_their_order() -> None:
    patches, tissue, areas = drawn()
    areas[np.argsort(areas)[200:600]] = 0.35  # the two groups in the middle
    curve = HealthyOdds.measured(patches, tissue, areas)
    assert len(curve.areas) == GROUPS - 1
    backwards = HealthyOdds.measured(patches[::-1], tissue[::-1], areas[::-1])
    np.testing.assert_allclose(backwards.factors(areas), curve.factors(areas), rtol=1e-5)


def test_too_few_slices_or_none_with_tissue_tell_nothing() -> None:
    patches, tissue, areas = drawn(FEWEST - 1)
    assert np.all(HealthyOdds.measured(patches, tissue, areas).factors(areas) == 1)
    patches, tissue, areas = drawn()
    assert np.all(HealthyOdds.measured(patches, tissue, 0 * areas).factors(areas) == 1)
    assert np.all(HealthyOdds.measured(patches, 0 * tissue, areas).factors(areas) == 1)
    blank = (np.concatenate([patches, np.ones((300, *GRID), np.float32)]), np.concatenate([tissue, tissue[:300]]))
    with_blank = HealthyOdds.measured(*blank, np.concatenate([areas, np.zeros(300)]))  # slices beside the head
    assert np.array_equal(with_blank.odds, HealthyOdds.measured(patches, tissue, areas).odds)


def test_probabilities_of_0_and_1_are_borne() -> None:
    patches, tissue, areas = drawn()
    patches[::3], patches[1::3] = 0.0, 1.0
    curve = HealthyOdds.measured(patches, tissue, areas)
    assert np.isfinite(curve.odds).all()
    found = lowered(curve, patches, areas)
    assert np.all(found[::3] == 0)
    assert np.all(found[1::3] == 1)


def test_of_several_channels_their_mean_is_tissue() -> None:
    images = np.zeros((2, 2, 10, 10), np.float32)
    images[0, 0, :1] = images[1, 1, :6] = 1
    np.testing.assert_allclose(areas_of(images), [0.1, 0.6])


@pytest.fixture(scope="module")
def pair(healthy: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> tuple[FittedAnomae, FittedAnomae]:
    """The same fit with it and without."""
    return tuple(
        Anomae(settings(None, by_location=wanted)).fit(
            Slices(healthy), seed=0, folder=tmp_path_factory.mktemp("by_location")
        )
        for wanted in (True, False)
    )  # type: ignore[return-value]


def test_a_fit_measures_it_on_its_healthy_images(pair: tuple[FittedAnomae, FittedAnomae], healthy: np.ndarray) -> None:
    made, without = pair
    assert without.healthy_odds is None
    patches = without.patch_probabilities(healthy)
    assert np.array_equal(made.patch_probabilities(healthy), patches)
    gh, gw = patches.shape[1:]
    side = healthy.shape[2] // gh
    tissue = (healthy[:, 0] > 0).reshape(len(healthy), gh, side, gw, side).mean(axis=(2, 4), dtype=np.float32)
    again = HealthyOdds.measured(patches, tissue, areas_of(healthy))
    assert made.healthy_odds is not None
    assert made.healthy_odds.areas == again.areas
    np.testing.assert_allclose(made.healthy_odds.odds, again.odds, atol=1e-9)
    found, plain = made.inspect(healthy), without.inspect(healthy)
    assert np.array_equal(found.other_scores["highest_patches"], plain.scores)
    judged = lowered(again, patches, areas_of(healthy)).reshape(len(healthy), -1)
    top = np.sort(judged, axis=1)[:, -made.settings.top :].mean(axis=1)
    np.testing.assert_allclose(found.scores, top, atol=1e-6)
    assert plain.other_scores == {}
    assert found.maps is not None
    assert not np.array_equal(found.maps, plain.maps)


def test_it_is_taken_off_before_a_measure_joins(pair: tuple[FittedAnomae, FittedAnomae], healthy: np.ndarray) -> None:
    made: Any = Anomae(settings(SPOT, by_location=True))
    alone = pair[0].inspect(healthy)
    fitted = dataclasses.replace(pair[0], settings=made.settings, scales=made_scales(pair[0], healthy))
    found = fitted.inspect(healthy)
    assert np.array_equal(found.other_scores["heads"], alone.scores)
    assert np.array_equal(found.other_scores["highest_patches"], alone.other_scores["highest_patches"])


def made_scales(fitted: FittedAnomae, healthy: np.ndarray) -> Any:
    from anomae.detectors.anomae.measure import healthy_scales

    return healthy_scales(lambda at: fitted.inspect(healthy[at]), lambda at: healthy[at], len(healthy), SPOT)


def test_saved_and_read_it_scores_alike(
    pair: tuple[FittedAnomae, FittedAnomae], healthy: np.ndarray, tmp_path: Path
) -> None:
    made = pair[0]
    made.save(tmp_path)
    assert np.array_equal(Anomae.load(tmp_path).inspect(healthy[:5]).scores, made.inspect(healthy[:5]).scores)
    content = read_json(tmp_path / "settings.json")  # a run fitted before scores as it did
    del content["healthy_odds"], content["settings"]["by_location"]
    write_json(tmp_path / "settings.json", content)
    assert np.array_equal(Anomae.load(tmp_path).inspect(healthy).scores, pair[1].inspect(healthy).scores)


def test_brains_are_compared_by_location_and_nothing_else_is() -> None:
    assert anomae_recipe(Situation("lgg", "paper", (128, 128), aligned=True)).wants_healthy_odds
    assert not anomae_recipe(Situation("lgg", "paper", (128, 128))).wants_healthy_odds
    assert not anomae_recipe(Situation("luna16", "paper", (64, 64), aligned=True)).wants_healthy_odds  # candidates

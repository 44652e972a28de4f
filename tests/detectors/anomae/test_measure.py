"""A measure of the image that joins the score of the heads."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from anomae.detectors.anomae.detector import Anomae
from anomae.detectors.anomae.measure import healthy_scales, joined
from anomae.detectors.anomae.method import anomae_recipe
from anomae.detectors.anomae.settings import AnomaeSettings
from anomae.detectors.method import Situation
from anomae.detectors.protocol import Findings
from anomae.errors import UserError
from anomae.slices.measures import LOWEST, MEASURES
from anomae.slices.store import Slices

from .conftest import one_channel, recipe_settings

SPOT, DARK = "brightest_spot_9", "darkest_spot_9"


def settings(measure: str | None, **changes: Any) -> AnomaeSettings:
    given = {**recipe_settings(), "sources": ("pixels",), "pool": 64, "heads": 1, "measure": measure, **changes}
    return AnomaeSettings.model_validate(
        {**given, "head": {"width": 8, "training": {"steps": 4, "batch": 16, "lr": 1e-3}}}
    )


@pytest.fixture(scope="module")
def with_and_without(healthy: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Any]:
    """The same fit with the measure and without it."""
    return tuple(
        Anomae(settings(measure)).fit(Slices(healthy), seed=0, folder=tmp_path_factory.mktemp("measure"))
        for measure in (SPOT, None)
    )  # type: ignore[return-value]


def test_the_score_is_the_mean_of_both_and_the_map_stays(
    with_and_without: tuple[Any, Any], spotted_heads: tuple[np.ndarray, np.ndarray, np.ndarray], healthy: np.ndarray
) -> None:
    joint, alone = with_and_without
    images = one_channel(spotted_heads[0])
    found, heads = joint.inspect(images), alone.inspect(images)
    assert np.array_equal(found.maps, heads.maps)
    assert np.array_equal(found.other_scores["heads"], heads.scores)
    spots = MEASURES[SPOT](images[:, 0])
    assert np.array_equal(found.other_scores[SPOT], spots)

    def standardised(values: np.ndarray, of_healthy: np.ndarray) -> np.ndarray:
        values, of_healthy = np.log(values), np.log(of_healthy)
        low, high = np.percentile(of_healthy, (15.87, 84.13))
        return (values - np.median(of_healthy)) / ((high - low) / 2)

    by_heads = standardised(heads.scores, alone.inspect(healthy).scores)
    by_spot = standardised(spots, MEASURES[SPOT](healthy[:, 0]))
    np.testing.assert_allclose(found.scores, (by_heads + by_spot) / 2, rtol=1e-9)


def test_saved_and_read_it_scores_alike_and_says_what_joins(
    with_and_without: tuple[Any, Any], healthy: np.ndarray, tmp_path: Path
) -> None:
    joint, alone = with_and_without
    joint.save(tmp_path)
    again = Anomae.load(tmp_path)
    assert np.array_equal(again.inspect(healthy[:5]).scores, joint.inspect(healthy[:5]).scores)
    assert SPOT in again.description
    assert SPOT not in alone.description
    assert alone.scales == {}
    assert joint.pretext(healthy[:3])["blob"].shape == (3,)


def test_of_several_channels_their_mean_is_measured() -> None:
    images = np.random.default_rng(0).random((6, 3, 16, 16), dtype=np.float32)
    blocks: list[int] = []

    def inspect(indices: np.ndarray) -> Findings:
        blocks.append(len(indices))
        return Findings(1.0 + indices.astype(np.float64))

    scales = healthy_scales(inspect, lambda at: images[at % 6], 70, "mean")
    assert blocks == [32, 32, 6]
    found = joined(Findings(np.ones(6), None, None, {"other": np.zeros(6)}), images, "mean", scales)
    np.testing.assert_allclose(found.other_scores["mean"], images.mean(axis=(1, 2, 3)), rtol=1e-6)
    assert set(found.other_scores) == {"heads", "mean", "other"}


def test_images_with_nothing_to_measure_leave_the_scale_and_the_scores_of_others_as_they_are() -> None:
    """darkest_spot_9 of a slice without a whole square of tissue is the lowest number there is: it was the scale."""
    random = np.random.default_rng(0)
    tissue = random.uniform(0.2, 0.8, (40, 1, 128, 128)) * random.uniform(0.5, 1, (40, 1, 1, 1))
    images = tissue.astype(np.float32)
    thin = np.concatenate([images, 0 * images[:20]])
    heads = random.random(60)

    def scales_of(whole: np.ndarray) -> Any:
        return healthy_scales(lambda at: Findings(heads[at % 40]), lambda at: whole[at], len(whole), DARK)

    scales = scales_of(thin)
    assert scales[DARK] == scales_of(images)[DARK]
    found = joined(Findings(heads), thin, DARK, scales)
    assert np.array_equal(found.scores[:40], joined(Findings(heads[:40]), images, DARK, scales).scores)
    np.testing.assert_allclose(found.scores[40:], scales["heads"].standardised(heads[40:]) / 2)
    assert (found.other_scores[DARK][40:] == LOWEST).all()
    with pytest.raises(UserError, match="No healthy image has enough tissue for darkest_spot_9; set measure=none"):
        scales_of(0 * images)


def test_it_joins_on_brains_whose_lesions_are_bright_and_nowhere_else() -> None:
    def measure(modality: str, aligned: bool) -> str | None:
        return anomae_recipe(Situation("lgg", "paper", (128, 128), modality=modality, aligned=aligned)).measure

    assert measure("flair", True) == measure("t2", True) == SPOT
    assert measure("flair", False) is measure("t1", True) is measure("", True) is None


def test_a_measure_that_is_not_there_is_refused() -> None:
    with pytest.raises(ValueError, match="brightest_spot_17"):
        settings("area")

"""What training images look like to a fit: as new ones do, also where it keeps some of them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from anomae.detectors.anomae.by_location import HealthyOdds, areas_of
from anomae.detectors.anomae.detector import Anomae
from anomae.detectors.anomae.fitted import FittedAnomae
from anomae.detectors.anomae.memory import half_of
from anomae.detectors.ensemble.detector import _measured
from anomae.detectors.member_scale import MemberScale
from anomae.slices.store import Slices

from .test_measure import SPOT, settings


def fit(healthy: np.ndarray, folder: Path, *sources: str) -> FittedAnomae:
    given: dict[str, Any] = {"sources": sources, "backbone": "tiny", "weights": "random", "memory": {"images": 6}}
    return Anomae(settings(SPOT, by_location=True, **given)).fit(Slices(healthy), seed=0, folder=folder)


@pytest.fixture(scope="module")
def remembering(healthy: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> FittedAnomae:
    return fit(healthy, tmp_path_factory.mktemp("memory"), "memory", "pixels")


def patches_by_half(fitted: FittedAnomae, healthy: np.ndarray) -> np.ndarray:
    """What the heads say of each training image beside the half of them that it is not in, one half at a time."""
    middle = len(healthy) // 2
    halves = (healthy[:middle], healthy[middle:])
    found = []
    with torch.inference_mode():
        for half, images in enumerate(halves):
            seen = fitted.parts.window.seen(torch.from_numpy(images))
            found.append(fitted._probabilities(seen, np.full(len(images), half))[0].numpy())
    return np.concatenate(found)


def test_halves_are_those_that_memories_are_kept_of() -> None:
    assert half_of(np.arange(5), 5).tolist() == [0, 0, 1, 1, 1]
    assert half_of(np.array([3, 0]), 6).tolist() == [1, 0]


def test_what_healthy_patches_have_is_measured_beside_the_other_half(
    remembering: FittedAnomae, healthy: np.ndarray
) -> None:
    patches = patches_by_half(remembering, healthy)
    assert (
        np.abs(patches - remembering.patch_probabilities(healthy)).max() > 1e-3
    )  # as new: those that it keeps are near
    body = torch.from_numpy((healthy > 0).astype(np.float32))
    tissue = F.adaptive_avg_pool2d(body, patches.shape[1:])[:, 0].numpy()
    expected = HealthyOdds.measured(patches, tissue, areas_of(healthy))
    assert remembering.healthy_odds is not None
    np.testing.assert_allclose(remembering.healthy_odds.odds, expected.odds, atol=1e-4)


def test_the_scale_of_the_heads_and_of_a_member_is_that_of_images_beside_the_other_half(
    remembering: FittedAnomae, healthy: np.ndarray
) -> None:
    slices, every = Slices(healthy), np.arange(len(healthy))
    found = remembering.inspect_training(slices, every)
    heads = MemberScale.measured(found.other_scores["heads"], [])
    assert remembering.scales["heads"] == heads
    assert not np.array_equal(found.scores, remembering.inspect(healthy).scores)
    backwards = remembering.inspect_training(slices, every[::-1])
    assert np.array_equal(backwards.scores[::-1], found.scores)
    member = _measured("anomae", remembering, slices)
    assert found.maps is not None
    assert member == MemberScale.measured(found.scores, [found.maps])


def test_without_a_memory_training_images_are_inspected_as_any(healthy: np.ndarray, tmp_path: Path) -> None:
    fitted = fit(healthy, tmp_path, "pixels", "mirror")
    slices, some = Slices(healthy), np.array([3, 0, 31, 32])
    found = fitted.inspect_training(slices, some)
    plain = fitted.inspect(healthy[some])
    assert np.array_equal(found.scores, plain.scores)
    assert np.array_equal(found.maps, plain.maps)

"""The distance of a scan: its covariance is that of a reference, and it depends on the scan alone."""

import numpy as np
import pytest
from sklearn.covariance import ledoit_wolf

from anomae.inference.features import (
    FEWEST,
    MARGIN,
    SLICES,
    learn_features,
    pooled,
    shrunk_covariance,
    spaced,
)


@pytest.mark.parametrize(("count", "width"), [(12, 30), (60, 30), (400, 5)])
def test_the_covariance_is_ledoit_and_wolf_s(count, width):
    rng = np.random.default_rng(count)
    vectors = rng.normal(size=(count, width)) @ rng.normal(size=(width, width))
    vectors -= vectors.mean(axis=0)
    expected, _ = ledoit_wolf(vectors, assume_centered=True)
    np.testing.assert_allclose(shrunk_covariance(vectors), expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())


def test_it_can_be_inverted_without_any_variation():
    assert np.isfinite(np.linalg.inv(shrunk_covariance(np.zeros((4, 3))))).all()


@pytest.mark.parametrize(("count", "most"), [(0, 8), (5, 8), (8, 8), (9, 8), (155, 8), (1000, 64)])
def test_indices_are_spread_evenly(count, most):
    found = spaced(count, most)
    assert len(found) == min(count, most) == len(set(found.tolist()))
    assert all(0 <= index < count for index in found)
    assert abs(float(np.mean(found) - (count - 1) / 2)) <= 0.5 if count else True


def striped(seed, count=4, angle=0.0, side=40):
    """(count, side, side): soft stripes, each image with its own phase and noise."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:side, :side]
    phases = rng.uniform(0, 6, count)[:, None, None]
    waves = np.sin((y * np.sin(angle) + x * np.cos(angle)) / 3 + phases)
    return (waves + rng.normal(0, 0.2, (count, side, side))).astype(np.float32)


@pytest.fixture(scope="module")
def features():
    return learn_features([striped(seed) for seed in range(7)], [striped(seed) for seed in range(7, 10)])


def test_another_texture_is_farther_than_any_held_out_scan(features):
    assert len(features.held_out) == 10
    assert features.limit == features.held_out[-1] * MARGIN
    near, far = features.distance(striped(50)), features.distance(striped(51, angle=0.9))
    assert near < features.limit < far
    assert features.percentile(far) == 100
    assert features.percentile(features.held_out[3]) == pytest.approx(30)


def test_a_distance_is_of_the_scan_alone(features):
    scan = striped(60, count=20)
    alone = features.distance(scan[spaced(20, SLICES)])
    assert features.distance(scan) == pytest.approx(alone, rel=1e-6)
    assert features.distance(scan[:0]) is None
    one_by_one = np.concatenate([pooled(image[None], features.low, features.high) for image in scan])
    np.testing.assert_allclose(one_by_one, pooled(scan, features.low, features.high), atol=1e-4)


@pytest.mark.parametrize("side", [8, 96, 130])
def test_any_size_is_looked_at(features, side):
    assert np.isfinite(features.distance(striped(1, side=side)))


def test_too_few_scans_are_no_measure():
    assert learn_features([striped(0)], [striped(seed) for seed in range(9)]) is None
    few = [striped(seed) for seed in range(FEWEST - 1)]
    assert learn_features(few, []) is None

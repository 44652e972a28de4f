"""The scale that networks see images in: percentiles of the training pixels, and back."""

import numpy as np
import pytest
import torch

from anomae.detectors.fitted_scale import FittedScale
from anomae.slices.store import Slices


@pytest.mark.parametrize("lowest", [0.0, -1.0])
def test_prepared_intensities_come_back_from_the_networks_range(lowest: float) -> None:
    images = np.random.default_rng(0).normal(40, 15, (50, 1, 8, 8)).astype(np.float32)
    scale = FittedScale.measured(Slices(images), (1.0, 99.0), lowest)
    assert (*scale.low, *scale.high) == pytest.approx(tuple(np.percentile(images, (1, 99))))
    shown = scale.shown(torch.from_numpy(images))
    assert (float(shown.min()), float(shown.max())) == (lowest, 1.0)
    expected = np.clip(images, *scale.low, *scale.high)
    np.testing.assert_allclose(scale.prepared(shown).numpy(), expected, atol=1e-4)


def test_images_of_one_intensity_have_a_scale_too() -> None:
    scale = FittedScale.measured(Slices(np.full((3, 4, 4), 7.0)), (0.1, 99.9), 0.0)
    assert torch.equal(scale.shown(torch.full((1, 2, 2), 7.0)), torch.zeros(1, 2, 2))


def test_each_channel_has_a_scale_of_its_own() -> None:
    """Of three channels together, each is what it is alone."""
    one, two, flat = np.random.default_rng(0).normal(40, 15, (3, 50, 1, 8, 8)).astype(np.float32)
    images = np.concatenate([one, 100 * two, 0 * flat], axis=1)
    together = FittedScale.measured(Slices(images), (1.0, 99.0), -1.0)
    shown = together.shown(torch.from_numpy(images))
    for index in range(3):
        channel = images[:, index : index + 1]
        alone = FittedScale.measured(Slices(channel), (1.0, 99.0), -1.0)
        assert (*alone.low, *alone.high) == (together.low[index], together.high[index])
        assert torch.equal(alone.shown(torch.from_numpy(channel))[:, 0], shown[:, index])
        assert torch.equal(alone.prepared(shown[:, index : index + 1])[:, 0], together.prepared(shown)[:, index])
    distances = together.prepared_distances(torch.ones(3, 2, 2))
    assert distances[:, 0, 0].tolist() == pytest.approx(together.spans)

"""The scale that networks see images in: percentiles of the training pixels, and back."""

import numpy as np
import pytest
import torch

from anomae.detectors.baselines.fitted_scale import FittedScale
from anomae.slices.store import Slices


@pytest.mark.parametrize("trivial_baseline", [0.0, -1.0])
def test_prepared_intensities_come_back_from_the_networks_range(trivial_baseline: float) -> None:
    images = np.random.default_rng(0).normal(40, 15, (50, 8, 8)).astype(np.float32)
    scale = FittedScale.measured(Slices(images), (1.0, 99.0), trivial_baseline)
    assert (scale.low, scale.high) == pytest.approx(tuple(np.percentile(images, (1, 99))))
    shown = scale.shown(torch.from_numpy(images))
    assert (float(shown.min()), float(shown.max())) == (trivial_baseline, 1.0)
    expected = np.clip(images, scale.low, scale.high)
    np.testing.assert_allclose(scale.prepared(shown).numpy(), expected, atol=1e-4)


def test_images_of_one_intensity_have_a_scale_too() -> None:
    scale = FittedScale.measured(Slices(np.full((3, 4, 4), 7.0)), (0.1, 99.9), 0.0)
    assert torch.equal(scale.shown(torch.full((2,), 7.0)), torch.zeros(2))

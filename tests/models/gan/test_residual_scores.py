"""Residual scores, against numpy and scipy."""

import numpy as np
import pytest
import torch
from scipy.ndimage import median_filter

from anomae.models.gan.residual_scores import RESIDUALS, median_filtered, residual_scores


def test_scores_are_what_numpy_and_scipy_say(rng: torch.Generator) -> None:
    images, reconstructions = torch.randn(2, 3, 2, 17, 20, generator=rng)
    found = dict(zip(RESIDUALS, residual_scores(images, reconstructions).numpy().T, strict=True))
    residual = (images - reconstructions).numpy()
    expected = {
        "mae": np.abs(residual).mean((1, 2, 3)),
        "mse": (residual**2).mean((1, 2, 3)),
        "positive": np.maximum(residual, 0).mean((1, 2, 3)),
        "peak": [median_filter(image, (1, 5, 5), mode="mirror").mean(axis=0).max() for image in np.abs(residual)],
    }
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, rtol=1e-5, err_msg=name)


@pytest.mark.parametrize("side", [1, 3, 7])
def test_medians_are_those_of_scipy(side: int, rng: torch.Generator) -> None:
    images = torch.rand(2, 3, 9, 14, generator=rng)
    expected = [median_filter(image, (1, side, side), mode="mirror") for image in images.numpy()]
    np.testing.assert_array_equal(median_filtered(images, side).numpy(), expected)

"""MSE, MAE and SSIM against numpy and scikit-image."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.metrics import structural_similarity as skimage_ssim

from anomae.models.reconstruction_errors import (
    error_scores,
    mean_absolute_error,
    mean_squared_error,
    structural_similarity,
)


def pair(seed: int, height: int = 20, width: int = 27) -> tuple[torch.Tensor, torch.Tensor]:
    """Three images of two channels."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(3, 2, height, width)).astype(np.float32)
    return torch.from_numpy(x), torch.from_numpy((x + 0.3 * rng.normal(size=x.shape)).astype(np.float32))


def test_mse_and_mae_equal_numpy() -> None:
    x, y = pair(0)
    delta = x.numpy().astype(np.float64) - y.numpy()
    assert mean_squared_error(x, y).numpy() == pytest.approx((delta**2).mean(axis=(1, 2, 3)), rel=1e-5)
    assert mean_absolute_error(x, y).numpy() == pytest.approx(np.abs(delta).mean(axis=(1, 2, 3)), rel=1e-5)


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 999),
    height=st.integers(7, 20),
    width=st.integers(7, 20),
    data_range=st.floats(0.1, 10),
    offset=st.sampled_from([0.0, 5.0, 1000.0]),
)
def test_ssim_equals_scikit_image(seed: int, height: int, width: int, data_range: float, offset: float) -> None:
    x, y = (image + offset for image in pair(seed, height, width))
    found = structural_similarity(x, y, data_range).numpy()
    expected = [
        skimage_ssim(a.double().numpy(), b.double().numpy(), data_range=data_range, channel_axis=0)
        for a, b in zip(x, y, strict=True)
    ]
    assert found == pytest.approx(expected, abs=1e-7)


def test_ssim_of_an_image_and_itself_is_one() -> None:
    x, _ = pair(1)
    assert structural_similarity(x, x, 1.0).numpy() == pytest.approx(1.0)
    flat = torch.zeros(1, 1, 9, 9)
    assert float(structural_similarity(flat, flat, 1.0)) == 1.0


def test_scores_rise_with_unlikeness_and_stand_in_order() -> None:
    x, y = pair(2)
    near, far = error_scores(x, x + 0.5 * (y - x), 4.0), error_scores(x, y, 4.0)
    assert near.shape == (3, 3)
    assert (far > near).all()
    columns = (mean_squared_error(x, y), mean_absolute_error(x, y), -structural_similarity(x, y, 4.0))
    for index, column in enumerate(columns):
        assert torch.equal(far[:, index], column.double())


def test_scores_do_not_feel_autocast() -> None:
    x, y = pair(3)
    with torch.autocast("cpu", torch.bfloat16):
        low = error_scores(x, y, 4.0)
    assert torch.equal(low, error_scores(x, y, 4.0))

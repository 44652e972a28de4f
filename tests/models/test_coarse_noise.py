"""Coarse noise: its size, its deviation, its coarseness, and that no position in the image is another's better."""

import pytest
import torch

from anomae.models.coarse_noise import coarse_noise


def noise(count: int, size: tuple[int, int], cells: int, seed: int = 0) -> torch.Tensor:
    return coarse_noise(count, 1, size, cells, 0.2, torch.Generator().manual_seed(seed))[:, 0]


def test_the_generator_decides() -> None:
    assert torch.equal(noise(2, (24, 32), 4), noise(2, (24, 32), 4))
    assert not torch.equal(noise(2, (24, 32), 4), noise(2, (24, 32), 4, seed=1))


def test_as_many_cells_as_pixels_are_plain_noise() -> None:
    images = noise(50, (16, 32), 32)
    assert images.shape == (50, 16, 32)
    assert float(images.std()) == pytest.approx(0.2, rel=0.02)
    assert float(images.mean()) == pytest.approx(0.0, abs=0.005)
    assert abs(float((images[:, :, 1:] * images[:, :, :-1]).mean())) < 0.002


def test_few_cells_make_blobs() -> None:
    """Within a cell of 8 pixels neighbours are nearly alike, over three cells they have nothing to do with another."""
    images = noise(300, (64, 64), 8)
    near, far = ((images * images.roll(shift, dims=2)).mean() / images.square().mean() for shift in (1, 24))
    assert float(near) > 0.95
    assert abs(float(far)) < 0.05


def test_it_is_as_strong_at_every_pixel() -> None:
    """Enlarged noise is weaker between the cells' middles; where these lie is left to chance."""
    deviations = noise(4000, (16, 16), 4).std(dim=0)
    assert float(deviations.max() / deviations.min()) < 1.2


def test_channels_have_noise_of_their_own_in_the_same_cells() -> None:
    """A pixel in the middle of a cell is the number drawn for it: all channels have them at the same pixels."""
    images = coarse_noise(40, 2, (32, 32), 8, 0.2, torch.Generator().manual_seed(0))  # cells of 4 pixels
    assert images.shape == (40, 2, 32, 32)
    one, two = images.unbind(dim=1)
    assert abs(float((one * two).mean() / one.square().mean())) < 0.05
    # Bilinear enlargement is straight within a cell: where the second difference is not 0, a cell was left.
    bent = [(channel.diff(n=2, dim=2).abs() > 1e-4).any(dim=1) for channel in (one, two)]
    assert torch.equal(*bent)
    assert 0.3 < float(bent[0].float().mean()) < 0.7

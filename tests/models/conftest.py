"""Fixtures for the networks' tests: one thread, so that they are quick beside others and give the same bits."""

from collections.abc import Iterator

import pytest
import torch

from anomae.models.transformer.masked_autoencoder import MaskedAutoencoder
from anomae.models.transformer.sizes import Size


@pytest.fixture(autouse=True, scope="package")
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def rng() -> torch.Generator:
    return torch.Generator().manual_seed(1)


@pytest.fixture(scope="package", params=[1, 3])
def small_mae(request: pytest.FixtureRequest) -> MaskedAutoencoder:
    """24 x 32 pixels, of 1 and of 3 channels, in patches of 4: a grid of 6 x 8."""
    generator = torch.Generator().manual_seed(0)
    return MaskedAutoencoder((24, 32), 4, Size(16, 2, 2), Size(8, 1, 2), generator, request.param).eval()

"""Fixtures for the detectors' tests: one thread, and made-up heads with and without a bright spot."""

from collections.abc import Iterator

import numpy as np
import pytest
import torch

from anomae.volumes.phantom_head import make_head

SIDE = 32


@pytest.fixture(autouse=True, scope="package")
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def heads(seeds: range) -> np.ndarray:
    """The five middle slices of made-up heads without lesions, (n, 32, 32) float32; brightest tissue at about 0.8."""
    scans = [make_head(seed, shape=(10, SIDE, SIDE), lesions=0, skull=False).voxels[3:8] for seed in seeds]
    return np.concatenate(scans).astype(np.float32) / 1000


@pytest.fixture(scope="package")
def healthy_heads() -> np.ndarray:
    return heads(range(8))


@pytest.fixture(scope="package")
def spotted_heads() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Images of other heads, each without and with a bright disc in its tissue; labels; where the discs are."""
    plain, random = heads(range(100, 110)), np.random.default_rng(0)
    spotted, discs = plain.copy(), np.zeros(plain.shape, dtype=np.bool_)
    y, x = np.mgrid[:SIDE, :SIDE]
    for image, disc in zip(spotted, discs, strict=True):
        tissue = np.argwhere(image > 0.3)
        top, left = tissue[random.integers(len(tissue))]
        disc[np.hypot(y - top, x - left) < 4] = True
        image[disc] = 1.2
    labels = np.repeat([0, 1], len(plain))
    return np.concatenate([plain, spotted]), labels, np.concatenate([np.zeros_like(discs), discs])

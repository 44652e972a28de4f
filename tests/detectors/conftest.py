"""Made-up images for the detectors' tests: heads with and without a bright spot, and stripes of any phase."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from anomae.phantoms.head import make_head
from anomae.slices.store import Slices

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


def stripes(side: int, count: int, seed: int) -> np.ndarray:
    """(count, side, side) float32 in 2..8: neither the range of a network nor that of most prepared slices."""
    phase = np.random.default_rng(seed).uniform(0, 2 * np.pi, (count, 1, 1))
    waves = np.cos(4 * np.pi * np.arange(side) / side + phase)
    return np.broadcast_to(5 + 3 * waves, (count, side, side)).astype(np.float32)


def with_lesions(images: np.ndarray, seed: int) -> np.ndarray:
    """Copies, in each a bright square of a third of the side."""
    generator, side = np.random.default_rng(seed), images.shape[1]
    altered = images.copy()
    for image in altered:
        y, x = generator.integers(0, side - side // 3, 2)
        image[y : y + side // 3, x : x + side // 3] += 5
    return altered


class Learned:
    """A detector that was fitted on stripes, and what it says about new ones: 40 healthy, then 40 with lesions.

    new: (80, 1, side, side).
    """

    def __init__(self, detector: Any, folder: Path, side: int) -> None:
        self.folder, healthy = folder, stripes(side, 400, 0)
        self.fitted = detector.fit(Slices(healthy), seed=0, folder=folder)
        self.new = np.concatenate([stripes(side, 40, 1), with_lesions(stripes(side, 40, 2), 3)])[:, None]
        self.labels = np.repeat([0, 1], 40)
        self.findings = self.fitted.inspect(self.new)
        new, rebuilt = self.new[:40], self.findings.reconstructions[:40]
        # squared error of healthy reconstructions, in units of that of the mean training image
        self.error = float(((rebuilt - new) ** 2).mean() / ((healthy.mean(axis=0) - new) ** 2).mean())


@pytest.fixture(scope="session")
def learned() -> Callable[[Any, Path, int], Learned]:
    return Learned


@pytest.fixture(scope="session")
def few_stripes() -> Slices:
    return Slices(stripes(16, 12, 5))

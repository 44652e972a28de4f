"""Made-up stripes for the detectors that learn: each image has its own phase, so that no one image is near them all."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from anomae.slices.store import Slices


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
    """A detector that was fitted on stripes, and what it says about new ones: 40 healthy, then 40 with lesions."""

    def __init__(self, detector: Any, folder: Path, side: int) -> None:
        self.folder, healthy = folder, stripes(side, 400, 0)
        self.detector = detector.fit(Slices(healthy), seed=0, folder=folder, shown=False)
        self.new = np.concatenate([stripes(side, 40, 1), with_lesions(stripes(side, 40, 2), 3)])
        self.labels = np.repeat([0, 1], 40)
        self.findings = self.detector.inspect(self.new)
        new, rebuilt = self.new[:40], self.findings.reconstructions[:40]
        # squared error of healthy reconstructions, in units of that of the mean training image
        self.error = float(((rebuilt - new) ** 2).mean() / ((healthy.mean(axis=0) - new) ** 2).mean())


@pytest.fixture(scope="session")
def learned() -> Callable[[Any, Path, int], Learned]:
    return Learned


@pytest.fixture(scope="session")
def few_stripes() -> Slices:
    return Slices(stripes(16, 12, 5))

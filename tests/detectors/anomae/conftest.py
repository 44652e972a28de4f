"""Settings of the recipe `phantom`, and heads with a channel axis: one, or three of ranges and contrasts unlike."""

from typing import Any

import numpy as np
import pytest

from anomae.detectors.anomae.method import anomae_recipe
from anomae.detectors.method import Situation


def recipe_settings(aligned: bool = False) -> dict[str, Any]:
    """Of the recipe `phantom` for images of 32 x 32 pixels, to change and validate again."""
    return anomae_recipe(Situation("phantom", "paper", (32, 32), aligned=aligned)).model_dump()


def one_channel(images: np.ndarray) -> np.ndarray:
    """(n, 1, 32, 32)."""
    return images.reshape(len(images), 1, 32, 32)


def three_channels(images: np.ndarray) -> np.ndarray:
    """(n, 3, 32, 32): as they are, with tissue inverted and in hundreds, and of less contrast around 6."""
    alone = one_channel(images)
    return np.concatenate([alone, 100 * np.where(alone > 0.05, 1.2 - alone, 0), 5 + 2 * np.sqrt(alone)], axis=1)


@pytest.fixture(scope="package")
def healthy(healthy_heads: np.ndarray) -> np.ndarray:
    """Healthy heads, (n, 1, 32, 32)."""
    return one_channel(healthy_heads)

"""One number for an image: measures that need no learning, for trivial baselines and one-line detectors.

Each takes prepared images (n, h, w) and gives (n,) float64; what it gives for an image does not depend on the others.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

Images = npt.NDArray[np.float32]
Numbers = npt.NDArray[np.float64]

CENTRE = 8  # pixels of a side
SPOTS, SPOT_OF = (5, 9, 17), 128  # pixels of a spot's side in an image whose shorter side has so many
DARK_SPOT = 9
# What an image measures in which there is no spot to measure: less than any other.
LOWEST = float(np.finfo(np.float32).min)


def image_mean(images: npt.NDArray[Any]) -> Numbers:
    """The mean over the pixels."""
    return np.asarray(_flat(images).mean(axis=1, dtype=np.float64))


def maximum(images: Images) -> Numbers:
    """The brightest pixel."""
    return np.asarray(_flat(images).max(axis=1), dtype=np.float64)


def spread(images: Images) -> Numbers:
    """The standard deviation over the pixels."""
    return np.asarray(_flat(images).std(axis=1, dtype=np.float64))


def spot_side(size: int, shape: tuple[int, int]) -> int:
    """Pixels of a side, odd, in an image of `shape` (h, w), of the spot of `size` pixels in one of 128."""
    return 2 * max(0, int((size * min(shape) / SPOT_OF - 1) / 2 + 0.5)) + 1


def brightest_spot(images: Images, size: int) -> Numbers:
    """The mean of the brightest square of `size` pixels of 128."""
    return np.asarray(_square_means(images, spot_side(size, images.shape[1:])).max(axis=(1, 2)))


def darkest_spot(images: Images, size: int) -> Numbers:
    """Minus the mean of the darkest square of `size` pixels of 128 that lies wholly in tissue (pixels above 0).

    LOWEST where there is no such square.  It means something for images that are 0 outside of tissue.
    """
    side = spot_side(size, images.shape[1:])
    within = _square_means((images > 0).astype(np.float32), side) > 1 - 0.5 / side**2
    darkest = np.where(within, _square_means(images, side), np.inf).min(axis=(1, 2))
    return np.where(np.isfinite(darkest), -darkest, LOWEST)


def centre_contrast(images: Images) -> Numbers:
    """The mean of the 8x8 pixels in the middle, less the median of the image; a smaller image is its own middle."""
    top, left = (max((side - CENTRE) // 2, 0) for side in images.shape[1:])
    middle = image_mean(images[:, top : top + CENTRE, left : left + CENTRE])
    return np.asarray(middle - np.median(_flat(images), axis=1))


def tissue_area(images: Images, level: float) -> Numbers:
    """The share of pixels above `level`, 0..1."""
    return image_mean(images > level)


MEASURES: dict[str, Callable[[Images], Numbers]] = {
    "mean": image_mean,
    "maximum": maximum,
    "spread": spread,
    **{f"brightest_spot_{size}": partial(brightest_spot, size=size) for size in SPOTS},
    f"darkest_spot_{DARK_SPOT}": partial(darkest_spot, size=DARK_SPOT),
    "centre_contrast": centre_contrast,
}


def _flat(images: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return images.reshape(len(images), images.shape[1] * images.shape[2])


def _square_means(images: Images, side: int) -> Numbers:
    """The mean of every square of `side` pixels that lies wholly in the image, from running sums."""
    means = images.astype(np.float64)
    for axis in (1, 2):
        width = min(side, means.shape[axis])
        sums = np.cumsum(means, axis=axis)
        upper = np.take(sums, np.arange(width - 1, sums.shape[axis]), axis=axis)
        lower = np.take(sums, np.arange(0, sums.shape[axis] - width), axis=axis)
        inner = (slice(None),) * axis + (slice(1, None),)
        upper[inner] -= lower
        means = upper / width
    return means

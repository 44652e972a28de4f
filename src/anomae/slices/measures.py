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
    side = spot_side(size, images.shape[1:])
    return np.array([_square_sums(image, side).max() for image in images], dtype=np.float64) / side**2


def darkest_spot(images: Images, size: int) -> Numbers:
    """Minus the mean of the darkest square of `size` pixels of 128 that lies wholly in tissue (pixels above 0).

    LOWEST where there is no such square.  It means something for images that are 0 outside of tissue.
    """
    side = spot_side(size, images.shape[1:])

    def darkest(image: npt.NDArray[np.float32]) -> float:
        within = _square_sums(image > 0, side) == side**2
        return float(np.where(within, _square_sums(image, side), np.inf).min() / side**2)

    found = np.array([darkest(image) for image in images], dtype=np.float64)
    return np.where(np.isfinite(found), -found, LOWEST)


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


def _square_sums(image: npt.NDArray[Any], side: int) -> Numbers:
    """The sum of every square of `side` pixels that lies wholly in the image (h, w).

    An image at a time, since all that is needed of one stays in the processor's cache.
    """
    return _sums_down(np.ascontiguousarray(_sums_down(image.astype(np.float64), side).T), side).T


def _sums_down(values: Numbers, length: int) -> Numbers:
    """The sum of every `length` values below one another, (h, w) -> (h - length + 1, w).

    Sums of 1, 2, 4, ... values, of which those that `length` is made of are put together.
    """
    count, doubled, reach, done = len(values) - length + 1, values, 1, 0
    total = np.zeros((count, values.shape[1]))
    while True:
        if length & reach:
            total += doubled[done : done + count]
            done += reach
        if 2 * reach > length:
            return total
        doubled = doubled[:-reach] + doubled[reach:]
        reach *= 2

"""How far images are from their reconstructions, in numpy: what anomae.models.reconstruction_errors measures."""

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
SSIM_WINDOW = 7


def error_scores(images: Array, rebuilt: Array, ssim_range: float) -> dict[str, Array]:
    """mse, mae and ssim (negated), (b,) float64 each: the higher, the less a reconstruction is like its image.

    images, rebuilt: (b, c, h, w) float32.  ssim_range: data range of SSIM.
    """
    away = images - rebuilt
    return {
        "mse": np.square(away).mean(axis=(1, 2, 3)).astype(np.float64),
        "mae": np.abs(away).mean(axis=(1, 2, 3)).astype(np.float64),
        "ssim": -structural_similarity(images, rebuilt, ssim_range),
    }


def structural_similarity(images: Array, rebuilt: Array, data_range: float) -> Array:
    """(b,) mean SSIM of the channels in float64: uniform 7x7 windows wholly inside the image, sample covariance."""
    x, y = images.astype(np.float64), rebuilt.astype(np.float64)
    mean_x, mean_y = _window_mean(x), _window_mean(y)
    unbiased = SSIM_WINDOW**2 / (SSIM_WINDOW**2 - 1)
    variance_x = unbiased * (_window_mean(x * x) - mean_x * mean_x)
    variance_y = unbiased * (_window_mean(y * y) - mean_y * mean_y)
    covariance = unbiased * (_window_mean(x * y) - mean_x * mean_y)
    c1, c2 = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2
    likeness = (2 * mean_x * mean_y + c1) * (2 * covariance + c2)
    likeness /= (mean_x**2 + mean_y**2 + c1) * (variance_x + variance_y + c2)
    return np.asarray(likeness.mean(axis=(1, 2, 3)))


def _window_mean(images: Array) -> Array:
    """(b, c, h, w) -> (b, c, h - 6, w - 6)."""
    height, width = images.shape[2:]
    return _averaging(height) @ images @ _averaging(width).T


def _averaging(side: int) -> Array:
    """(side - 6, side): each row the mean of seven neighbours."""
    matrix = np.zeros((side - SSIM_WINDOW + 1, side))
    for row in range(len(matrix)):
        matrix[row, row : row + SSIM_WINDOW] = 1 / SSIM_WINDOW
    return matrix

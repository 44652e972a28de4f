"""How far an image is from its reconstruction, in one number: MSE, MAE, SSIM (paper Table 2a)."""

import torch
import torch.nn.functional as F
from torch import Tensor

ERRORS = ("mse", "mae", "ssim")
SSIM_WINDOW = 7


def mean_squared_error(images: Tensor, reconstructions: Tensor) -> Tensor:
    """(B,) mean over pixels and channels of the squared difference; (B, C, H, W) each."""
    return (images - reconstructions).float().square().mean(dim=(1, 2, 3))


def mean_absolute_error(images: Tensor, reconstructions: Tensor) -> Tensor:
    """(B,) mean over pixels and channels of the absolute difference; (B, C, H, W) each."""
    return (images - reconstructions).float().abs().mean(dim=(1, 2, 3))


def structural_similarity(images: Tensor, reconstructions: Tensor, data_range: float) -> Tensor:
    """(B,) mean SSIM of the channels, at most 1; (B, C, H, W) each, sides at least 7.

    Uniform 7x7 window, sample covariance, windows wholly inside the image: scikit-image's `structural_similarity` with
    its defaults (Wang et al. 2004).  Computed in float64: variances are differences of nearly equal numbers.
    """
    x, y = images.double(), reconstructions.double()
    with torch.autocast(images.device.type, enabled=False):
        mean_x, mean_y = _window_mean(x), _window_mean(y)
        unbiased = SSIM_WINDOW**2 / (SSIM_WINDOW**2 - 1)
        variance_x = unbiased * (_window_mean(x * x) - mean_x * mean_x)
        variance_y = unbiased * (_window_mean(y * y) - mean_y * mean_y)
        covariance = unbiased * (_window_mean(x * y) - mean_x * mean_y)
    c1, c2 = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2
    likeness = (2 * mean_x * mean_y + c1) * (2 * covariance + c2)
    likeness = likeness / ((mean_x**2 + mean_y**2 + c1) * (variance_x + variance_y + c2))
    return likeness.mean(dim=(1, 2, 3))


def _window_mean(images: Tensor) -> Tensor:
    return F.avg_pool2d(images, SSIM_WINDOW, stride=1)


def error_scores(images: Tensor, reconstructions: Tensor, ssim_range: float) -> Tensor:
    """(B, 3) in the order of ERRORS, SSIM negated: each higher the less the reconstruction is like the image."""
    similarity = structural_similarity(images, reconstructions, ssim_range)
    errors = (mean_squared_error(images, reconstructions), mean_absolute_error(images, reconstructions))
    return torch.stack([*(error.double() for error in errors), -similarity], dim=1)

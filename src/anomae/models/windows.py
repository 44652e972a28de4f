"""What lies around each pixel: the largest value and the mean of a square window, by shifting the images.

torch's own pooling at stride 1 looks at every pixel of every window, which on a CPU takes several times as long.
"""

import torch
import torch.nn.functional as F
from torch import Tensor


def largest_around(images: Tensor, reach: int) -> Tensor:
    """The largest value at most `reach` pixels down or up and right or left of each pixel of images (..., H, W).

    Pixels beyond the border count for nothing.  Of bool: whether any is true.  The same values as
    torch.nn.functional.max_pool2d at stride 1.
    """
    return _largest_along(_largest_along(images, reach, -1), reach, -2)


def mean_around(images: Tensor, reach: int, beyond: bool = False) -> Tensor:
    """The mean over at most `reach` pixels down or up and right or left of each pixel of floats (..., H, W).

    beyond: pixels beyond the border count as 0; otherwise they do not count.  The values of
    torch.nn.functional.avg_pool2d at stride 1, but for the order of the sums.
    """
    total = _sum_along(_sum_along(images, reach, -1), reach, -2)
    if beyond:
        return total / (2 * reach + 1) ** 2
    height, width = (_sum_along(torch.ones(side), reach, -1) for side in images.shape[-2:])
    return total / (height[:, None] * width).to(images)


def _largest_along(images: Tensor, reach: int, axis: int) -> Tensor:
    size, reach = images.shape[axis], min(reach, images.shape[axis])
    lowest = False if images.dtype == torch.bool else -torch.inf
    found, covered, wanted = _padded(images, reach, axis, lowest), 1, 2 * reach + 1
    while 2 * covered <= wanted:
        found, covered = _larger(found, covered, axis), 2 * covered
    if covered < wanted:
        found = _larger(found, wanted - covered, axis)
    return found.narrow(axis, 0, size)


def _larger(images: Tensor, shift: int, axis: int) -> Tensor:
    left = images.shape[axis] - shift
    return torch.maximum(images.narrow(axis, 0, left), images.narrow(axis, shift, left))


def _sum_along(images: Tensor, reach: int, axis: int) -> Tensor:
    size = images.shape[axis]
    padded = _padded(images, reach, axis, 0.0)
    total = padded.narrow(axis, 0, size).clone()
    for shift in range(1, 2 * reach + 1):
        total += padded.narrow(axis, shift, size)
    return total


def _padded(images: Tensor, reach: int, axis: int, value: float | bool) -> Tensor:
    sides = (reach, reach) if axis == -1 else (0, 0, reach, reach)
    return F.pad(images, sides, value=value)

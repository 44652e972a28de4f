"""Perlin noise (Perlin 1985, with the fade curve of 2002): smooth noise of a chosen coarseness."""

import math

import torch
from torch import Tensor


def perlin_noise(count: int, size: tuple[int, int], cells: tuple[int, int], generator: torch.Generator) -> Tensor:
    """(count, H, W) float32 of `size` (H, W), within -1..1, around 0, on the device of `generator`.

    cells: of the lattice, (rows, columns), over the whole image; at each corner a gradient of random direction is
    drawn, and the noise is 0 there.  A pixel (y, x) lies at (y * rows / H, x * columns / W) of the lattice.
    Raises ValueError where a cell would be smaller than a pixel, or there is none.
    """
    if not all(0 < cell <= side for cell, side in zip(cells, size, strict=True)):
        raise ValueError(f"{cells[0]}x{cells[1]} cells do not go into {size[0]}x{size[1]} pixels")
    device = generator.device
    angles = 2 * math.pi * torch.rand(count, cells[0] + 1, cells[1] + 1, generator=generator, device=device)
    downwards, rightwards = angles.sin(), angles.cos()
    (top, y), (left, x) = (_positions(side, cell, device) for side, cell in zip(size, cells, strict=True))
    y = y[:, None]  # (H, 1), position within the cell, 0..1

    def seen_from(below: int, beside: int) -> Tensor:
        """The slope of one corner of each pixel's cell, followed to the pixel; (count, H, W)."""
        rows, columns = top[:, None] + below, left + beside
        return downwards[:, rows, columns] * (y - below) + rightwards[:, rows, columns] * (x - beside)

    across = [torch.lerp(seen_from(below, 0), seen_from(below, 1), _fade(x)) for below in (0, 1)]
    return math.sqrt(2) * torch.lerp(across[0], across[1], _fade(y))


def _positions(side: int, cells: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """(side,) each: the cell that a pixel lies in, and where in it, 0..1."""
    indices = torch.arange(side, device=device) * cells / side
    return indices.floor().long(), indices - indices.floor()


def _fade(indices: Tensor) -> Tensor:
    """0..1 -> 0..1 with slope and curvature 0 at both ends."""
    return indices**3 * (indices * (6 * indices - 15) + 10)

"""Positions of patches as fixed sines and cosines."""

import numpy as np
import torch
from torch import Tensor


def sincos_positions(grid: tuple[int, int], width: int, class_token: bool) -> Tensor:
    """(1, N, D), or (1, N+1, D) with zeros first for a class token; `grid` is (rows, columns) of patches.

    The first half of D encodes the column, the second the row; each half is the sines, then the cosines, of the place
    times 1 / 10000^(i / (D/4)) (MAE's positions).  width must be a multiple of 4 (ValueError).
    """
    if width % 4:
        raise ValueError(f"width {width} is not a multiple of 4")
    frequencies = 1.0 / 10000 ** (np.arange(width // 4, dtype=np.float64) / (width / 4))
    rows, columns = np.mgrid[: grid[0], : grid[1]]
    halves = []
    for indices in (columns, rows):
        angles = indices.reshape(-1, 1) * frequencies  # (N, D/4)
        halves.append(np.concatenate([np.sin(angles), np.cos(angles)], axis=1))
    positions = np.concatenate(halves, axis=1)  # (N, D)
    if class_token:
        positions = np.concatenate([np.zeros((1, width)), positions])
    return torch.from_numpy(positions).float()[None]

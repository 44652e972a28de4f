"""Drawn lesions continued into the slices below and above: the same lesion, smaller or a little larger, or ended."""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from anomae.models.pseudo_lesions.apply import apply_lesions
from anomae.models.pseudo_lesions.draws import Lesions

FACTOR = (0.5, 1.1)  # of the half axes in a neighbour, drawn for each sample and side
SMALL, ENDED = 0.6, 1 / 3  # below SMALL the lesion has ended in this share of the draws


def draw_factors(count: int, generator: torch.Generator) -> Tensor:
    """Factors (count, 2) on the half axes in the slices below and above; 0 where the lesion is not in it any more."""
    factors = FACTOR[0] + (FACTOR[1] - FACTOR[0]) * torch.rand(count, 2, generator=generator)
    ended = torch.rand(count, 2, generator=generator) < ENDED
    return torch.where(ended & (factors < SMALL), 0.0, factors)


def apply_to_neighbours(neighbours: Tensor, lesions: Lesions, names: Sequence[str], factors: Tensor) -> Tensor:
    """Neighbours (B, 2, C, H, W), intensities 0..1, with the lesions of the slices between them; draws nothing.

    names: as in `apply_lesions`.  factors: (B, 2) as `draw_factors` gives them.
    """
    sides = []
    for slices, factor in zip(neighbours.unbind(1), factors.unbind(1), strict=True):
        there = factor > 0
        scaled = replace(lesions, radii=lesions.radii * torch.where(there, factor, 1.0)[:, None])
        sides.append(torch.where(there[:, None, None, None], apply_lesions(slices, scaled, names), slices))
    return torch.stack(sides, dim=1)

"""The family `perlin`: what the mask of fractal noise (Perlin 1985) cuts out of a lesion's neighbourhood.

As abnormality: V. Zavrtanik et al., DRAEM, 2021, where the noise fills the image.
"""

import math

import torch
from torch import Tensor

from anomae.models.pseudo_lesions.changes import (
    another_tissue,
    base_of,
    of_another,
    shown_in,
    signed,
    size_of,
    solid,
    textured,
)
from anomae.models.pseudo_lesions.draws import Lesions
from anomae.models.pseudo_lesions.fields import depth, offsets

NEIGHBOURHOOD = 1.6  # half axes
SHARPER = 3.0  # than the outline of a blob
OCTAVES = (1.0, 0.5, 0.25)  # of 3, 7 and 15 cells a side


def perlin(images: Tensor, lesions: Lesions, batch: Tensor) -> tuple[Tensor, Tensor]:
    """Irregular, often torn: brighter or darker, of another tissue, or of another image, each in a third of draws."""
    size = size_of(images)
    region = torch.sigmoid((1 - depth(lesions, size, NEIGHBOURHOOD)) * lesions.sharpness[:, None, None])
    threshold = (0.35 * lesions.strength - 0.25)[:, None, None]
    cut = torch.sigmoid((fractal_noise(lesions, size) - threshold) * SHARPER * lesions.sharpness[:, None, None])
    kind = lesions.detail[:, None, None, None]
    brighter = base_of(images, lesions) + signed(lesions) * textured(lesions, images)
    other = torch.where(kind < 2 / 3, another_tissue(images, lesions), of_another(lesions, images, batch))
    return torch.where(kind < 1 / 3, brighter, other), shown_in(lesions, region * cut * solid(images))


def fractal_noise(lesions: Lesions, size: tuple[int, int]) -> Tensor:
    """(B, H, W) about 0, mostly within -0.5..0.5: three octaves of gradient noise over each lesion's neighbourhood."""
    reach = 2 * NEIGHBOURHOOD * lesions.radii.amax(dim=1)[:, None, None]
    v, u = (along / (2 * reach) + 0.5 for along in offsets(lesions, size))
    cells = (lesions.coarse[:, :4, :4], lesions.fine[:, :8, :8], lesions.fine[:, 8:24, 8:24])
    octaves = [share * gradient_noise(drawn, v, u) for share, drawn in zip(OCTAVES, cells, strict=True)]
    return torch.stack(octaves).sum(dim=0)


def gradient_noise(drawn: Tensor, v: Tensor, u: Tensor) -> Tensor:
    """Perlin's noise at v, u (B, H, W), 0..1 down and right over the lattice; nearest beyond it.

    drawn: (B, n, n) standard normal, the directions of the gradients at the lattice's points.
    """
    side = drawn.shape[1]
    angle = 2 * math.pi * torch.special.ndtr(drawn).flatten(1)  # uniform
    row, column = (where.clamp(0.0, 1.0) * (side - 1) for where in (v, u))
    top, left = (along.floor().clamp(max=side - 2) for along in (row, column))
    down, right = row - top, column - left
    smooth_down, smooth_right = (t.pow(3) * (t * (6 * t - 15) + 10) for t in (down, right))

    def corner(below: int, beside: int) -> Tensor:
        at = ((top + below) * side + left + beside).long().flatten(1)
        towards = angle.gather(1, at).reshape(top.shape)
        rise: Tensor = towards.sin() * (down - below) + towards.cos() * (right - beside)
        return rise

    upper = torch.lerp(corner(0, 0), corner(0, 1), smooth_right)
    lower = torch.lerp(corner(1, 0), corner(1, 1), smooth_right)
    return torch.lerp(upper, lower, smooth_down)

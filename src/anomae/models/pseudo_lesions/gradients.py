"""The family `poisson`: the tissue of another image blended in the gradient domain (Poisson blending).

P. Perez, M. Gangnet, A. Blake: Poisson image editing, 2003.  As abnormality: H. Schlueter et al., Natural synthetic
anomalies, 2022.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from anomae.models.pseudo_lesions.changes import of_another, shown_in, size_of, solid
from anomae.models.pseudo_lesions.draws import Lesions
from anomae.models.pseudo_lesions.fields import depth
from anomae.models.windows import largest_around

SWEEPS = 0.75  # for each pixel of the shorter side; then a solve differs by less than 1e-3 from the exact one


def poisson(images: Tensor, lesions: Lesions, batch: Tensor) -> tuple[Tensor, Tensor]:
    """The structures of another healthy image, without a seam: its gradients inside, this image's intensities around.

    Solves  laplace(u) = laplace(g) inside, u = X on the outline  for another image g; free where the tissue of either
    ends, so that the dark outside of a head does not bleed in.
    """
    other = of_another(lesions, images, batch)
    both = solid(images) & solid(other)
    inside = (depth(lesions, size_of(images)) < 1) & both
    return other + membrane(images - other, inside, both), shown_in(lesions, inside.float())


def membrane(values: Tensor, inside: Tensor, extent: Tensor) -> Tensor:
    """Values (B, C, H, W) with those `inside` (B, H, W), bool, replaced by a smooth membrane hung on the others.

    extent: (B, H, W), bool, what there is; beyond it nothing pulls.  That is the solution of Laplace's equation, by
    successive over-relaxation of every second pixel in turns, in a fixed number of sweeps, so that no image depends on
    another.  Where nothing is there to hang it on, it is flat at the mean of what it replaces.
    """
    height, width = size_of(values)
    unknown, there = (inside & extent)[:, None], extent[:, None].float()
    ring = largest_around(unknown, 1) * ~unknown * there
    ring = torch.where(ring.any(dim=(2, 3), keepdim=True), ring, unknown.float())
    mean = (values * ring).sum(dim=(2, 3), keepdim=True) / (ring.sum(dim=(2, 3), keepdim=True) + 1e-6)
    found = torch.where(unknown, mean, values * there)
    odd = ((torch.arange(height)[:, None] + torch.arange(width)) % 2 == 1).expand_as(unknown)
    share = unknown / _around(there).clamp(min=1.0)  # of each neighbour
    windows = _windows_of(unknown)
    near, near_unknown, near_share, near_odd = (_cut(whole, windows) for whole in (found, unknown, share, odd))
    omega = 2 / (1 + math.sin(math.pi / max(2.0, 0.45 * min(height, width))))
    steps = [(omega * near_share * turn, 1 - omega * (near_unknown & turn)) for turn in (near_odd, ~near_odd)]
    for _ in range(math.ceil(SWEEPS * min(height, width))):
        for of_neighbours, kept in steps:
            near = kept * near + of_neighbours * _around(near)
    for row, (top, left, down, right) in enumerate(windows):
        found[row, :, top:down, left:right] = near[row]
    return torch.where(unknown, found, values)


def _windows_of(unknown: Tensor) -> list[tuple[int, int, int, int]]:
    """Top, left, bottom and right of windows of one size that hold all `unknown` (B, 1, H, W) and what is beside."""
    sides, starts = [], []
    for axis in (3, 2):  # whether any pixel of a row, of a column is unknown
        along = unknown.any(dim=axis)[:, 0].int()
        first, last = along.argmax(dim=1), along.shape[1] - 1 - along.flip(1).argmax(dim=1)
        side = min(along.shape[1], max((last - first)[along.any(dim=1)].tolist(), default=0) + 3)
        sides.append(side)
        starts.append((first - 1).clamp(0, along.shape[1] - side).tolist())
    height, width = sides
    return [(top, left, top + height, left + width) for top, left in zip(*starts, strict=True)]


def _cut(whole: Tensor, windows: list[tuple[int, int, int, int]]) -> Tensor:
    return torch.stack(
        [one[:, top:down, left:right] for one, (top, left, down, right) in zip(whole, windows, strict=True)]
    )


def _around(values: Tensor) -> Tensor:
    """The sum over the four neighbours of each pixel, 0 beyond the border."""
    padded = F.pad(values, (1, 1, 1, 1))
    return padded[:, :, :-2, 1:-1] + padded[:, :, 2:, 1:-1] + padded[:, :, 1:-1, :-2] + padded[:, :, 1:-1, 2:]

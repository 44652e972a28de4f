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

SWEEPS = 0.75  # for each pixel of the shorter side; then a solve differs by less than 1e-3 from the exact one


def poisson(images: Tensor, lesions: Lesions, batch: Tensor) -> tuple[Tensor, Tensor]:
    """The structures of another healthy image, without a seam: its gradients inside, this image's intensities around.

    Solves  laplace(u) = laplace(g) inside, u = X on the outline  for another image g.
    """
    other = of_another(lesions, images, batch)
    inside = (depth(lesions, size_of(images)) < 1) & solid(images) & solid(other)
    return other + membrane(images - other, inside), shown_in(lesions, inside.float())


def membrane(values: Tensor, inside: Tensor) -> Tensor:
    """Values (B, C, H, W) with those `inside` (B, H, W), bool, replaced by a smooth membrane hung on the others.

    That is the solution of Laplace's equation, by successive over-relaxation of every second pixel in turns; the border
    of the image is free.  A fixed number of sweeps, so that no image depends on another.
    """
    height, width = size_of(values)
    unknown = inside[:, None]
    ring = F.max_pool2d(unknown.float(), 3, 1, 1) * ~unknown
    mean = (values * ring).sum(dim=(2, 3), keepdim=True) / (ring.sum(dim=(2, 3), keepdim=True) + 1e-6)
    found = torch.where(unknown, mean, values)
    odd = (torch.arange(height)[:, None] + torch.arange(width)) % 2 == 1
    short = min(height, width)
    omega = 2 / (1 + math.sin(math.pi / max(2.0, 0.45 * short)))
    steps = [omega * (unknown & odd), omega * (unknown & ~odd)]
    for _ in range(math.ceil(SWEEPS * short)):
        for step in steps:
            around = F.pad(found, (1, 1, 1, 1), mode="replicate")
            mean = around[:, :, :-2, 1:-1] + around[:, :, 2:, 1:-1] + around[:, :, 1:-1, :-2] + around[:, :, 1:-1, 2:]
            found = found + step * (mean / 4 - found)
    return found

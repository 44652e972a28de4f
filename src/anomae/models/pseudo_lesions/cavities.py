"""The family `cavity`: tissue that is missing at the surface, as after a resection, with fluid instead."""

from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor

from anomae.models.pseudo_lesions.changes import drawn_from, mean_inside, shown_in, size_of, solid, textured
from anomae.models.pseudo_lesions.draws import Lesions, tissue
from anomae.models.pseudo_lesions.fields import depth, offsets

FLUID = (0.15, 0.5)  # of the mean of the tissue: fluid in T1 and FLAIR
EDGE = 18.0  # how sharp its outline is; 3..13 in other families
COLLAPSE = 0.4  # at most; how far tissue around it is drawn inward
REACH = 1.8  # of that, in half axes
POINTS = 129  # looked at on the way from a lesion's centre to the surface


def cavity(images: Tensor, lesions: Lesions, _: Tensor) -> tuple[Tensor, Tensor]:
    """A hole at the surface, dark as fluid, sharply bounded; the tissue around it sinks in a little."""
    moved, size = at_surface(images, lesions), size_of(images)
    y, x = offsets(moved, size)
    share = (torch.hypot(y, x) / (REACH * moved.radii[:, 0, None, None])).clamp(max=1.0)
    sunk = drawn_from(images, moved, 1 + COLLAPSE * moved.strength[:, None, None] * (1 - share))
    hole = shown_in(moved, torch.sigmoid((1 - depth(moved, size)) * EDGE))
    around = torch.maximum((share < 1).float()[:, None], (hole > 0.01).float().amax(dim=1, keepdim=True))
    return (1 - hole) * sunk + hole * fluid_in(images, moved), around


def at_surface(images: Tensor, lesions: Lesions) -> Lesions:
    """The lesions with their centres moved outward, away from the middle of the tissue, to just below its surface."""
    height, width = size_of(images)
    body = tissue(images).float()
    rows, columns = (torch.arange(height) + 0.5) / height, (torch.arange(width) + 0.5) / width
    total = body.sum(dim=(1, 2)) + 1e-6
    middle = torch.stack([(body.sum(2) * rows).sum(1) / total, (body.sum(1) * columns).sum(1) / total], dim=1)
    scale = torch.tensor([height, width]) / min(height, width)
    outward = (lesions.centre - middle) * scale
    length = outward.norm(dim=1, keepdim=True)
    anywhere = torch.stack([lesions.angle.sin(), lesions.angle.cos()], dim=1)
    outward = torch.where(length > 1e-3, outward / length.clamp(min=1e-3), anywhere)
    steps = torch.linspace(0.0, 1.0, POINTS)
    points = lesions.centre[:, None] + steps[:, None] * (outward / scale)[:, None]  # (B, POINTS, 2)
    seen = F.grid_sample(body[:, None], (2 * points - 1).flip(-1)[:, None], align_corners=False)[:, 0, 0] > 0.5
    farthest = (seen * steps).amax(dim=1)
    inward = (farthest - lesions.radii.amin(dim=1) / 3).clamp(min=0.0)
    return replace(lesions, centre=lesions.centre + inward[:, None] * outward / scale)


def fluid_in(images: Tensor, lesions: Lesions) -> Tensor:
    """(B, C, H, W): a share FLUID of the mean of each image's tissue; beyond its outline never brighter than before."""
    inside = solid(images)
    low, high = FLUID
    share = (low + (high - low) * lesions.detail)[:, None, None, None]
    fluid = share * mean_inside(images, inside.float()) * (0.7 + 0.3 * textured(lesions, images))
    return torch.where(inside[:, None], fluid, torch.minimum(fluid, images))

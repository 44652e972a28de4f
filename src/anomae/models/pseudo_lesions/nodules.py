"""Pseudo-nodules for candidates of lung nodules: abnormal is a round dense structure at the centre of the patch.

Blobs away from the centre and vessels are drawn too, and count as healthy: they teach what is not meant.
Intensities: 0..1 for -1000..400 HU.  Lengths are shares of the patch's side.  Of several channels each shows a
structure with a strength of its own (`draw_shown`).
"""

import math

import torch
from torch import Tensor

from anomae.models.pseudo_lesions.apply import changed_area
from anomae.models.pseudo_lesions.draws import draw_shown
from anomae.models.pseudo_lesions.fields import noise_field

COARSE, MIDDLE, FINE = 6, 12, 25
RADIUS = (1.8 / 50, 14 / 50)
SOFT_TISSUE, GROUND_GLASS = (0.62, 0.84), (0.30, 0.60)
BLOBS, VESSELS = "blob beside", "vessel"  # what counts as healthy


def nodules_in(images: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Images (B, C, H, W) with a round or lobulated nodule near the centre, three in ten with a vessel.

    And (B,) bool, whether the nodule is to be seen: in tissue as dense as itself it changes nothing.
    """
    count = len(images)
    centre = 0.49 + 0.024 * torch.randn(count, 2, generator=generator)
    first = torch.exp(math.log(RADIUS[0]) + math.log(RADIUS[1] / RADIUS[0]) * torch.rand(count, generator=generator))
    second = first * (0.7 + 0.45 * torch.rand(count, generator=generator))
    found = _denser(images, _ellipse(images, centre, torch.stack([first, second], 1), 0.25, generator), generator)
    beside = 0.49 + 0.12 * torch.randn(count, 2, generator=generator)
    vessel = _vessel(found, beside, generator)
    chosen = torch.rand(count, generator=generator) < 0.3
    seen = changed_area(images, found).any(dim=(1, 2))
    return torch.where(chosen[:, None, None, None], vessel, found), seen


def with_blobs_beside(images: Tensor, generator: torch.Generator) -> Tensor:
    """Images (B, C, H, W) with a blob at least a fifth of the side away from the centre."""
    count = len(images)
    angle = 2 * math.pi * torch.rand(count, generator=generator)
    away = (11 + 10 * torch.rand(count, generator=generator)) / 50
    centre = 0.49 + away[:, None] * torch.stack([angle.sin(), angle.cos()], 1)
    radius = (1.5 + 4 * torch.rand(count, generator=generator)) / 50
    return _denser(images, _ellipse(images, centre, radius[:, None].expand(-1, 2), 0.25, generator), generator)


def with_vessels(images: Tensor, generator: torch.Generator) -> Tensor:
    """Images (B, C, H, W) with a long thin structure through about the centre."""
    centre = 0.49 + 0.06 * torch.randn(len(images), 2, generator=generator)
    return _vessel(images, centre, generator)


def _vessel(images: Tensor, centre: Tensor, generator: torch.Generator) -> Tensor:
    count = len(images)
    long = (10 + 25 * torch.rand(count, generator=generator)) / 50
    thin = (0.8 + 1.5 * torch.rand(count, generator=generator)) / 50
    return _denser(images, _ellipse(images, centre, torch.stack([long, thin], 1), 0.05, generator), generator)


def _ellipse(images: Tensor, centre: Tensor, radii: Tensor, irregular: float, generator: torch.Generator) -> Tensor:
    """(B, H, W) weights 0..1 of an ellipse whose outline is as soft as partial volume makes it."""
    count, _, height, width = images.shape
    y = ((torch.arange(height) + 0.5) / height)[None, :, None] - centre[:, 0, None, None]
    x = ((torch.arange(width) + 0.5) / width)[None, None, :] - centre[:, 1, None, None]
    angle = (math.pi * torch.rand(count, generator=generator))[:, None, None]
    along = (x * angle.cos() + y * angle.sin()) / radii[:, 0, None, None]
    across = (y * angle.cos() - x * angle.sin()) / radii[:, 1, None, None]
    ripple = irregular * torch.rand(count, 1, 1, generator=generator) * _noise(images, COARSE, generator)
    away = (along.square() + across.square()).sqrt() + ripple
    soft = 50 * radii.amin(1)[:, None, None] * (0.5 + 1.5 * torch.rand(count, 1, 1, generator=generator))
    return torch.sigmoid((1 - away) * soft)


def _denser(images: Tensor, weight: Tensor, generator: torch.Generator) -> Tensor:
    """Mostly of soft tissue, one in five of ground glass; never darker than what was there.

    weight: (B, H, W).
    """
    count, channels = images.shape[:2]
    drawn, dense = torch.rand(count, generator=generator), torch.rand(count, generator=generator) < 0.8
    low, high = (torch.where(dense, a, b) for a, b in zip(SOFT_TISSUE, GROUND_GLASS, strict=True))
    level = (low + (high - low) * drawn)[:, None, None, None]
    share = torch.rand(count, 1, 1, generator=generator)
    rough = 1 + 0.08 * _noise(images, MIDDLE, generator) + 0.05 * share * _noise(images, FINE, generator)
    weight = weight[:, None] * draw_shown(count, channels, generator)[:, :, None, None]  # (B, C, H, W)
    return torch.maximum(images, images * (1 - weight) + weight * level * rough[:, None]).clamp(0.0, 1.0)


def _noise(images: Tensor, cells: int, generator: torch.Generator) -> Tensor:
    drawn = torch.randn(len(images), cells, cells, generator=generator)
    return noise_field(drawn, (int(images.shape[2]), int(images.shape[3])))

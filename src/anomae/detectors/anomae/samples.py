"""Training samples: views of healthy images, some with a pseudo-lesion, and which patches it changed."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from anomae.detectors.anomae.settings import LesionSettings
from anomae.models.augmentation import random_views
from anomae.models.pseudo_lesions.apply import apply_lesions, changed_area
from anomae.models.pseudo_lesions.draws import draw_lesions
from anomae.models.pseudo_lesions.families import FAMILIES
from anomae.models.pseudo_lesions.nodules import with_blobs_beside, with_nodules, with_vessels

HEALTHY = -1  # as a family
NODULE = "nodule"
# Of patches around candidates that count as healthy: with a blob beside the centre, with a vessel, untouched.
BESIDE, VESSEL = 0.2, 0.25


@dataclass(frozen=True, slots=True)
class Samples:
    """images: (B, h, w) in 0..1.  changed: (B, h, w) bool.  family: (B,) int64, HEALTHY where nothing was altered."""

    images: Tensor
    changed: Tensor
    family: Tensor


def make_samples(images: Tensor, settings: LesionSettings, generator: torch.Generator) -> Samples:
    """Samples from healthy images (B, h, w) of intensities 0..1; all that is drawn comes from `generator` (CPU)."""
    if settings.kind == "centre":
        return _candidates(images, settings, generator)
    views = views_of(images, settings, generator)
    weights = settings.weights or (1.0,) * len(settings.families)
    lesions = draw_lesions(views, weights, generator, settings.brighter)
    altered = apply_lesions(views, lesions, settings.families)
    healthy = torch.rand(len(images), generator=generator) < settings.healthy
    made = torch.where(healthy[:, None, None], views, altered)
    return Samples(made, changed_area(views, made), torch.where(healthy, HEALTHY, lesions.family))


def views_of(images: Tensor, settings: LesionSettings, generator: torch.Generator) -> Tensor:
    """Random views of healthy images (B, h, w), as the samples have them, without any lesion."""
    return _turned(images, generator) if settings.kind == "centre" else random_views(images, generator)


def families_of(settings: LesionSettings, every: bool = False) -> tuple[str, ...]:
    """The families that these settings learn from, or all that can be applied to such images."""
    if settings.kind == "centre":
        return (NODULE,)
    return tuple(FAMILIES) if every else settings.families


def altered_by(images: Tensor, family: str, generator: torch.Generator) -> Tensor:
    """Each image (B, h, w) with a lesion of one family; NODULE is that of candidates."""
    if family == NODULE:
        return with_nodules(images, generator)
    return apply_lesions(images, draw_lesions(images, (1.0,), generator), (family,))


def patch_targets(changed: Tensor, grid: tuple[int, int], smallest_share: float) -> Tensor:
    """(B, gh, gw) bool: patches of which at least this share was changed; of every change at least one patch."""
    share = F.adaptive_avg_pool2d(changed.float()[:, None], grid)[:, 0]
    fullest = share.amax(dim=(1, 2), keepdim=True)
    return (share >= smallest_share) | ((share == fullest) & (share > 0))


def _candidates(images: Tensor, settings: LesionSettings, generator: torch.Generator) -> Samples:
    views = views_of(images, settings, generator)
    healthy = torch.rand(len(images), generator=generator) < settings.healthy
    beside = torch.rand(len(images), generator=generator)
    nodules = with_nodules(views, generator)
    blobs, vessels = with_blobs_beside(views, generator), with_vessels(views, generator)
    kind = beside[:, None, None]
    distracted = torch.where(kind < BESIDE, blobs, torch.where(kind < BESIDE + VESSEL, vessels, views))
    made = torch.where(healthy[:, None, None], distracted, nodules)
    changed = changed_area(views, made) & ~healthy[:, None, None]
    return Samples(made, changed, torch.where(healthy, HEALTHY, 0))


def _turned(images: Tensor, generator: torch.Generator) -> Tensor:
    """Mirrored and turned by quarters: a candidate has no up and down."""
    drawn = torch.rand(len(images), 3, generator=generator) < 0.5
    square = images.shape[1] == images.shape[2]
    images = torch.where(drawn[:, 0, None, None], images.flip(-1), images)
    images = torch.where(drawn[:, 1, None, None], images.flip(-2), images)
    return torch.where(drawn[:, 2, None, None], images.transpose(-1, -2), images) if square else images

"""Training samples: views of healthy images, some with a pseudo-lesion, and which patches it changed."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from anomae.detectors.anomae.neighbours import apart
from anomae.detectors.anomae.settings import LesionSettings
from anomae.models.augmentation import random_views
from anomae.models.pseudo_lesions.apply import apply_lesions, changed_area
from anomae.models.pseudo_lesions.draws import draw_lesions
from anomae.models.pseudo_lesions.families import FAMILIES, STANDARD
from anomae.models.pseudo_lesions.neighbours import apply_to_neighbours, draw_factors
from anomae.models.pseudo_lesions.nodules import (
    BLOBS,
    VESSELS,
    nodules_in,
    with_blobs_beside,
    with_vessels,
)

HEALTHY = -1  # as a family
NODULE = "nodule"
# Of patches around candidates that count as healthy: with a blob beside the centre, with a vessel, untouched.
BESIDE, VESSEL = 0.2, 0.25


@dataclass(frozen=True, slots=True)
class Samples:
    """images: (B, c, h, w) in 0..1, or stacks, as they were given.  changed: (B, h, w) bool, of the slices.

    family: (B,) int64, HEALTHY where nothing was altered.  strength: (B,) mean change of the slices' intensities, 0
    where nothing was altered.
    """

    images: Tensor
    changed: Tensor
    family: Tensor
    strength: Tensor


def make_samples(images: Tensor, settings: LesionSettings, generator: torch.Generator) -> Samples:
    """Samples from healthy images (B, c, h, w) of intensities 0..1; all that is drawn comes from `generator` (CPU).

    images: or stacks (see anomae.detectors.anomae.neighbours); one view of all three slices, and a lesion goes on into
    the neighbours.
    """
    if settings.kind == "centre":
        return _candidates(images, settings, generator)
    views = views_of(images, settings, generator)
    weights = settings.weights or (1.0,) * len(settings.families)
    slices, beside = apart(views)
    lesions = draw_lesions(slices, weights, generator, settings.brighter)
    altered = apply_lesions(slices, lesions, settings.families)
    healthy = torch.rand(len(images), generator=generator) < settings.healthy
    made = torch.where(healthy[:, None, None, None], slices, altered)
    changed, family = changed_area(slices, made), torch.where(healthy, HEALTHY, lesions.family)
    strength = _strength(slices, made)
    if beside is not None:
        factors = draw_factors(len(images), generator)
        further = apply_to_neighbours(beside, lesions, settings.families, factors)
        made = _stacked(images, made, torch.where(healthy[:, None, None, None, None], beside, further))
    return Samples(made, changed, family, strength)


def views_of(images: Tensor, settings: LesionSettings, generator: torch.Generator) -> Tensor:
    """Random views of healthy images (B, c, h, w) or stacks, as the samples have them, without any lesion."""
    return _turned(images, generator) if settings.kind == "centre" else random_views(images, generator)


def families_of(settings: LesionSettings, every: bool = False) -> tuple[str, ...]:
    """The families that these settings learn from, or all that can be applied to such images."""
    if settings.kind == "centre":
        return (NODULE,)
    return tuple(FAMILIES) if every else settings.families


def asked_families(settings: LesionSettings) -> tuple[str, ...]:
    """The families of the pretext task: the standard ones, trained on or not, and whatever else is learned from.

    So the figures of all detectors are means over the same families, unless a detector learned from more.
    """
    learned = families_of(settings)
    if settings.kind == "centre":
        return learned
    return tuple(name for name in FAMILIES if name in STANDARD or name in learned)


def altered_by(images: Tensor, family: str, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Each image (B, c, h, w) with a lesion of one family, and (B,) bool, whether that changed it (a nodule: is seen).

    family: NODULE is that of candidates.  images: or stacks, as in `make_samples`; not of candidates.
    """
    if family == NODULE:
        return nodules_in(images, generator)
    slices, beside = apart(images)
    lesions = draw_lesions(slices, (1.0,), generator)
    altered = apply_lesions(slices, lesions, (family,))
    seen = (altered != slices).flatten(1).any(dim=1)
    if beside is None:
        return altered, seen
    factors = draw_factors(len(images), generator)
    return _stacked(images, altered, apply_to_neighbours(beside, lesions, (family,), factors)), seen


def distractors_of(settings: LesionSettings) -> tuple[str, ...]:
    """What is drawn into healthy samples, and counts as healthy: of candidates alone."""
    return (BLOBS, VESSELS) if settings.kind == "centre" else ()


def distracted_by(images: Tensor, distractor: str, generator: torch.Generator) -> Tensor:
    """Each image (B, c, h, w) with one of `distractors_of` candidates."""
    drawn: Tensor = {BLOBS: with_blobs_beside, VESSELS: with_vessels}[distractor](images, generator)
    return drawn


def _stacked(before: Tensor, slices: Tensor, beside: Tensor) -> Tensor:
    """Altered slices and their neighbours as stacks; a slice that stood for a neighbour still does.

    before: the healthy stacks that these were made from.
    """
    own = (before[:, 1:] == before[:, :1]).flatten(2).all(dim=2)[:, :, None, None, None]
    return torch.cat([slices[:, None], torch.where(own, slices[:, None], beside)], dim=1)


def patch_targets(changed: Tensor, grid: tuple[int, int], smallest_share: float) -> Tensor:
    """(B, gh, gw) bool: patches of which at least this share was changed; of every change at least one patch."""
    share = F.adaptive_avg_pool2d(changed.float()[:, None], grid)[:, 0]
    fullest = share.amax(dim=(1, 2), keepdim=True)
    return (share >= smallest_share) | ((share == fullest) & (share > 0))


def _candidates(images: Tensor, settings: LesionSettings, generator: torch.Generator) -> Samples:
    views = views_of(images, settings, generator)
    healthy = torch.rand(len(images), generator=generator) < settings.healthy
    beside = torch.rand(len(images), generator=generator)
    nodules, seen = nodules_in(views, generator)
    healthy |= ~seen  # where no nodule is to be seen there is none to learn
    blobs, vessels = with_blobs_beside(views, generator), with_vessels(views, generator)
    kind = beside[:, None, None, None]
    distracted = torch.where(kind < BESIDE, blobs, torch.where(kind < BESIDE + VESSEL, vessels, views))
    made = torch.where(healthy[:, None, None, None], distracted, nodules)
    changed = changed_area(views, made) & ~healthy[:, None, None]
    strength = torch.where(healthy, 0.0, _strength(views, made))
    return Samples(made, changed, torch.where(healthy, HEALTHY, 0), strength)


def _strength(before: Tensor, made: Tensor) -> Tensor:
    return (made - before).abs().mean(dim=(1, 2, 3))


def _turned(images: Tensor, generator: torch.Generator) -> Tensor:
    """Mirrored and turned by quarters: a candidate has no up and down."""
    drawn = torch.rand(len(images), 3, generator=generator) < 0.5
    mirrored, upside_down, transposed = drawn.T[..., None, None, None]
    images = torch.where(mirrored, images.flip(-1), images)
    images = torch.where(upside_down, images.flip(-2), images)
    square = images.shape[-2] == images.shape[-1]
    return torch.where(transposed, images.transpose(-1, -2), images) if square else images

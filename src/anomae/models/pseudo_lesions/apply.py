"""Drawn lesions put into images, and where they changed them."""

from collections.abc import Sequence

import torch
from torch import Tensor

from anomae.models.pseudo_lesions.draws import Lesions, tissue
from anomae.models.pseudo_lesions.families import FAMILIES

CHANGED = 0.032  # a smaller change of a pixel does not count as lesion


def apply_lesions(images: Tensor, lesions: Lesions, names: Sequence[str]) -> Tensor:
    """Images (B, C, H, W) of intensities 0..1 with their lesions, within 0..1; tissue only is changed.

    names: the families that `lesions.family` counts.  Every image's outcome depends on its own lesion alone, but for
    the tissue that `foreign`, `poisson` and `perlin` take from the batch.
    """
    altered, body = images.clone(), tissue(images)
    for index, name in enumerate(names):
        rows = torch.nonzero(lesions.family == index)[:, 0]
        if len(rows):
            target, weight = FAMILIES[name](images[rows], lesions.take(rows), images)
            weight = weight * body[rows][:, None]  # (k, 1 or C, H, W)
            altered[rows] = (images[rows] * (1 - weight) + target.clamp(0.0, 1.0) * weight).clamp(0.0, 1.0)
    return altered


def changed_area(images: Tensor, altered: Tensor) -> Tensor:
    """Where (B, H, W) a channel of `altered` differs from `images` (B, C, H, W) by more than CHANGED; bool."""
    return ((altered - images).abs() > CHANGED).any(dim=1)

"""The families of pseudo-lesions for slices of organs: each says what an image would be where its lesion lies.

An altered image is (1 - w) X + w T with the soft weight w of the lesion (`fields.soft_weight`) inside tissue, and T the
family's target; `deform` and `mass` move tissue as well.  Intensities are 0..1, healthy tissue in about 0.1..0.8.
In each channel w is multiplied by how strongly that channel shows the lesion; tissue moves in all channels alike.

The nine STANDARD families stand here; the others, which are drawn only if a setting names them, in files of their own.
They use the same draws, so that naming one changes nothing but which family a lesion is of.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from anomae.models.pseudo_lesions.cavities import cavity
from anomae.models.pseudo_lesions.changes import (
    another_tissue,
    base_of,
    mean_inside,
    of_another,
    pushed,
    shown_in,
    signed,
    size_of,
    textured,
)
from anomae.models.pseudo_lesions.draws import Lesions
from anomae.models.pseudo_lesions.fields import blurred, depth, noise_field, soft_weight
from anomae.models.pseudo_lesions.gradients import poisson
from anomae.models.pseudo_lesions.perlin import perlin
from anomae.models.pseudo_lesions.spreading import haemorrhage, oedema

# (images, lesions, all images of the batch) -> target (B, C, H, W) and weight (B, C, H, W) or (B, 1, H, W)
Family = Callable[[Tensor, Lesions, Tensor], tuple[Tensor, Tensor]]


def blob(images: Tensor, lesions: Lesions, _: Tensor) -> tuple[Tensor, Tensor]:
    """Brighter or darker by one amount, textured, over the tissue itself or over its blurred self."""
    base = base_of(images, lesions)
    change = signed(lesions) * textured(lesions, images)
    return base + change, shown_in(lesions, soft_weight(lesions, size_of(images)))


def fill(images: Tensor, lesions: Lesions, _: Tensor) -> tuple[Tensor, Tensor]:
    """Nearly constant, near the mean of what was there."""
    weight = soft_weight(lesions, size_of(images))
    target = (mean_inside(images, weight) + 0.8 * signed(lesions)) * textured(lesions, images)
    return target, shown_in(lesions, weight)


def foreign(images: Tensor, lesions: Lesions, batch: Tensor) -> tuple[Tensor, Tensor]:
    """The tissue of another healthy image, from about the same position."""
    return of_another(lesions, images, batch), shown_in(lesions, soft_weight(lesions, size_of(images)))


def deform(images: Tensor, lesions: Lesions, _: Tensor) -> tuple[Tensor, Tensor]:
    """Tissue pushed outward from the centre, or drawn inward, within 1.8 half axes; no intensity is changed."""
    return pushed(images, lesions, lesions.outward < 0.5)


def tissue_like(images: Tensor, lesions: Lesions, _: Tensor) -> tuple[Tensor, Tensor]:
    """The intensity of another tissue of the same image, with part of the detail that was there."""
    return another_tissue(images, lesions), shown_in(lesions, soft_weight(lesions, size_of(images)))


def flat(images: Tensor, lesions: Lesions, _: Tensor) -> tuple[Tensor, Tensor]:
    """Contrast between tissues lost (or turned round a little), and all of it a little brighter or darker."""
    weight = soft_weight(lesions, size_of(images))
    mean = mean_inside(images, weight)
    gain = (0.9 * lesions.strength - 0.2)[:, None, None, None]
    return mean + gain * (images - mean) + 0.4 * signed(lesions), shown_in(lesions, weight)


def rim(images: Tensor, lesions: Lesions, _: Tensor) -> tuple[Tensor, Tensor]:
    """A core of one sign and a rim of the other, as a cavity or a necrotic centre has it."""
    size = size_of(images)
    inside = depth(lesions, size)
    width = (0.15 + 0.2 * lesions.strength)[:, None, None]
    core = torch.sigmoid((1 - 1.5 * width - inside) * 2 * lesions.sharpness[:, None, None])
    change = signed(lesions) * (core - lesions.detail[:, None, None] * (1 - core))[:, None]
    return blurred(images) + 1.2 * change * textured(lesions, images), shown_in(lesions, soft_weight(lesions, size))


def mass(images: Tensor, lesions: Lesions, batch: Tensor) -> tuple[Tensor, Tensor]:
    """A blob that pushes the tissue around it outward."""
    outward, around = pushed(images, lesions, torch.ones_like(lesions.outward, dtype=torch.bool))
    moved = (1 - around) * images + around * outward
    target, weight = blob(moved, lesions, batch)
    return torch.where(around > 0, (1 - weight) * outward + weight * target, images), around


def several(images: Tensor, lesions: Lesions, _: Tensor) -> tuple[Tensor, Tensor]:
    """Many small foci inside a region of 1.5 half axes, brighter or darker."""
    size = size_of(images)
    region = torch.sigmoid((1 - depth(lesions, size, 1.5)) * lesions.sharpness[:, None, None])
    threshold = (0.3 + 0.8 * lesions.strength)[:, None, None]
    foci = torch.sigmoid((noise_field(lesions.fine, size) - threshold) * 8)
    return base_of(images, lesions) + signed(lesions), shown_in(lesions, region * foci)


FAMILIES: dict[str, Family] = {
    "blob": blob,
    "fill": fill,
    "foreign": foreign,
    "deform": deform,
    "tissue": tissue_like,
    "flat": flat,
    "rim": rim,
    "mass": mass,
    "several": several,
    "poisson": poisson,
    "oedema": oedema,
    "haemorrhage": haemorrhage,
    "cavity": cavity,
    "perlin": perlin,
}
STANDARD = tuple(FAMILIES)[:9]  # what the heads learn from by default, and what every detector is asked about

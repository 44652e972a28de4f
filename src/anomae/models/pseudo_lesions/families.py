"""The families of pseudo-lesions for slices of organs: each says what an image would be where its lesion lies.

An altered image is (1 - w) X + w T with the soft weight w of the lesion (`fields.soft_weight`) inside tissue, and T the
family's target; `deform` and `mass` move tissue as well.  Intensities are 0..1, healthy tissue in about 0.1..0.8.
In each channel w is multiplied by how strongly that channel shows the lesion; tissue moves in all channels alike.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from anomae.models.pseudo_lesions.draws import Lesions
from anomae.models.pseudo_lesions.fields import blurred, depth, noise_field, offsets, soft_weight, texture

# (images, lesions, all images of the batch) -> target (B, C, H, W) and weight (B, C, H, W) or (B, 1, H, W)
Family = Callable[[Tensor, Lesions, Tensor], tuple[Tensor, Tensor]]


def blob(images: Tensor, lesions: Lesions, _: Tensor) -> tuple[Tensor, Tensor]:
    """Brighter or darker by one amount, textured, over the tissue itself or over its blurred self."""
    base = _base(images, lesions)
    change = _signed(lesions) * _textured(lesions, images)
    return base + change, _shown(lesions, soft_weight(lesions, _size(images)))


def fill(images: Tensor, lesions: Lesions, _: Tensor) -> tuple[Tensor, Tensor]:
    """Nearly constant, near the mean of what was there."""
    weight = soft_weight(lesions, _size(images))
    target = (_mean_inside(images, weight) + 0.8 * _signed(lesions)) * _textured(lesions, images)
    return target, _shown(lesions, weight)


def foreign(images: Tensor, lesions: Lesions, batch: Tensor) -> tuple[Tensor, Tensor]:
    """The tissue of another healthy image, from about the same position."""
    height, width = _size(images)
    shifts = (lesions.shift * min(height, width)).round().long()
    moved = [
        torch.roll(batch[int(i)], (int(y), int(x)), (-2, -1)) for i, (y, x) in zip(lesions.other, shifts, strict=True)
    ]
    return torch.stack(moved), _shown(lesions, soft_weight(lesions, _size(images)))


def deform(images: Tensor, lesions: Lesions, _: Tensor) -> tuple[Tensor, Tensor]:
    """Tissue pushed outward from the centre, or drawn inward, within 1.8 half axes; no intensity is changed."""
    return _pushed(images, lesions, lesions.outward < 0.5)


def tissue_like(images: Tensor, lesions: Lesions, _: Tensor) -> tuple[Tensor, Tensor]:
    """The intensity of another tissue of the same image, with part of the detail that was there."""
    base = lesions.level[:, :, None, None] * _textured(lesions, images)
    kept = 0.5 * lesions.detail[:, None, None, None] * (images - blurred(images))
    return base + kept, _shown(lesions, soft_weight(lesions, _size(images)))


def flat(images: Tensor, lesions: Lesions, _: Tensor) -> tuple[Tensor, Tensor]:
    """Contrast between tissues lost (or turned round a little), and all of it a little brighter or darker."""
    weight = soft_weight(lesions, _size(images))
    mean = _mean_inside(images, weight)
    gain = (0.9 * lesions.strength - 0.2)[:, None, None, None]
    return mean + gain * (images - mean) + 0.4 * _signed(lesions), _shown(lesions, weight)


def rim(images: Tensor, lesions: Lesions, _: Tensor) -> tuple[Tensor, Tensor]:
    """A core of one sign and a rim of the other, as a cavity or a necrotic centre has it."""
    size = _size(images)
    inside = depth(lesions, size)
    width = (0.15 + 0.2 * lesions.strength)[:, None, None]
    core = torch.sigmoid((1 - 1.5 * width - inside) * 2 * lesions.sharpness[:, None, None])
    change = _signed(lesions) * (core - lesions.detail[:, None, None] * (1 - core))[:, None]
    return blurred(images) + 1.2 * change * _textured(lesions, images), _shown(lesions, soft_weight(lesions, size))


def mass(images: Tensor, lesions: Lesions, batch: Tensor) -> tuple[Tensor, Tensor]:
    """A blob that pushes the tissue around it outward."""
    pushed, around = _pushed(images, lesions, torch.ones_like(lesions.outward, dtype=torch.bool))
    moved = (1 - around) * images + around * pushed
    target, weight = blob(moved, lesions, batch)
    return torch.where(around > 0, (1 - weight) * pushed + weight * target, images), around


def several(images: Tensor, lesions: Lesions, _: Tensor) -> tuple[Tensor, Tensor]:
    """Many small foci inside a region of 1.5 half axes, brighter or darker."""
    size = _size(images)
    region = torch.sigmoid((1 - depth(lesions, size, 1.5)) * lesions.sharpness[:, None, None])
    threshold = (0.3 + 0.8 * lesions.strength)[:, None, None]
    foci = torch.sigmoid((noise_field(lesions.fine, size) - threshold) * 8)
    return _base(images, lesions) + _signed(lesions), _shown(lesions, region * foci)


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
}


def _size(images: Tensor) -> tuple[int, int]:
    return int(images.shape[2]), int(images.shape[3])


def _shown(lesions: Lesions, weight: Tensor) -> Tensor:
    """Weight (B, H, W) of the lesion -> (B, C, H, W) in the channels."""
    return weight[:, None] * lesions.shown[:, :, None, None]


def _signed(lesions: Lesions) -> Tensor:
    return (lesions.sign * lesions.amplitude)[:, None, None, None]


def _textured(lesions: Lesions, images: Tensor) -> Tensor:
    return texture(lesions, _size(images))[:, None]  # (B, 1, H, W)


def _base(images: Tensor, lesions: Lesions) -> Tensor:
    return torch.where((lesions.blurred < 0.5)[:, None, None, None], images, blurred(images))


def _mean_inside(images: Tensor, weight: Tensor) -> Tensor:
    """(B, C, 1, 1): means of images (B, C, H, W) where the lesion lies, by weight (B, H, W)."""
    weight = weight[:, None]
    total = weight.sum(dim=(2, 3), keepdim=True)
    return (images * weight).sum(dim=(2, 3), keepdim=True) / (total + 1e-6)


def _pushed(images: Tensor, lesions: Lesions, outward: Tensor) -> tuple[Tensor, Tensor]:
    """Images sampled nearer to the centre (outward) or farther from it (B, C, H, W), and where (B, 1, H, W)."""
    height, width = _size(images)
    y, x = offsets(lesions, (height, width))
    reach = 1.8 * lesions.radii[:, 0, None, None]
    share = (torch.hypot(y, x) / reach).clamp(0.05, 1.0)
    factor = torch.where(
        outward[:, None, None], share ** (0.2 + 1.2 * lesions.strength[:, None, None]), 1 + 0.5 * (1 - share)
    )
    short = min(height, width)
    centre_y, centre_x = (lesions.centre[:, axis, None, None] * 2 - 1 for axis in (0, 1))
    grid = torch.stack([centre_x + 2 * x * factor * short / width, centre_y + 2 * y * factor * short / height], dim=-1)
    moved = F.grid_sample(images, grid, align_corners=False, padding_mode="border")
    return moved, (share < 1).float()[:, None]

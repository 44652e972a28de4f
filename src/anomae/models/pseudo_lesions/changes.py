"""What families share: sizes, signs, textures, means inside a lesion, other tissue, tissue that is moved."""

import torch
import torch.nn.functional as F
from torch import Tensor

from anomae.models.pseudo_lesions.draws import Lesions, tissue
from anomae.models.pseudo_lesions.fields import blurred, offsets, texture
from anomae.models.windows import largest_around


def size_of(images: Tensor) -> tuple[int, int]:
    """(H, W)."""
    return int(images.shape[2]), int(images.shape[3])


def shown_in(lesions: Lesions, weight: Tensor) -> Tensor:
    """Weight (B, H, W) of the lesion -> (B, C, H, W) in the channels."""
    return weight[:, None] * lesions.shown[:, :, None, None]


def signed(lesions: Lesions) -> Tensor:
    """(B, 1, 1, 1): the drawn amplitude with its sign."""
    return (lesions.sign * lesions.amplitude)[:, None, None, None]


def textured(lesions: Lesions, images: Tensor) -> Tensor:
    """(B, 1, H, W), about 1: what a lesion's intensity is multiplied by."""
    return texture(lesions, size_of(images))[:, None]


def base_of(images: Tensor, lesions: Lesions) -> Tensor:
    """The images (B, C, H, W) or, in half of the draws, what they are without detail."""
    return torch.where((lesions.blurred < 0.5)[:, None, None, None], images, blurred(images))


def mean_inside(images: Tensor, weight: Tensor) -> Tensor:
    """(B, C, 1, 1): means of images (B, C, H, W) where the lesion lies, by weight (B, H, W)."""
    weight = weight[:, None]
    total = weight.sum(dim=(2, 3), keepdim=True)
    return (images * weight).sum(dim=(2, 3), keepdim=True) / (total + 1e-6)


def eroded(body: Tensor, share: float = 2 / 128) -> Tensor:
    """A body (B, H, W), bool, without what lies nearer to its outline than `share` of the shorter side; bool.

    By default that is what `tissue` takes for tissue beyond the outline, because it is a mean.
    """
    width = max(1, round(min(body.shape[1:]) * share))
    return ~largest_around(~body, width)


def solid(images: Tensor) -> Tensor:
    """Where there is tissue up to its outline, and not beyond it, in images (B, C, H, W); (B, H, W) bool."""
    return eroded(tissue(images))


def of_another(lesions: Lesions, images: Tensor, batch: Tensor) -> Tensor:
    """(B, C, H, W): the tissue of another image of the batch, from about the same position."""
    height, width = size_of(images)
    shifts = (lesions.shift * min(height, width)).round().long()
    moved = [
        torch.roll(batch[int(i)], (int(y), int(x)), (-2, -1)) for i, (y, x) in zip(lesions.other, shifts, strict=True)
    ]
    return torch.stack(moved)


def another_tissue(images: Tensor, lesions: Lesions) -> Tensor:
    """(B, C, H, W): the intensity of another tissue of the same image, with part of the detail that was there."""
    base = lesions.level[:, :, None, None] * textured(lesions, images)
    kept = 0.5 * lesions.detail[:, None, None, None] * (images - blurred(images))
    return base + kept


def pushed(images: Tensor, lesions: Lesions, outward: Tensor) -> tuple[Tensor, Tensor]:
    """Images sampled nearer to the centre (outward) or farther from it (B, C, H, W), and where (B, 1, H, W)."""
    y, x = offsets(lesions, size_of(images))
    reach = 1.8 * lesions.radii[:, 0, None, None]
    share = (torch.hypot(y, x) / reach).clamp(0.05, 1.0)
    factor = torch.where(
        outward[:, None, None], share ** (0.2 + 1.2 * lesions.strength[:, None, None]), 1 + 0.5 * (1 - share)
    )
    return drawn_from(images, lesions, factor), (share < 1).float()[:, None]


def drawn_from(images: Tensor, lesions: Lesions, factor: Tensor) -> Tensor:
    """Images (B, C, H, W) sampled `factor` (B, H, W) times as far from the lesion's centre as each pixel lies."""
    height, width = size_of(images)
    y, x = offsets(lesions, (height, width))
    short = min(height, width)
    centre_y, centre_x = (lesions.centre[:, axis, None, None] * 2 - 1 for axis in (0, 1))
    grid = torch.stack([centre_x + 2 * x * factor * short / width, centre_y + 2 * y * factor * short / height], dim=-1)
    return F.grid_sample(images, grid, align_corners=False, padding_mode="border")

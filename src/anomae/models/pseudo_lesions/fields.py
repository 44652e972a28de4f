"""Where and how strongly a drawn lesion acts: fields of weights and noise at the size of the images.

They are (B, H, W), the same for all channels.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from anomae.models.pseudo_lesions.draws import Lesions
from anomae.models.windows import mean_around


def noise_field(cells: Tensor, size: tuple[int, int]) -> Tensor:
    """Noise (B, c, c) brought smoothly to (B, H, W)."""
    return F.interpolate(cells[:, None], size, mode="bicubic", align_corners=False)[:, 0]


def offsets(lesions: Lesions, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """(B, H, W) each: how far below and right of the lesion's centre every pixel lies, shares of the shorter side."""
    height, width = size
    short = min(size)
    y = (torch.arange(height) + 0.5)[None, :, None] - lesions.centre[:, 0, None, None] * height
    x = (torch.arange(width) + 0.5)[None, None, :] - lesions.centre[:, 1, None, None] * width
    return (y / short).expand(-1, -1, width), (x / short).expand(-1, height, -1)


def depth(lesions: Lesions, size: tuple[int, int], larger: float = 1.0) -> Tensor:
    """(B, H, W): 0 at the centre of the lesion's ellipse, 1 on its outline, made irregular by the coarse noise.

    larger: factor on the half axes.
    """
    y, x = offsets(lesions, size)
    cos, sin = (f(lesions.angle)[:, None, None] for f in (torch.cos, torch.sin))
    along = (x * cos + y * sin) / (larger * lesions.radii[:, 0, None, None])
    across = (y * cos - x * sin) / (larger * lesions.radii[:, 1, None, None])
    ripple = 0.3 * lesions.irregular[:, None, None] * noise_field(lesions.coarse, size)
    return (along.square() + across.square()).sqrt() + ripple


def soft_weight(lesions: Lesions, size: tuple[int, int]) -> Tensor:
    """(B, H, W) in 0..1: one inside the lesion, falling off softly across its outline."""
    return torch.sigmoid((1 - depth(lesions, size)) * lesions.sharpness[:, None, None])


def texture(lesions: Lesions, size: tuple[int, int]) -> Tensor:
    """(B, H, W), about 1: what a lesion's intensity is multiplied by."""
    return 1 + 0.3 * lesions.texture[:, None, None] * noise_field(lesions.fine, size)


def blurred(images: Tensor) -> Tensor:
    """Images (B, C, H, W) without detail below about a tenth of their side."""
    reach = max(1, round(min(images.shape[2:]) * 7 / 128)) // 2
    return mean_around(mean_around(images, reach), reach)

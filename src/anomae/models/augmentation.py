"""Random views of healthy images: slightly turned, resized, shifted, mirrored, brighter or of other contrast."""

import torch
import torch.nn.functional as F
from torch import Tensor

TURN = 0.12  # radians
RESIZE = 0.12
SHIFT = (0.08, 0.03)  # y, x: of the side; little sideways, so that a midline stays where it is
GAMMA, GAIN = 0.16, 0.12


def random_views(images: Tensor, generator: torch.Generator, untouched: float = 0.2) -> Tensor:
    """(B, H, W) of intensities 0..1 -> the same; all that is drawn comes from `generator` (on the CPU).

    untouched: share of the images that are only mirrored, so that images as sharp as new ones are among them.
    """
    count = len(images)

    def within(limit: float) -> Tensor:
        return limit * (2 * torch.rand(count, generator=generator) - 1)

    moved = (torch.rand(count, generator=generator) >= untouched).float()
    turn, down, right = moved * within(TURN), moved * within(2 * SHIFT[0]), moved * within(2 * SHIFT[1])
    wide, tall = 1 + moved * within(RESIZE), 1 + moved * within(RESIZE)
    mirror = torch.where(torch.rand(count, generator=generator) < 0.5, -1.0, 1.0)
    matrix = torch.stack(
        [
            torch.stack([turn.cos() * wide * mirror, -turn.sin() * wide, right], dim=1),
            torch.stack([turn.sin() * tall * mirror, turn.cos() * tall, down], dim=1),
        ],
        dim=1,
    )  # (B, 2, 3)
    size = [count, 1, *images.shape[1:]]
    grid = F.affine_grid(matrix, size, align_corners=False)
    views = F.grid_sample(images[:, None], grid, mode="bicubic", padding_mode="border", align_corners=False)[:, 0]
    gamma, gain = (1 + within(GAMMA))[:, None, None], (1 + within(GAIN))[:, None, None]
    return (views.clamp(0.0, 1.0) ** gamma * gain).clamp(0.0, 1.0)

"""Random views of healthy images: moved a little, and as another scanner or another sequence would show them."""

import torch
import torch.nn.functional as F
from torch import Tensor

from anomae.models.pseudo_lesions.fields import noise_field
from anomae.models.windows import mean_around

TURN = 0.12  # radians
RESIZE = 0.12
SHIFT = (0.08, 0.03)  # y, x: of the side; little sideways, so that a midline stays where it is
# Chosen by the pretext figure on validation normals (docs/experiments.md): 0.900 with these, 0.890 with a gamma of
# 0.16, a gain of 0.12 and nothing else.
GAMMA, GAIN = 0.3, 0.15
BIAS, BIAS_CELLS = 0.1, 4
NOISE, BLUR = 0.03, 0.5


def random_views(images: Tensor, generator: torch.Generator, untouched: float = 0.2) -> Tensor:
    """(B, ..., H, W) of intensities 0..1 -> the same; all that is drawn comes from `generator` (on the CPU).

    images: what lies between B and H and W (channels, slices above one another, both, or nothing) is moved and shown
    alike, each picture with noise of its own.  untouched: share of the images that are mirrored and get another
    contrast and brightness only, so that images as sharp as new ones are among them.
    """
    moved = torch.rand(len(images), generator=generator) >= untouched
    pictures = images.reshape(len(images), -1, *images.shape[-2:])  # (B, K, H, W)
    views = _other_scanner(_moved(pictures, moved.float(), generator), moved.float(), generator)
    return views.reshape(images.shape)


def _moved(images: Tensor, moved: Tensor, generator: torch.Generator) -> Tensor:
    count = len(images)

    def within(limit: float) -> Tensor:
        return limit * (2 * torch.rand(count, generator=generator) - 1)

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
    grid = F.affine_grid(matrix, [count, 1, *images.shape[2:]], align_corners=False)
    views = F.grid_sample(images, grid, mode="bicubic", padding_mode="border", align_corners=False)
    return views.clamp(0.0, 1.0)


def _other_scanner(images: Tensor, touched: Tensor, generator: torch.Generator) -> Tensor:
    """Other contrast (gamma), brightness (gain), shading (a smooth field), sharpness and noise."""
    count, _, height, width = images.shape

    def within(limit: float) -> Tensor:
        return limit * (2 * torch.rand(count, 1, 1, 1, generator=generator) - 1)

    shown = images ** (1 + within(GAMMA)) * (1 + within(GAIN))
    field = noise_field(torch.randn(count, BIAS_CELLS, BIAS_CELLS, generator=generator), (height, width))
    touched = touched[:, None, None, None]
    shown = shown * (1 + touched * within(BIAS) * field[:, None])
    blurred = mean_around(shown, 1)
    share = touched * (within(BLUR) - 0.2 * BLUR)  # below 0: sharper
    shown = shown + share * (blurred - shown)
    level = touched * NOISE * torch.rand(count, 1, 1, 1, generator=generator).square()
    noise = torch.randn(shown.shape, generator=generator) * level
    return (shown + noise * (images > 0.02)).clamp(0.0, 1.0)

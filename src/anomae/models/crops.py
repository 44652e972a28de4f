"""Random crops, mirrors, shifts and erasures of whole batches on their device; all is drawn from a generator."""

import math

import torch
from torch import Tensor


def random_resized_crops(
    images: Tensor,
    *,
    generator: torch.Generator,
    scale: tuple[float, float] = (0.7, 1.0),
    ratio: tuple[float, float] = (3 / 4, 4 / 3),
    flip: bool = False,
) -> Tensor:
    """(B, C, H, W): of each image a rectangle of `scale` of its area, brought back to H x W; mirrored every other time.

    Width to height of the rectangle, relative to the image's, is log-uniform in `ratio`; cut to the image where it
    would not fit.  Bicubic; values stay within the channel's own range.
    """
    return resize_crops(images, *draw_crops(len(images), generator, scale, ratio, flip))


def draw_crops(
    batch: int, generator: torch.Generator, scale: tuple[float, float], ratio: tuple[float, float], flip: bool
) -> tuple[Tensor, Tensor]:
    """Sizes and centres, (B, 2) each as (x, y), in units of half the image; a negative x size mirrors."""
    drawn = torch.rand(5, batch, generator=generator, device=generator.device)
    area = scale[0] + (scale[1] - scale[0]) * drawn[0]
    aspect = torch.exp(math.log(ratio[0]) + math.log(ratio[1] / ratio[0]) * drawn[1])
    if scale[0] == scale[1] == 1.0:
        aspect = torch.ones_like(aspect)
    sizes = torch.stack([(area * aspect).sqrt(), (area / aspect).sqrt()], dim=1).clamp(max=1.0)  # (B, 2)
    centres = (2 * drawn[2:4].T - 1) * (1 - sizes)
    if flip:
        mirrored = torch.where(drawn[4] < 0.5, -1.0, 1.0)
        sizes = torch.stack([sizes[:, 0] * mirrored, sizes[:, 1]], dim=1)
    return sizes, centres


def resize_crops(images: Tensor, sizes: Tensor, centres: Tensor) -> Tensor:
    """Cut the rectangles that `draw_crops` drew and bring them to the images' size, (B, C, H, W).

    Bicubic (Keys, a = -0.5, as Pillow has it), then cut to the channel's own range.
    """
    height, width = images.shape[2:]
    low, high = images.amin(dim=(2, 3), keepdim=True), images.amax(dim=(2, 3), keepdim=True)
    # Two products with narrow-banded matrices: 3 (160 px) times as fast as grid_sample, which is bilinear at that.
    with torch.autocast(images.device.type, enabled=False):
        columns = _resampling(width, sizes[:, 0], centres[:, 0]).to(images.device)
        rows = _resampling(height, sizes[:, 1], centres[:, 1]).to(images.device)
        resized = rows[:, None] @ images @ columns.transpose(1, 2)[:, None]  # (B, C, H, W)
    return resized.clamp(low, high)


def _resampling(count: int, sizes: Tensor, centres: Tensor) -> Tensor:
    """(B, count, count): what each pixel of a line becomes made of, for the stretch at `centres` of `sizes`, (B,)."""
    middles = (2 * torch.arange(count, device=sizes.device) + 1) / count - 1  # of the pixels, -1..1
    positions = ((centres[:, None] + sizes[:, None] * middles + 1) * count - 1) / 2  # (B, count), in pixels
    first = positions.floor()
    taps = torch.arange(-1, 3, device=sizes.device)
    away = (positions - first)[..., None] - taps  # (B, count, 4), -2..2
    near, far = away.abs(), away.abs().clamp(max=2)
    weights = torch.where(near <= 1, (1.5 * near - 2.5) * near**2 + 1, ((2.5 - 0.5 * far) * far - 4) * far + 2)
    sources = (first[..., None].long() + taps).clamp(0, count - 1)  # pixels beyond the border: the border's
    return torch.zeros(*positions.shape, count, device=sizes.device).scatter_add_(2, sources, weights)


def erase_random(
    images: Tensor,
    probability: float,
    *,
    generator: torch.Generator,
    area: tuple[float, float] = (0.02, 1 / 3),
    ratio: tuple[float, float] = (0.3, 3.3),
) -> Tensor:
    """(B, C, H, W): with `probability` a rectangle of `area` of the image becomes N(0, 1) noise (random erasing)."""
    batch, (height, width) = len(images), images.shape[2:]
    drawn = torch.rand(5, batch, generator=generator, device=generator.device)
    noise = torch.randn(images.shape, generator=generator, device=generator.device)
    part = (area[0] + (area[1] - area[0]) * drawn[0]) * height * width
    aspect = torch.exp(math.log(ratio[0]) + math.log(ratio[1] / ratio[0]) * drawn[1])
    tall = (part * aspect).sqrt().round().clamp(1, height)
    wide = (part / aspect).sqrt().round().clamp(1, width)
    top, left = (drawn[2] * (height - tall + 1)).floor(), (drawn[3] * (width - wide + 1)).floor()
    rows, columns = torch.arange(height, device=images.device), torch.arange(width, device=images.device)
    in_rows = (rows >= top[:, None]) & (rows < (top + tall)[:, None])
    in_columns = (columns >= left[:, None]) & (columns < (left + wide)[:, None])
    erased = in_rows[:, :, None] & in_columns[:, None, :] & (drawn[4] < probability)[:, None, None]
    return torch.where(erased[:, None], noise, images)  # the same rectangle in all channels


def roll_random(images: Tensor, *, generator: torch.Generator) -> Tensor:
    """(B, C, H, W): each shifted by whole pixels, any shift as likely; what leaves on one side enters on the other."""
    batch, channels, height, width = images.shape
    drawn = torch.rand(2, batch, 1, generator=generator, device=generator.device)
    rows = (torch.arange(height, device=images.device) + (drawn[0] * height).long()) % height  # (B, H)
    columns = (torch.arange(width, device=images.device) + (drawn[1] * width).long()) % width  # (B, W)
    each, channel = (torch.arange(count, device=images.device) for count in (batch, channels))
    return images[each[:, None, None, None], channel[:, None, None], rows[:, None, :, None], columns[:, None, None, :]]

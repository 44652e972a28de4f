"""What is drawn for pseudo-lesions before any image is touched: families, positions, shapes, strengths, noise.

All lengths are shares of the image's shorter side, so one draw can be applied at any resolution, to several channels,
or to neighbouring slices alike.  A lesion has one geometry in all channels; how strongly each shows it is drawn too.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from anomae.models.windows import largest_around, mean_around

COARSE, FINE = 8, 24  # cells of a side of the two noise fields
RADIUS = (1 / 32, 1 / 5)  # of the first half axis, log-uniform
AMPLITUDE = (0.05, 0.37)  # of a change of intensity; healthy tissue lies in about 0.1..0.8
FAINTEST = 0.1  # strength in a channel before the strongest is brought to 1, FAINTEST..1
MARGIN = 1 / 20  # a centre lies at least so deep in tissue, where there is such a position
SMALLEST_BODY = 1e-6


@dataclass(frozen=True, slots=True)
class Lesions:
    """One pseudo-lesion for each of B images; every field has B rows.

    family: (B,) int64, an index into the list of families given to `draw_lesions`.  centre: (B, 2) y, x in 0..1.
    radii: (B, 2) half axes, shares of the shorter side.  angle: radians.  irregular, texture, blurred, strength,
    outward, detail: (B,) in 0..1.  sharpness: 3..13.  sign: -1 or 1.  amplitude: AMPLITUDE.  level: (B, C) intensities
    of a tissue pixel of the image.  other: (B,) int64, the image whose tissue is foreign.  shift: (B, 2) of it, shares.
    coarse, fine: (B, cells, cells) standard normal noise.  shown: (B, C) as `draw_shown` gives it.
    """

    family: Tensor
    centre: Tensor
    radii: Tensor
    angle: Tensor
    irregular: Tensor
    texture: Tensor
    blurred: Tensor
    strength: Tensor
    outward: Tensor
    detail: Tensor
    sharpness: Tensor
    sign: Tensor
    amplitude: Tensor
    level: Tensor
    other: Tensor
    shift: Tensor
    coarse: Tensor
    fine: Tensor
    shown: Tensor

    def __len__(self) -> int:
        return len(self.family)

    def take(self, rows: Tensor) -> "Lesions":
        """The lesions at these rows (k,)."""
        return Lesions(*(getattr(self, field.name)[rows] for field in fields(self)))


def draw_lesions(
    images: Tensor, weights: Sequence[float], generator: torch.Generator, brighter: float = 0.5
) -> Lesions:
    """A lesion for each image (B, C, H, W) of intensities 0..1, its centre in tissue; all from `generator` (CPU).

    weights: how often each family is drawn, by its index; they need not sum to one.  brighter: share of the lesions
    whose sign is 1.
    """
    count, channels, height, width = images.shape

    def uniform(*shape: int) -> Tensor:
        return torch.rand(count, *shape, generator=generator)

    family = torch.multinomial(_chances(weights), count, replacement=True, generator=generator)
    pixels = torch.multinomial(_where_lesions_lie(images).flatten(1), 2, replacement=True, generator=generator)
    centre = torch.stack([(pixels[:, 0] // width + 0.5) / height, (pixels[:, 0] % width + 0.5) / width], dim=1)
    first = torch.exp(math.log(RADIUS[0]) + math.log(RADIUS[1] / RADIUS[0]) * uniform())
    second = first * torch.exp(0.25 * torch.randn(count, generator=generator))
    around = mean_around(images, 1, beyond=True).flatten(2)  # (B, C, H * W)
    level = around.gather(2, pixels[:, 1:, None].expand(-1, channels, -1))[:, :, 0]
    return Lesions(
        family=family,
        centre=centre,
        radii=torch.stack([first, second], dim=1),
        angle=math.pi * uniform(),
        irregular=uniform(),
        texture=uniform(),
        blurred=uniform(),
        strength=uniform(),
        outward=uniform(),
        detail=uniform(),
        sharpness=3 + 10 * uniform(),
        sign=torch.where(uniform() < brighter, 1.0, -1.0),
        amplitude=AMPLITUDE[0] + (AMPLITUDE[1] - AMPLITUDE[0]) * uniform(),
        level=level,
        other=torch.randperm(count, generator=generator),
        shift=0.4 * uniform(2) - 0.2,
        coarse=torch.randn(count, COARSE, COARSE, generator=generator),
        fine=torch.randn(count, FINE, FINE, generator=generator),
        shown=draw_shown(count, channels, generator),
    )


def draw_shown(count: int, channels: int, generator: torch.Generator) -> Tensor:
    """(count, channels) in 0..1: how strongly each channel shows a lesion; 1 in the channel that shows it most.

    Of one channel it is 1, and nothing is drawn.
    """
    if channels == 1:
        return torch.ones(count, 1)
    drawn = FAINTEST + (1 - FAINTEST) * torch.rand(count, channels, generator=generator)
    return drawn / drawn.amax(dim=1, keepdim=True)


def tissue(images: Tensor, level: float = 0.08) -> Tensor:
    """Where there is tissue in images (B, C, H, W): a mean over 5 of 128 pixels above `level`; (B, H, W) bool.

    One channel that shows it is enough.
    """
    reach = max(1, round(min(images.shape[2:]) * 5 / 128)) // 2
    return (mean_around(images, reach, beyond=True) > level).any(dim=1)


def _chances(weights: Sequence[float]) -> Tensor:
    """As they are, or in parts of the largest where their sum is none of float32: too large, or too small."""
    chances = torch.tensor(weights, dtype=torch.float32)
    smallest, largest = torch.finfo(torch.float32).tiny, torch.finfo(torch.float32).max
    if smallest <= float(chances.sum()) <= largest:
        return chances
    return torch.tensor([weight / max(weights) for weight in weights], dtype=torch.float32)


def _where_lesions_lie(images: Tensor) -> Tensor:
    """(B, H, W) weights: tissue at least MARGIN deep; nearly nothing elsewhere, so that an empty image has some too."""
    body = tissue(images)
    inner = ~largest_around(~body, max(1, round(min(images.shape[2:]) * MARGIN)))
    return inner + SMALLEST_BODY * body + SMALLEST_BODY**2

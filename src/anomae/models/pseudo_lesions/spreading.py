"""Families that follow the tissue: what spreads along one tissue and stops where another begins."""

import torch
from torch import Tensor

from anomae.models.pseudo_lesions.changes import mean_inside, shown_in, signed, size_of, solid, textured
from anomae.models.pseudo_lesions.draws import Lesions
from anomae.models.pseudo_lesions.fields import depth, offsets
from anomae.models.windows import largest_around, mean_around

SEED = 2.5 / 128  # how far around its centre the tissue of a lesion is looked up, share of the shorter side
LIKE = 0.07  # how much the intensity of one tissue differs from that at the centre
OEDEMA_REACH, RIM_REACH = 1.8, 1.7  # in half axes
CORE = 0.7  # outline of a haemorrhage's core, in half axes
EDGE = 18.0  # how sharp that outline is; 3..13 in other families


def oedema(images: Tensor, lesions: Lesions, _: Tensor) -> tuple[Tensor, Tensor]:
    """Brighter or darker along one tissue, falling off smoothly and ending where another tissue begins.

    The detail of the tissue is kept.  The amplitude is 1.2 times that of a `blob`, being reached at the centre only.
    """
    inside = (1 - depth(lesions, size_of(images), OEDEMA_REACH)).clamp(0.0, 1.0)
    profile = 1 - (1 - inside).square()
    target = images + 1.2 * signed(lesions) * (0.5 + 0.5 * textured(lesions, images))
    return target, shown_in(lesions, profile * along_tissue(images, lesions))


def haemorrhage(images: Tensor, lesions: Lesions, _: Tensor) -> tuple[Tensor, Tensor]:
    """A dense, nearly constant core with a sharp outline; around it a rim that fades out along the tissue.

    In seven of ten draws the rim has the other sign.
    """
    inside = depth(lesions, size_of(images))
    core = torch.sigmoid((CORE - inside) * EDGE) * solid(images)
    fading = ((RIM_REACH - inside) / (RIM_REACH - CORE)).clamp(0.0, 1.0)
    rim = (1 - core) * fading * along_tissue(images, lesions)
    strong = signed(lesions) + 0.15 * lesions.sign[:, None, None, None]
    dense = (mean_inside(images, core) + strong) * (0.7 + 0.3 * textured(lesions, images))
    against = torch.where(lesions.outward < 0.7, -1.0, 1.0)[:, None, None, None]
    share = (0.3 + 0.5 * lesions.strength)[:, None, None, None]
    weight = core + rim
    mixed = (core / (weight + 1e-6))[:, None]
    target = mixed * dense + (1 - mixed) * (images + against * share * strong)
    return target, shown_in(lesions, weight)


def along_tissue(images: Tensor, lesions: Lesions) -> Tensor:
    """(B, H, W) in 0..1: tissue like that at the lesion's centre and connected with it through such tissue.

    Likeness m of a pixel is one minus a soft step at a difference of LIKE; the connectedness of a pixel is the largest,
    over all ways from the inner half of the lesion, of the smallest m on the way.
    """
    size = size_of(images)
    y, x = offsets(lesions, size)
    at_centre = torch.exp(-(y.square() + x.square()) / SEED**2)
    smooth = mean_around(images, max(1, round(min(size) * 3 / 128)) // 2)
    apart = (smooth - mean_inside(images, at_centre)).abs().mean(dim=1)
    like = torch.sigmoid((LIKE - apart) * (4 / LIKE)) * solid(images)
    connected = like * (depth(lesions, size) < 0.5)
    connected = torch.maximum(connected, like * at_centre)
    for _ in range(min(size) // 2):  # the farthest is less than 0.4 of the side away; some ways are winding
        before, connected = connected, torch.minimum(largest_around(connected, 1), like)
        if torch.equal(before, connected):  # no further step would change any
            break
    return connected

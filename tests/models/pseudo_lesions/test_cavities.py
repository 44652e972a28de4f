"""Cavities: at the surface, dark, sharply bounded, and the tissue beside them sinks in."""

import torch

from anomae.models.pseudo_lesions.apply import apply_lesions
from anomae.models.pseudo_lesions.cavities import FLUID, at_surface
from anomae.models.pseudo_lesions.changes import solid
from anomae.models.pseudo_lesions.draws import draw_lesions
from anomae.models.pseudo_lesions.fields import depth

SIDE = 64


def discs(count: int = 40, side: int = SIDE) -> torch.Tensor:
    """Discs of tissue at 0.5, nothing outside; (count, 1, side, side)."""
    y, x = torch.meshgrid(torch.arange(side) / side - 0.5, torch.arange(side) / side - 0.5, indexing="ij")
    return torch.where(torch.hypot(x, y) < 0.4, 0.5, 0.0).expand(count, 1, -1, -1)


def test_it_lies_at_the_surface_and_reaches_it() -> None:
    images = discs()
    lesions = draw_lesions(images, (1.0,), torch.Generator().manual_seed(0))
    moved = at_surface(images, lesions)
    from_middle = (moved.centre - 0.5).norm(dim=1)
    below = 0.4 - from_middle
    assert (below > -0.04).all()
    assert (below < 0.04 + moved.radii.amin(dim=1) / 2).all()
    away, before = moved.centre - 0.5, lesions.centre - 0.5
    outward = torch.nn.functional.cosine_similarity(away, before)
    assert (outward[before.norm(dim=1) > 0.05] > 0.99).all()  # straight outward, but where there is no such way
    again = at_surface(images, moved)
    assert torch.allclose(again.centre, moved.centre, atol=0.02)


def test_it_holds_fluid_and_is_sharply_bounded() -> None:
    images = discs()
    lesions = draw_lesions(images, (1.0,), torch.Generator().manual_seed(0))
    lesions.texture.zero_()
    lesions.strength.zero_()  # nothing sinks in
    lesions.radii.clamp_(min=0.1)
    made = apply_lesions(images, lesions, ("cavity",))[:, 0]
    inside = depth(at_surface(images, lesions), (SIDE, SIDE))
    within = solid(images)
    deep, beyond = within & (inside < 0.8), within & (inside > 1.3)
    level = (FLUID[0] + (FLUID[1] - FLUID[0]) * lesions.detail)[:, None, None] * 0.5
    assert torch.allclose(made[deep], level.expand_as(made)[deep], atol=0.02)
    assert torch.allclose(made[beyond], images[:, 0][beyond], atol=0.01)
    assert (made <= images[:, 0] + 1e-6).all()  # fluid is nowhere brighter than what was there


def test_tissue_beside_it_sinks_in_by_its_strength() -> None:
    y, x = torch.meshgrid(torch.arange(SIDE) / SIDE - 0.5, torch.arange(SIDE) / SIDE - 0.5, indexing="ij")
    rings = torch.where(torch.hypot(x, y) < 0.4, 0.5 + 0.1 * torch.sin(40 * torch.hypot(x, y)), 0.0)
    images = rings.expand(20, 1, -1, -1)
    lesions = draw_lesions(images, (1.0,), torch.Generator().manual_seed(0))
    lesions.radii[:] = 0.15
    moved_by = []
    for strength in (0.0, 0.4, 1.0):
        lesions.strength.fill_(strength)
        beside = depth(at_surface(images, lesions), (SIDE, SIDE)) > 1.35
        moved_by.append(float((apply_lesions(images, lesions, ("cavity",)) - images)[:, 0][beside].abs().sum()))
    assert moved_by[0] < 0.1 * moved_by[1]
    assert moved_by[1] < moved_by[2]


def test_an_image_without_tissue_stays_as_it_is() -> None:
    images = torch.zeros(4, 1, 32, 32)
    lesions = draw_lesions(images, (1.0,), torch.Generator().manual_seed(0))
    assert torch.equal(apply_lesions(images, lesions, ("cavity",)), images)

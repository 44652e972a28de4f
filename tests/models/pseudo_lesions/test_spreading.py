"""What spreads along one tissue: not across a border, not into what is not connected, and smoothly."""

import torch

from anomae.models.pseudo_lesions.apply import apply_lesions
from anomae.models.pseudo_lesions.draws import Lesions, draw_lesions
from anomae.models.pseudo_lesions.spreading import CORE, along_tissue

SIDE = 64


def discs(count: int = 12, side: int = SIDE) -> torch.Tensor:
    """Discs of tissue at 0.5, nothing outside; (count, 1, side, side)."""
    y, x = torch.meshgrid(torch.arange(side) / side - 0.5, torch.arange(side) / side - 0.5, indexing="ij")
    return torch.where(torch.hypot(x, y) < 0.4, 0.5, 0.0).expand(count, 1, -1, -1)


def in_the_middle(images: torch.Tensor, seed: int = 0) -> Lesions:
    """Regular round lesions of a fifth of the side, without texture, left of the middle."""
    lesions = draw_lesions(images, (1.0,), torch.Generator().manual_seed(seed))
    lesions.centre[:] = torch.tensor([0.5, 0.4])
    lesions.radii[:] = 0.2
    lesions.irregular.zero_()
    lesions.texture.zero_()
    return lesions


def test_it_stops_where_another_tissue_begins() -> None:
    images = discs().clone()
    images[..., 32:] *= 1.5  # another tissue in the right half
    made = apply_lesions(images, in_the_middle(images), ("oedema",))
    change = (made - images).abs()[:, 0]
    assert (change[:, 32, 20:28].amin(1) > 0.02).all()
    assert change[:, :, 34:].max() < 0.01
    without = discs()
    there = (apply_lesions(without, in_the_middle(without), ("oedema",)) - without).abs()[:, 0]
    assert (there[:, 32, 34:38].amin(1) > 0.02).all()


def test_tissue_alike_that_is_not_connected_is_spared() -> None:
    images = discs().clone()
    images[..., 30:34] = 0.2  # a fissure, and the same tissue beyond it
    reached = along_tissue(images, in_the_middle(images))
    assert (reached[:, 32, 20:28] > 0.9).all()
    assert reached[:, 10:54, 36:].max() < 0.1
    images[:, :, 40:44, 30:34] = 0.5  # a bridge
    assert (along_tissue(images, in_the_middle(images))[:, 32, 37] > 0.9).all()


def test_an_oedema_falls_off_smoothly_from_its_centre() -> None:
    images = discs()
    change = (apply_lesions(images, in_the_middle(images), ("oedema",)) - images).abs()[:, 0, 32, 25:45]
    assert (change.diff(dim=1) <= 1e-6).all()
    assert (change.diff(dim=1).abs().amax(1) < 0.25 * change[:, 0]).all()


def test_a_haemorrhage_has_an_even_core_with_a_sharp_outline_and_a_fading_rim() -> None:
    images = discs(48)
    lesions = in_the_middle(images)
    change = (apply_lesions(images, lesions, ("haemorrhage",)) - images)[:, 0, 32, 25:50]
    edge = round(CORE * 0.2 * SIDE)
    core, rim = change[:, : edge - 2], change[:, edge + 4 :]
    assert (core.std(dim=1) < 0.01).all()
    assert ((core.mean(1).sign() == lesions.sign) & (core.abs().mean(1) > 0.15)).all()
    assert (rim.abs().diff(dim=1) <= 1e-6).all()
    against = lesions.outward < 0.7
    assert (rim[:, 0].sign() == torch.where(against, -lesions.sign, lesions.sign)).all()
    assert (rim[:, 0].abs() < 0.7 * core.abs().mean(1)).all()
    assert against.any()
    assert not against.all()

"""Lesions in neighbouring slices: the same lesion, in the same place, smaller, a little larger, or not there."""

import pytest
import torch

from anomae.models.pseudo_lesions.apply import apply_lesions, changed_area
from anomae.models.pseudo_lesions.draws import draw_lesions
from anomae.models.pseudo_lesions.families import FAMILIES
from anomae.models.pseudo_lesions.neighbours import FACTOR, SMALL, apply_to_neighbours, draw_factors


def heads(count: int = 24, side: int = 64, channels: int = 1) -> torch.Tensor:
    """Striped discs of tissue."""
    y, x = torch.meshgrid(torch.arange(side) / side - 0.5, torch.arange(side) / side - 0.5, indexing="ij")
    waves = torch.linspace(15, 45, count)[:, None, None]
    images = torch.where(torch.hypot(x, y) < 0.4, 0.45 + 0.15 * torch.sin(waves * x + 9 * y), 0.0)
    return images[:, None].expand(-1, channels, -1, -1)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("family", FAMILIES)
def test_of_one_size_in_the_same_tissue_it_is_the_very_lesion(family: str, channels: int) -> None:
    images = heads(channels=channels)
    lesions = draw_lesions(images, (1.0,), torch.Generator().manual_seed(0))
    factors = torch.tensor([1.0, 0.0]).expand(len(images), 2)
    made = apply_to_neighbours(images[:, None].expand(-1, 2, -1, -1, -1), lesions, (family,), factors)
    assert torch.equal(made[:, 0], apply_lesions(images, lesions, (family,)))
    assert torch.equal(made[:, 1], images)


def test_a_smaller_factor_changes_less() -> None:
    images = heads()
    lesions = draw_lesions(images, (1.0,), torch.Generator().manual_seed(0))
    factors = torch.tensor([0.5, 1.1]).expand(len(images), 2)
    made = apply_to_neighbours(images[:, None].expand(-1, 2, -1, -1, -1), lesions, ("blob",), factors)
    small, large = (changed_area(images, side).sum((1, 2)) for side in made.unbind(1))
    assert (small <= large).all()
    assert (small < large).float().mean() > 0.6


def test_factors_lie_in_their_range_and_a_third_of_the_small_ones_ended() -> None:
    factors = draw_factors(20_000, torch.Generator().manual_seed(0))
    there = factors[factors > 0]
    assert there.min() >= FACTOR[0]
    assert there.max() <= FACTOR[1]
    assert float((factors == 0).float().mean()) == pytest.approx(
        (SMALL - FACTOR[0]) / (FACTOR[1] - FACTOR[0]) / 3, rel=0.1
    )
    assert abs(float(torch.corrcoef(factors.T)[0, 1])) < 0.03  # each side is drawn by itself
    assert torch.equal(factors, draw_factors(20_000, torch.Generator().manual_seed(0)))

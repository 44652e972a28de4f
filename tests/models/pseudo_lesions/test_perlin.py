"""Fractal noise as Perlin's is (nothing at the lattice's points, continuous, of the drawn directions), what it cuts."""

import pytest
import torch

from anomae.models.pseudo_lesions.apply import apply_lesions, changed_area
from anomae.models.pseudo_lesions.draws import draw_lesions
from anomae.models.pseudo_lesions.fields import depth
from anomae.models.pseudo_lesions.perlin import NEIGHBOURHOOD, fractal_noise, gradient_noise


def noise(count: int = 300, side: int = 61, cells: int = 5) -> torch.Tensor:
    """(count, side, side) over the whole lattice, 15 pixels a cell."""
    drawn = torch.randn(count, cells, cells, generator=torch.Generator().manual_seed(0))
    along = torch.linspace(0, 1, side)
    return gradient_noise(drawn, along[None, :, None].expand(count, -1, side), along.expand(count, side, -1))


def test_it_is_zero_on_the_lattice_and_continuous_between() -> None:
    made = noise()
    assert torch.allclose(made[:, ::15, ::15], torch.tensor(0.0), atol=1e-5)
    assert made.diff(dim=1).abs().max() < 0.2
    assert made.diff(dim=2).abs().max() < 0.2
    assert 0.15 < float(made.std()) < 0.35
    assert abs(float(made.mean())) < 0.01
    assert made.abs().max() <= 2**0.5


def test_its_slope_at_a_point_of_the_lattice_is_the_drawn_direction() -> None:
    drawn = torch.randn(50, 4, 4, generator=torch.Generator().manual_seed(1))
    step = 1e-3
    at = torch.full((50, 1, 1), 1 / 3)
    down = gradient_noise(drawn, at + step / 3, at) / step
    right = gradient_noise(drawn, at, at + step / 3) / step
    angle = 2 * torch.pi * torch.special.ndtr(drawn[:, 1, 1])
    assert torch.allclose(down[:, 0, 0], angle.sin(), atol=0.02)
    assert torch.allclose(right[:, 0, 0], angle.cos(), atol=0.02)


def test_beyond_the_lattice_it_goes_on_as_at_its_edge() -> None:
    drawn = torch.randn(3, 4, 4, generator=torch.Generator().manual_seed(0))
    u = torch.linspace(0, 1, 20).expand(3, 1, 20)
    edge, beyond = (gradient_noise(drawn, torch.full_like(u, v), u) for v in (1.0, 1.7))
    assert torch.equal(edge, beyond)


@pytest.mark.parametrize("radius", [0.06, 0.2])
def test_masks_are_torn_at_every_size_and_stay_in_the_neighbourhood(radius: float) -> None:
    """The noise belongs to the lesion, not to the image: small lesions are as irregular as large ones."""
    side = 96
    images = torch.full((24, 1, side, side), 0.5)
    lesions = draw_lesions(images, (1.0,), torch.Generator().manual_seed(0))
    lesions.centre[:] = 0.5
    lesions.radii[:] = radius
    lesions.amplitude[:] = 0.3
    lesions.detail.zero_()  # brighter or darker
    lesions.irregular.zero_()
    changed = changed_area(images, apply_lesions(images, lesions, ("perlin",)))
    within = depth(lesions, (side, side), NEIGHBOURHOOD) < 1
    share = (changed & within).sum((1, 2)) / within.sum((1, 2))
    assert 0.3 < float(share.mean()) < 0.85
    assert float(share.std()) > 0.08
    assert not (changed & (depth(lesions, (side, side), NEIGHBOURHOOD) > 2)).any()
    assert abs(float(fractal_noise(lesions, (side, side))[within].std()) - 0.27) < 0.08

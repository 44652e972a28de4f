"""What is drawn for pseudo-lesions: from the generator alone, in tissue, within the ranges that are said."""

from dataclasses import fields

import pytest
import torch

from anomae.models.pseudo_lesions.draws import AMPLITUDE, FAINTEST, RADIUS, draw_lesions, draw_shown, tissue


def disc(side: int = 64, count: int = 200, channels: int = 1) -> torch.Tensor:
    y, x = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    inside = ((y - side / 2) ** 2 + (x - side / 2) ** 2).sqrt() < side * 0.3
    return (0.5 * inside.float()).expand(count, channels, -1, -1)


def test_the_same_seed_draws_the_same() -> None:
    one, same, other = (draw_lesions(disc(), (1.0, 2.0), torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
    assert all(torch.equal(getattr(one, f.name), getattr(same, f.name)) for f in fields(one))
    assert not torch.equal(one.centre, other.centre)


@pytest.mark.parametrize("factor", [1e39, 1e300, 1e-46, 1e-300])
def test_weights_of_any_size_count_by_their_shares(factor: float) -> None:
    """float32 has no such numbers, and torch refused them as negative or not finite."""
    usual, far = (
        draw_lesions(disc(), [n * by for n in (1, 3)], torch.Generator().manual_seed(0)) for by in (1, factor)
    )
    share = (far.family == 1).float().mean()
    assert abs(share - 0.75) < 0.12
    assert torch.equal(usual.centre, far.centre)


def test_the_global_generator_takes_no_part() -> None:
    torch.manual_seed(0)
    before = torch.random.get_rng_state()
    draw_lesions(disc(), (1.0,), torch.Generator().manual_seed(0))
    assert torch.equal(before, torch.random.get_rng_state())


def test_centres_lie_in_tissue() -> None:
    images = disc()
    lesions = draw_lesions(images, (1.0,), torch.Generator().manual_seed(0))
    y, x = (lesions.centre * 64).long().T
    assert tissue(images)[torch.arange(len(images)), y, x].all()
    assert (lesions.level > 0.3).all()


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_images_without_structure_can_be_drawn_for(value: float) -> None:
    lesions = draw_lesions(torch.full((20, 1, 32, 48), value), (1.0,), torch.Generator().manual_seed(0))
    assert ((lesions.centre > 0) & (lesions.centre < 1)).all()


def test_ranges_and_weights() -> None:
    lesions = draw_lesions(disc(count=4000), (1.0, 3.0), torch.Generator().manual_seed(0))
    assert float((lesions.family == 1).float().mean()) == pytest.approx(0.75, abs=0.03)
    assert lesions.radii[:, 0].min() >= RADIUS[0]
    assert lesions.radii[:, 0].max() <= RADIUS[1]
    assert lesions.amplitude.min() >= AMPLITUDE[0]
    assert lesions.amplitude.max() <= AMPLITUDE[1]
    assert set(lesions.sign.unique().tolist()) == {-1.0, 1.0}
    assert sorted(lesions.other.tolist()) == list(range(4000))
    brighter = draw_lesions(disc(count=4000), (1.0,), torch.Generator().manual_seed(0), brighter=0.9)
    assert float((brighter.sign > 0).float().mean()) == pytest.approx(0.9, abs=0.02)


def test_rows_are_taken_together() -> None:
    lesions = draw_lesions(disc(count=5), (1.0, 1.0), torch.Generator().manual_seed(0))
    taken = lesions.take(torch.tensor([3, 1]))
    assert len(taken) == 2
    assert torch.equal(taken.centre[0], lesions.centre[3])
    assert torch.equal(taken.fine[1], lesions.fine[1])


def test_of_more_channels_the_geometry_is_the_same_and_strengths_are_drawn_too() -> None:
    """Images whose channels are alike: nothing but what is of a channel may differ from the draw for one."""
    one, three = (draw_lesions(disc(channels=c), (1.0, 2.0), torch.Generator().manual_seed(1)) for c in (1, 3))
    assert torch.equal(one.shown, torch.ones(200, 1))
    assert three.shown.shape == three.level.shape == (200, 3)
    assert torch.equal(three.level, one.level.expand(-1, 3))
    shared = [f.name for f in fields(one) if f.name not in ("shown", "level")]
    assert all(torch.equal(getattr(one, name), getattr(three, name)) for name in shared)


def test_strengths_of_channels_lie_in_their_range_and_one_is_full() -> None:
    shown = draw_shown(4000, 3, torch.Generator().manual_seed(0))
    assert torch.equal(shown.amax(1), torch.ones(4000))
    assert shown.min() >= FAINTEST
    assert float((shown.amin(1) < 0.3).float().mean()) > 0.3  # faint in one, full in another
    assert torch.bincount(shown.argmax(1)).min() > 1200
    generator = torch.Generator().manual_seed(0)
    before = generator.get_state()
    draw_shown(5, 1, generator)
    assert torch.equal(generator.get_state(), before)  # of one channel nothing is drawn


def test_one_channel_with_tissue_is_enough() -> None:
    images = torch.cat([torch.zeros(4, 2, 64, 64), disc(count=4)], dim=1)
    assert torch.equal(tissue(images), tissue(disc(count=4)))

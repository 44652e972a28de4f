"""Every family: changes tissue near its centre and nothing else, stays within 0..1, and is no other family."""

import pytest
import torch

from anomae.models.pseudo_lesions.apply import CHANGED, apply_lesions, changed_area
from anomae.models.pseudo_lesions.cavities import at_surface
from anomae.models.pseudo_lesions.draws import draw_lesions, tissue
from anomae.models.pseudo_lesions.families import FAMILIES
from anomae.models.pseudo_lesions.fields import depth, offsets, soft_weight


def heads(count: int = 24, side: int = 64, channels: int = 1) -> torch.Tensor:
    """Striped discs of tissue at about 0.5, each with stripes of its own; nothing outside.  (count, channels, ...)"""
    y, x = torch.meshgrid(torch.arange(side) / side - 0.5, torch.arange(side) / side - 0.5, indexing="ij")
    waves = torch.linspace(15, 45, count)[:, None, None]
    images = torch.where(torch.hypot(x, y) < 0.4, 0.45 + 0.15 * torch.sin(waves * x + 9 * y), 0.0)
    return images[:, None].expand(-1, channels, -1, -1)


@pytest.fixture(params=list(FAMILIES))
def family(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def altered(family: str, images: torch.Tensor, seed: int = 0) -> torch.Tensor:
    lesions = draw_lesions(images, (1.0,), torch.Generator().manual_seed(seed))
    return apply_lesions(images, lesions, (family,))


def test_most_images_are_changed_and_stay_in_range(family: str) -> None:
    images = heads()
    made = altered(family, images)
    assert made.shape == images.shape
    assert made.min() >= 0
    assert made.max() <= 1
    assert changed_area(images, made).flatten(1).any(1).float().mean() > 0.6


def test_nothing_changes_outside_tissue_or_far_away(family: str) -> None:
    images = heads()
    lesions = draw_lesions(images, (1.0,), torch.Generator().manual_seed(0))
    changed = changed_area(images, apply_lesions(images, lesions, (family,)))
    assert not (changed & ~tissue(images)).any()
    y, x = offsets(at_surface(images, lesions) if family == "cavity" else lesions, (64, 64))
    far = torch.hypot(y, x) > 3.5 * lesions.radii.amax(1)[:, None, None] + 0.1
    assert not (changed & far).any()


def test_nothing_changes_where_its_weight_is_zero_and_no_image_depends_on_its_neighbours(family: str) -> None:
    images = heads()
    lesions = draw_lesions(images, (1.0,), torch.Generator().manual_seed(0))
    target, weight = FAMILIES[family](images, lesions, images)
    made = apply_lesions(images, lesions, (family,))
    untouched = (weight.expand_as(images) == 0) | ~tissue(images)[:, None]
    assert torch.equal(made[untouched], images[untouched])
    assert weight.min() >= 0
    assert weight.max() <= 1 + 1e-6
    some = torch.tensor([5, 17, 2])
    of_some = FAMILIES[family](images[some], lesions.take(some), images)
    assert all(torch.equal(one, other[some]) for one, other in zip(of_some, (target, weight), strict=True))


def test_the_images_given_are_left_alone_and_the_draw_decides_all(family: str) -> None:
    images = heads()
    before = images.clone()
    assert torch.equal(altered(family, images), altered(family, images))
    assert torch.equal(images, before)


def test_a_draw_means_the_same_at_another_resolution(family: str) -> None:
    small, large = heads(side=64), heads(side=128)
    lesions = draw_lesions(small, (1.0,), torch.Generator().manual_seed(3))
    of_small = apply_lesions(small, lesions, (family,)) - small
    of_large = apply_lesions(large, lesions, (family,)) - large
    shrunk = torch.nn.functional.avg_pool2d(of_large, 2)
    apart, size = (of_small - shrunk).abs().mean(), of_small.abs().mean()
    assert apart < 0.5 * size


def test_families_differ() -> None:
    images = heads()
    made = [altered(name, images) for name in FAMILIES]
    for index, one in enumerate(made):
        assert not any(torch.allclose(one, other, atol=1e-3) for other in made[:index])


def test_each_image_gets_the_family_that_was_drawn() -> None:
    images, names = heads(), tuple(FAMILIES)
    lesions = draw_lesions(images, (1.0,) * len(names), torch.Generator().manual_seed(1))
    together = apply_lesions(images, lesions, names)
    for index, name in enumerate(names):
        alone = apply_lesions(images, lesions, [name] * len(names))
        rows = lesions.family == index
        assert torch.equal(together[rows], alone[rows])


def test_deform_moves_tissue_and_makes_no_new_intensity() -> None:
    images = heads()
    made = altered("deform", images)
    assert made.max() <= images.max() + 1e-5
    flat = torch.where(images > 0, 0.5, 0.0)
    inside = torch.nn.functional.avg_pool2d((flat > 0).float(), 41, 1, 20) == 1
    assert torch.allclose(altered("deform", flat)[inside], flat[inside], atol=1e-4)


def test_tissue_takes_an_intensity_that_the_image_has() -> None:
    images = torch.where(heads() > 0, 0.5, 0.0)
    lesions = draw_lesions(images, (1.0,), torch.Generator().manual_seed(0))
    made = apply_lesions(images, lesions, ("tissue",))
    deep = soft_weight(lesions, (64, 64)) > 0.9
    smooth = lesions.texture[:, None, None] < 0.05
    assert torch.allclose(made[:, 0][deep & smooth], torch.tensor(0.5), atol=0.06)


def test_depth_is_one_on_a_regular_outline() -> None:
    images = heads(4)
    lesions = draw_lesions(images, (1.0,), torch.Generator().manual_seed(0))
    lesions.irregular.zero_()
    lesions.radii[:] = 0.2
    y, x = offsets(lesions, (64, 64))
    assert torch.allclose(depth(lesions, (64, 64)), torch.hypot(y, x) / 0.2, atol=1e-4)


def test_a_change_below_the_threshold_is_none() -> None:
    images = torch.full((1, 1, 8, 8), 0.5)
    assert not changed_area(images, images + CHANGED * 0.99).any()
    assert changed_area(images, images + CHANGED * 1.01).all()


def test_a_change_in_one_channel_is_a_change() -> None:
    images = torch.full((1, 3, 8, 8), 0.5)
    altered_in_one = images.clone()
    altered_in_one[0, 1, 2, 3] = 0.9
    assert changed_area(images, altered_in_one).nonzero().tolist() == [[0, 2, 3]]


def test_channels_show_one_lesion_each_with_a_strength_of_its_own(family: str) -> None:
    """Channels that were alike: each has the change of the one that shows it fully, times its strength."""
    images = heads(channels=3)
    lesions = draw_lesions(images, (1.0,), torch.Generator().manual_seed(0))
    change = apply_lesions(images, lesions, (family,)) - images  # (B, 3, H, W)
    shown = lesions.shown[:, :, None, None]
    full = change.gather(1, shown.argmax(1, keepdim=True).expand(-1, -1, 64, 64))
    if family == "deform":  # tissue moves in all channels alike
        assert torch.equal(change, full.expand_as(change))
    elif family in ("mass", "cavity"):  # it moves alike, and there is a blob of each channel's strength where it went
        (one, two, three), (f1, f2, f3) = change.unbind(1), shown.unbind(1)
        alike = torch.isclose((one - two) * (f3 - f2), (three - two) * (f1 - f2), atol=1e-6)
        assert alike.float().mean() > 0.99  # but where 0..1 cuts one of them off
        assert not torch.allclose(one, two, atol=0.05)
    else:
        assert torch.allclose(change, shown * full, atol=1e-6)
        assert torch.equal(changed_area(images, images + change), full[:, 0].abs() > CHANGED)


def test_of_one_channel_shown_fully_it_is_the_lesion_of_one_channel(family: str) -> None:
    one, three = heads(), heads(channels=3)
    lesions = draw_lesions(three, (1.0,), torch.Generator().manual_seed(0))
    lesions.shown.fill_(1.0)
    alone = draw_lesions(one, (1.0,), torch.Generator().manual_seed(0))
    expected = apply_lesions(one, alone, (family,)).expand(-1, 3, -1, -1)
    assert torch.allclose(apply_lesions(three, lesions, (family,)), expected, atol=1e-6)

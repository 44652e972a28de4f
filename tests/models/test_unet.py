"""The U-Net: shapes, what its skips and its standardised weights are for, and whence its weights come."""

import pytest
import torch

from anomae.models.unet import StandardisedConv2d, UNet, fits


def make(seed: int = 0, **options: bool) -> UNet:
    return UNet((2, 3), 8, 2, torch.Generator().manual_seed(seed), **options).eval()


@pytest.mark.parametrize("skips", [True, False])
def test_it_gives_maps_of_the_images_size(skips: bool, rng: torch.Generator) -> None:
    images = torch.randn(2, 2, 16, 24, generator=rng)
    assert make(skips=skips)(images).shape == (2, 3, 16, 24)


def test_its_weights_come_from_the_generator_alone() -> None:
    one, again, other = (make(seed).state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(one[name], again[name]) for name in one)
    drawn = [name for name, weight in one.items() if weight.ndim == 4]
    assert drawn
    assert not any(torch.equal(one[name], other[name]) for name in drawn)


def test_without_skips_all_has_to_pass_the_lowest_level(rng: torch.Generator) -> None:
    """With its lowest level silent, a network without skips gives the same for every image."""
    images = torch.randn(2, 2, 16, 16, generator=rng)
    for skips in (True, False):
        network = make(skips=skips)
        network.down[-1].register_forward_hook(lambda *given: torch.zeros_like(given[2]))
        first, second = network(images)
        assert torch.equal(first, second) is not skips


def test_the_scale_and_the_mean_of_standardised_weights_do_not_matter(rng: torch.Generator) -> None:
    images = torch.randn(2, 2, 16, 16, generator=rng)
    network = make(standardised=True)
    before = network(images)
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, StandardisedConv2d):
                module.weight.mul_(3.0).add_(0.5)
    assert torch.allclose(network(images), before, atol=1e-3)
    plain = make()
    assert not any(isinstance(module, StandardisedConv2d) for module in plain.modules())


def test_which_sizes_can_be_halved() -> None:
    assert fits((16, 24), 2)
    assert fits((8, 8), 2)
    assert not fits((4, 8), 2)  # a single pixel would be left
    assert not fits((16, 22), 2)

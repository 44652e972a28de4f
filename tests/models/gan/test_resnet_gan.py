"""Residual networks of f-AnoGAN: as many parameters as published, blocks as the slow formula has them."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from anomae.models.gan.resnet_gan import ResidualBlock, ResnetCritic, ResnetEncoder, ResnetGenerator, fits, halvings


def millions(network: nn.Module) -> float:
    return sum(parameter.numel() for parameter in network.parameters()) / 1e6


@pytest.mark.parametrize(("side", "total"), [(64, 24.6), (128, 28.3), (224, 32.7)])
def test_there_are_as_many_parameters_as_published(side: int, total: float) -> None:
    size = (side, side)
    with torch.device("meta"):
        networks = (
            ResnetGenerator(size, 1, 64, 128, None),
            ResnetCritic(size, 1, 64, None),
            ResnetEncoder(size, 1, 64, 128, None),
        )
    assert sum(millions(network) for network in networks) == pytest.approx(total, abs=0.05)
    if side == 64:
        assert [millions(network) for network in networks] == pytest.approx([8.5, 7.5, 8.5], abs=0.05)


@pytest.mark.parametrize(
    ("size", "times"),
    [
        ((64, 64), 4),
        ((128, 128), 5),
        ((224, 224), 5),
        ((48, 48), 4),
        ((96, 96), 5),
        ((160, 160), 5),
        ((32, 32), 3),
        ((16, 16), 2),
        ((64, 128), 4),
    ],
)
def test_images_come_back_in_their_size(size: tuple[int, int], times: int) -> None:
    assert halvings(size) == times
    with torch.device("meta"):
        (latent,) = ResnetEncoder(size, 3, 8, 5, None)(torch.zeros(2, 3, *size))
        assert latent.shape == (2, 5)
        assert ResnetGenerator(size, 3, 8, 5, None)(latent).shape == (2, 3, *size)
        critic = ResnetCritic(size, 3, 8, None)
        assert critic(torch.zeros(2, 3, *size)).shape == (2, 1, 1)
        grid = (size[0] >> times, size[1] >> times)
        assert critic.features(torch.zeros(2, 3, *size)).shape[2:] == grid


@pytest.mark.parametrize("size", [(50, 50), (240, 240), (64, 63), (8, 8), (32, 128)])
def test_other_sizes_do_not_fit(size: tuple[int, int]) -> None:
    assert not fits(size)


@pytest.mark.parametrize("turn", ["up", "down"])
def test_a_block_is_what_the_slow_formula_says(turn: str, rng: torch.Generator) -> None:
    block = ResidualBlock(4, 6, turn, lambda channels: nn.GroupNorm(1, channels))  # type: ignore[arg-type]
    for parameter in block.parameters():
        nn.init.normal_(parameter, generator=rng)
    maps = torch.randn(2, 4, 8, 8, generator=rng)

    def doubled(given: torch.Tensor) -> torch.Tensor:
        return given.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)

    def halved(given: torch.Tensor) -> torch.Tensor:
        return given.unflatten(2, (-1, 2)).unflatten(4, (-1, 2)).mean(dim=(3, 5))

    inner = F.relu(block.norm1(maps))
    inner = F.relu(block.norm2(block.conv1(doubled(inner) if turn == "up" else inner)))
    inner = block.conv2(inner)
    if turn == "up":
        expected = inner + block.shortcut(doubled(maps))
    else:
        expected = halved(inner) + block.shortcut(halved(maps))
    torch.testing.assert_close(block(maps), expected, rtol=1e-4, atol=1e-4)
    assert block.conv1.bias is None


def test_the_inner_convolutions_begin_wider_than_glorots(rng: torch.Generator) -> None:
    critic = ResnetCritic((16, 16), 1, 32, rng)
    block = critic.halving.blocks[0]
    assert float(block.conv1.weight.detach().std()) == pytest.approx((4 / (9 * 64)) ** 0.5, rel=0.03)
    assert float(block.conv2.weight.detach().std()) == pytest.approx((4 / (9 * 96)) ** 0.5, rel=0.03)
    assert float(block.shortcut.weight.detach().std()) == pytest.approx((2 / 96) ** 0.5, rel=0.05)
    again = ResnetCritic((16, 16), 1, 32, torch.Generator().manual_seed(1))
    assert all(torch.equal(a, b) for a, b in zip(critic.parameters(), again.parameters(), strict=True))


def test_generated_images_lie_within_one(rng: torch.Generator) -> None:
    images = ResnetGenerator((16, 16), 2, 8, 4, rng)(100 * torch.randn(3, 4, generator=rng))
    assert float(images.detach().abs().max()) <= 1

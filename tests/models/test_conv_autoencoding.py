"""Unified networks: as many parameters as the originals, the image's own size back, all weights from the generator."""

import pytest
import torch
from torch import nn

from anomae.models.conv_autoencoding import ConvEncoder, ConvGenerator, PatchCritic, fits, halvings


def millions(*networks: nn.Module) -> float:
    return sum(parameter.numel() for network in networks for parameter in network.parameters()) / 1e6


# AnoVAEGAN (two heads), f-AnoGAN (one), in millions: counted with the originals' own layers.
@pytest.mark.parametrize(("side", "two", "one"), [(64, 1.59, 1.46), (128, 2.48, 2.35), (224, 3.40, 3.00)])
def test_there_are_as_many_parameters_as_in_the_originals(side: int, two: float, one: float) -> None:
    with torch.device("meta"):
        size = (side, side)
        rest = ConvGenerator(size, 1, 32, 128, None), PatchCritic(size, 1, 32, None)
        both = [ConvEncoder(size, 1, 32, 128, heads, None) for heads in (1, 2)]
    assert millions(both[1], *rest) == pytest.approx(two, abs=0.005)
    assert millions(both[0], *rest) == pytest.approx(one, abs=0.005)
    if side == 224:
        assert [millions(n) for n in (both[1], *rest)] == pytest.approx([1.47, 1.23, 0.70], abs=0.005)


@pytest.mark.parametrize(
    ("size", "middle"),
    [
        ((48, 48), (12, 12)),
        ((64, 64), (8, 8)),
        ((96, 96), (12, 12)),
        ((128, 128), (8, 8)),
        ((160, 160), (10, 10)),
        ((224, 224), (14, 14)),
        ((240, 240), (15, 15)),
        ((50, 50), (25, 25)),
        ((32, 96), (8, 24)),
        ((16, 18), (8, 9)),
    ],
)
def test_an_image_of_any_even_size_comes_back(size: tuple[int, int], middle: tuple[int, int]) -> None:
    with torch.device("meta"):
        (latent,) = ConvEncoder(size, 2, 8, 5, 1, None)(torch.zeros(3, 2, *size))
        assert latent.shape == (3, 5)
        assert ConvGenerator(size, 2, 8, 5, None)(latent).shape == (3, 2, *size)
        critic = PatchCritic(size, 2, 8, None)
        assert critic(torch.zeros(3, 2, *size)).shape == (3, *middle)
        assert critic.features(torch.zeros(3, 2, *size)).shape[2:] == middle


@pytest.mark.parametrize("size", [(15, 64), (64, 33), (14, 14), (2, 2)])
def test_odd_and_tiny_images_do_not_fit(size: tuple[int, int]) -> None:
    assert not fits(size)
    assert halvings(size) == 0


def test_weights_come_from_the_generator_alone_and_companions_do_not_matter(rng: torch.Generator) -> None:
    def built(seed: int) -> list[nn.Module]:
        generator = torch.Generator().manual_seed(seed)
        return [
            ConvEncoder((32, 32), 3, 8, 6, 2, generator),
            ConvGenerator((32, 32), 3, 8, 6, generator),
            PatchCritic((32, 32), 3, 8, generator),
        ]

    for same, other, third in zip(built(1), built(1), built(2), strict=True):
        weights = [dict(network.named_parameters()) for network in (same, other, third)]
        for name, weight in weights[0].items():
            assert torch.equal(weight, weights[1][name])
            if name.endswith("weight") and "norm" not in name:
                assert not torch.equal(weight, weights[2][name])
                fans = (weight.shape[0] + weight.shape[1]) * weight[0, 0].numel()  # Glorot: variance 2 / (in + out)
                if weight.numel() > 2000:
                    assert float(weight.detach().var()) == pytest.approx(2 / fans, rel=0.1)
                assert float(weight.detach().abs().max()) <= (6 / fans) ** 0.5
            elif name.endswith("bias"):
                assert not weight.any()
    images = torch.randn(5, 3, 32, 32, generator=rng)
    encoder, generator, critic = built(1)
    with torch.no_grad():
        mu, _ = encoder(images)
        torch.testing.assert_close(encoder(images[2:3])[0], mu[2:3], rtol=1e-4, atol=1e-6)
        torch.testing.assert_close(generator(mu[2:3]), generator(mu)[2:3], rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(critic(images[2:3]), critic(images)[2:3], rtol=1e-4, atol=1e-5)


def test_a_squashed_image_is_the_sigmoid_of_the_other(rng: torch.Generator) -> None:
    plain, squashed = (
        ConvGenerator((16, 16), 1, 8, 6, torch.Generator().manual_seed(3), squash=squash) for squash in (False, True)
    )
    latent = torch.randn(2, 6, generator=rng)
    assert torch.equal(plain(latent).sigmoid(), squashed(latent))


def test_the_norm_is_each_channels_own_over_its_pixels(rng: torch.Generator) -> None:
    critic = PatchCritic((32, 32), 1, 8, rng)
    maps = 5 + 3 * torch.randn(2, 8, 16, 16, generator=rng)
    normed = critic.norms[0](maps)
    expected = (maps - maps.mean(dim=(2, 3), keepdim=True)) / (
        maps.var(dim=(2, 3), correction=0, keepdim=True) + 1e-3
    ).sqrt()
    torch.testing.assert_close(normed, expected, rtol=1e-4, atol=1e-5)

"""Group norms by means of channels: the same numbers as torch's."""

import pytest
import torch
from torch import nn

from anomae.export.group_norms import GroupNormByChannels, by_channels


@pytest.mark.parametrize(("groups", "channels"), [(8, 64), (1, 6), (3, 3)])
def test_it_is_the_group_norm(groups: int, channels: int) -> None:
    generator = torch.Generator().manual_seed(0)
    norm = nn.GroupNorm(groups, channels, eps=1e-4).eval()
    with torch.no_grad():
        norm.weight.copy_(torch.rand(channels, generator=generator) + 0.5)
        norm.bias.copy_(torch.randn(channels, generator=generator))
        x = 100 + torch.randn(3, channels, 5, 7, generator=generator)  # far from 0, where squares would cancel
        torch.testing.assert_close(GroupNormByChannels(norm)(x), norm(x), rtol=1e-4, atol=1e-4)


def test_every_group_norm_is_replaced_and_nothing_else() -> None:
    made = nn.Sequential(nn.Conv2d(4, 4, 1), nn.Sequential(nn.GroupNorm(2, 4), nn.GELU()))
    x = torch.randn(2, 4, 6, 6, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        wanted = made(x)
        torch.testing.assert_close(by_channels(made)(x), wanted)
    assert [type(part) for part in made.modules()][1:] == [nn.Conv2d, nn.Sequential, GroupNormByChannels, nn.GELU]

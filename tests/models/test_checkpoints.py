"""Published checkpoints: read under both families' names; everything else is refused in one sentence, unexecuted."""

import argparse
import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from anomae.errors import UserError
from anomae.models.checkpoints import load_published_mae
from anomae.models.transformer.classifier import AnomalyClassifier
from anomae.models.transformer.masked_autoencoder import MaskedAutoencoder, patchify
from anomae.models.transformer.sizes import Size

ENCODER, DECODER = Size(16, 2, 2), Size(8, 1, 2)


def build(
    seed: int = 0, size: tuple[int, int] = (16, 16), patch: int = 4, encoder: Size = ENCODER, channels: int = 1
) -> MaskedAutoencoder:
    return MaskedAutoencoder(size, patch, encoder, DECODER, torch.Generator().manual_seed(seed), channels).eval()


def published(channels: int = 3) -> dict[str, torch.Tensor]:
    """Weights as facebookresearch has them: an embedding for, and predictions of, so many channels."""
    state = dict(build(1).state_dict())
    generator = torch.Generator().manual_seed(2)
    state["patch_embed.proj.weight"] = torch.randn(16, channels, 4, 4, generator=generator)
    state["decoder_pred.weight"] = torch.randn(16 * channels, 8, generator=generator)
    state["decoder_pred.bias"] = torch.randn(16 * channels, generator=generator)
    return state


def write_pth(path: Path, state: dict[str, torch.Tensor]) -> Path:
    torch.save({"model": state}, path)
    return path


def write_timm(path: Path, state: dict[str, torch.Tensor]) -> Path:
    save_file(
        {name: tensor.contiguous() for name, tensor in state.items() if "decoder" not in name and name != "mask_token"},
        path,
    )
    return path


@pytest.mark.parametrize("channels", [1, 3])
def test_a_facebookresearch_checkpoint_comes_over_whole(channels: int, tmp_path: Path) -> None:
    state, network = published(channels), build()
    parts = load_published_mae(write_pth(tmp_path / "mae.pth", state), network)
    assert parts.fresh == ()
    own = network.state_dict()
    assert set(parts.loaded) == own.keys() - {"pos_embed", "decoder_pos_embed"}
    for name in set(parts.loaded) - {"patch_embed.proj.weight", "decoder_pred.weight", "decoder_pred.bias"}:
        assert torch.equal(own[name], state[name]), name


def test_three_channels_come_over_as_they_are(tmp_path: Path) -> None:
    state, network = published(), build(channels=3)
    assert load_published_mae(write_pth(tmp_path / "mae.pth", state), network).fresh == ()
    own = network.state_dict()
    for name in ("patch_embed.proj.weight", "decoder_pred.weight", "decoder_pred.bias"):
        assert torch.equal(own[name], state[name]), name


@pytest.mark.parametrize("channels", [1, 2, 4])
@pytest.mark.parametrize("name", ["mae.safetensors", "mae.pth"])
def test_a_grey_picture_gives_the_tokens_of_three_equal_channels(
    name: str, channels: int, tmp_path: Path, rng: torch.Generator
) -> None:
    state, network = published(), build(channels=channels)
    write: Callable[[Path, dict[str, torch.Tensor]], Path] = write_timm if name.endswith("rs") else write_pth
    load_published_mae(write(tmp_path / name, state), network)
    image = torch.randn(2, 1, 16, 16, generator=rng)
    weight, bias = state["patch_embed.proj.weight"], state["patch_embed.proj.bias"]
    expected = (
        torch.nn.functional.conv2d(image.expand(-1, 3, -1, -1), weight, bias, stride=4).flatten(2).transpose(1, 2)
    )
    patches = patchify(image.expand(-1, channels, -1, -1), 4)
    with torch.no_grad():
        torch.testing.assert_close(network.patch_embed(patches), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("channels", [1, 2])
def test_predicted_channels_are_averaged_pixel_by_pixel(channels: int, tmp_path: Path, rng: torch.Generator) -> None:
    state, network = published(), build(channels=channels)
    load_published_mae(write_pth(tmp_path / "mae.pth", state), network)
    token = torch.randn(1, 8, generator=rng)
    # the reference lays a patch out as (row, column, channel)
    theirs = torch.nn.functional.linear(token, state["decoder_pred.weight"], state["decoder_pred.bias"])
    with torch.no_grad():
        found = network.decoder_pred(token).view(1, 4, 4, channels)
    expected = theirs.view(1, 4, 4, 3).mean(-1, keepdim=True)
    torch.testing.assert_close(found, expected.expand(found.shape), rtol=1e-4, atol=1e-5)


def test_an_encoder_alone_leaves_the_decoder_as_it_was_drawn(tmp_path: Path) -> None:
    state, network = published(), build()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    parts = load_published_mae(write_timm(tmp_path / "vit.safetensors", state), network)
    assert parts.fresh
    assert all(name.startswith("decoder_") or name == "mask_token" for name in parts.fresh)
    for name in parts.fresh:
        assert torch.equal(network.state_dict()[name], before[name])
    assert torch.equal(network.state_dict()["blocks.1.mlp.fc2.weight"], state["blocks.1.mlp.fc2.weight"])


def test_positions_are_the_networks_own(tmp_path: Path) -> None:
    network = build(size=(16, 24))
    before = network.pos_embed.clone()
    load_published_mae(write_pth(tmp_path / "mae.pth", published()), network)
    assert torch.equal(network.pos_embed, before)


def test_prefixes_and_half_precision_are_understood(tmp_path: Path) -> None:
    state, network = published(), build()
    write_pth(tmp_path / "mae.pth", {f"module.{name}": tensor.half() for name, tensor in state.items()})
    assert load_published_mae(tmp_path / "mae.pth", network).fresh == ()
    assert network.cls_token.dtype == torch.float32


def test_a_training_checkpoint_with_its_arguments_is_read(tmp_path: Path) -> None:
    content = {"model": published(), "epoch": 3, "args": argparse.Namespace(lr=0.1, output_dir="out")}
    torch.save(content, tmp_path / "checkpoint-3.pth")
    assert load_published_mae(tmp_path / "checkpoint-3.pth", build()).fresh == ()


def test_its_encoder_fits_the_classifier(tmp_path: Path) -> None:
    network = build()
    load_published_mae(write_pth(tmp_path / "mae.pth", published()), network)
    classifier = AnomalyClassifier((16, 16), 4, ENCODER, "mean", torch.Generator().manual_seed(3))
    classifier.load_encoder(network.state_dict())
    assert torch.equal(classifier.patch_embed.proj.weight, network.patch_embed.proj.weight)


@pytest.mark.parametrize(
    ("network", "word"),
    [
        (build(patch=8), r"autoencoder\.patch"),
        (build(encoder=Size(32, 2, 2)), r"autoencoder\.size"),
        (build(patch=8, channels=3), r"autoencoder\.patch"),
        (build(encoder=Size(16, 3, 2)), "2 encoder blocks"),
        (build(encoder=Size(16, 1, 2)), "2 encoder blocks"),
    ],
)
def test_another_size_is_refused_and_nothing_is_loaded(network: MaskedAutoencoder, word: str, tmp_path: Path) -> None:
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    with pytest.raises(UserError, match=word):
        load_published_mae(write_pth(tmp_path / "mae.pth", published()), network)
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())


class Harmful:
    """Runs a command where a careless reader unpickles it."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> tuple[Any, ...]:
        return (os.system, (self.command,))


@pytest.mark.parametrize("where", ["whole", "inside", "plain pickle", "named safetensors"])
def test_a_harmful_pickle_is_refused_and_not_run(where: str, tmp_path: Path) -> None:
    mark, path = tmp_path / "ran", tmp_path / ("mae.safetensors" if where == "named safetensors" else "mae.pth")
    harm = Harmful(f"touch {mark}")
    if where == "plain pickle":
        path.write_bytes(pickle.dumps(harm))
    else:
        torch.save({"model": published(), "optimizer": harm} if where == "inside" else harm, path)
    with pytest.raises(UserError, match="cannot be read as plain weights"):
        load_published_mae(path, build())
    assert not mark.exists()


@pytest.mark.parametrize(
    "content",
    [
        {},
        [1, 2],
        7,
        {"model": 3},
        {"model": {}},
        {"model": {"a": 3}},
        {"model": {3: torch.zeros(1)}},
        {"model": {"a": torch.zeros(1)}},
        {"model": {"blocks.x.weight": torch.zeros(1)}},
        {"model": {**published(), "decoder_pred.bias": torch.zeros(())}},
        {"model": {**published(), "patch_embed.proj.weight": torch.zeros(())}},
        {"model": {**published(), "blocks.9" * 2000: torch.zeros(())}},
        {"model": {**published(), "blocks.": torch.zeros(())}},
    ],
)
def test_what_is_no_such_checkpoint_is_refused(content: Any, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "mae.pth")
    with pytest.raises(UserError, match=r"mae\.pth"):
        load_published_mae(tmp_path / "mae.pth", build())


@pytest.mark.parametrize("name", ["mae.pth", "mae.safetensors"])
def test_broken_files_are_refused(name: str, tmp_path: Path) -> None:
    path, generator = tmp_path / name, torch.Generator().manual_seed(0)
    whole = (write_pth if name.endswith("pth") else write_timm)(path, published()).read_bytes()
    cuts = [0, 1, 7, 8, 9, 100, len(whole) // 2, len(whole) - 1]
    for content in [whole[:cut] for cut in cuts] + [
        b"\0" * 64,
        b"PK\3\4" + b"\0" * 60,
        b"\x80\x02.",
        b"\x80\x02(",
        b"((",
    ]:
        path.write_bytes(content)
        with pytest.raises(UserError, match=r"mae\."):
            load_published_mae(path, build())
    for _ in range(150):
        index = int(torch.randint(len(whole), (1,), generator=generator))
        byte = int(torch.randint(256, (1,), generator=generator))
        path.write_bytes(whole[:index] + bytes([byte]) + whole[index + 1 :])
        try:
            load_published_mae(path, build())
        except UserError:
            continue


def test_a_broken_pickle_within_the_archive_is_refused(tmp_path: Path) -> None:
    generator = torch.Generator().manual_seed(0)
    write_pth(tmp_path / "whole.pth", published())
    with zipfile.ZipFile(tmp_path / "whole.pth") as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    (pickled,) = (name for name in entries if name.endswith("data.pkl"))
    whole = entries[pickled]
    for _ in range(150):
        index = int(torch.randint(len(whole), (1,), generator=generator))
        byte = int(torch.randint(256, (1,), generator=generator))
        with zipfile.ZipFile(tmp_path / "mae.pth", "w") as archive:
            for name, content in entries.items():
                archive.writestr(
                    name, whole[:index] + bytes([byte]) + whole[index + 1 :] if name == pickled else content
                )
        try:
            load_published_mae(tmp_path / "mae.pth", build())
        except UserError:
            continue


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"none\.pth is missing"):
        load_published_mae(tmp_path / "none.pth", build())

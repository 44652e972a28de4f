"""The masked autoencoder equals the one in transformers, weight for weight and number for number."""

import warnings
from types import ModuleType
from typing import Any

import pytest
import torch

from anomae.models.transformer.masked_autoencoder import MaskedAutoencoder, masked_error, patchify, training_visible
from anomae.models.transformer.sizes import SIZES, Size


@pytest.fixture(scope="module")
def transformers() -> ModuleType:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its own imports; no matter of ours
        return pytest.importorskip("transformers", reason="transformers (extra `benchmark`) is not installed")


def theirs_of(transformers: ModuleType, side: int, patch: int, encoder: Size, decoder: Size, channels: int = 1) -> Any:
    configuration = transformers.ViTMAEConfig(
        image_size=side,
        patch_size=patch,
        num_channels=channels,
        mask_ratio=0.75,
        hidden_size=encoder.width,
        num_hidden_layers=encoder.depth,
        num_attention_heads=encoder.heads,
        intermediate_size=4 * encoder.width,
        layer_norm_eps=1e-6,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        decoder_hidden_size=decoder.width,
        decoder_num_hidden_layers=decoder.depth,
        decoder_num_attention_heads=decoder.heads,
        decoder_intermediate_size=4 * decoder.width,
    )
    return transformers.ViTMAEForPreTraining(configuration).eval()


def named_alike(state: dict[str, torch.Tensor], depth: int, decoder_depth: int) -> dict[str, torch.Tensor]:
    """Our weights under transformers' names; the joint query, key and value projection in three."""
    renamed = {
        "vit.embeddings.cls_token": state["cls_token"],
        "vit.embeddings.patch_embeddings.projection.weight": state["patch_embed.proj.weight"],
        "vit.embeddings.patch_embeddings.projection.bias": state["patch_embed.proj.bias"],
        "vit.embeddings.position_embeddings": state["pos_embed"],
        "decoder.mask_token": state["mask_token"],
        "decoder.decoder_pos_embed": state["decoder_pos_embed"],
    }
    pairs = [("norm", "vit.layernorm")]
    pairs += [(name, f"decoder.{name}") for name in ("decoder_embed", "decoder_norm", "decoder_pred")]
    stacks = [(f"blocks.{i}", f"vit.layers.{i}") for i in range(depth)]
    stacks += [(f"decoder_blocks.{i}", f"decoder.decoder_layers.{i}") for i in range(decoder_depth)]
    for ours, theirs in stacks:
        pairs += [(f"{ours}.norm1", f"{theirs}.layernorm_before"), (f"{ours}.norm2", f"{theirs}.layernorm_after")]
        pairs += [(f"{ours}.mlp.{name}", f"{theirs}.mlp.{name}") for name in ("fc1", "fc2")]
        pairs += [(f"{ours}.attn.proj", f"{theirs}.attention.o_proj")]
        for kind in ("weight", "bias"):
            for name, part in zip("qkv", state[f"{ours}.attn.qkv.{kind}"].chunk(3), strict=True):
                renamed[f"{theirs}.attention.{name}_proj.{kind}"] = part
    for ours, theirs in pairs:
        renamed |= {f"{theirs}.{kind}": state[f"{ours}.{kind}"] for kind in ("weight", "bias")}
    return renamed


@pytest.mark.parametrize("channels", [1, 3])
def test_predictions_and_loss_are_the_same(transformers: ModuleType, channels: int, rng: torch.Generator) -> None:
    encoder, decoder = Size(24, 2, 3), Size(16, 2, 2)
    ours = MaskedAutoencoder((32, 32), 8, encoder, decoder, rng, channels).eval()
    theirs = theirs_of(transformers, 32, 8, encoder, decoder, channels)
    # biases begin at zero; drawn, or no difference in them would show
    with torch.no_grad():
        for parameter in ours.parameters():
            if parameter.ndim == 1:
                parameter.add_(torch.randn(parameter.shape, generator=rng), alpha=0.1)
    theirs.load_state_dict(named_alike(ours.state_dict(), 2, 2))
    images, visible = torch.randn(3, channels, 32, 32, generator=rng), training_visible(3, 16, 4, rng)
    # theirs shows the patches with the smallest noise
    noise = torch.rand(3, 16, generator=rng).scatter_(1, visible, -torch.rand(3, 4, generator=rng))
    with torch.no_grad():
        found, expected = ours(images, visible), theirs(images, noise=noise)
    assert torch.equal(expected.mask == 0, torch.zeros(3, 16, dtype=torch.bool).scatter(1, visible, True))
    torch.testing.assert_close(found, expected.logits, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(masked_error(found, images, visible, 8), expected.loss, rtol=1e-5, atol=1e-6)
    assert torch.equal(patchify(images, 8), theirs.patchify(images))


@pytest.mark.parametrize("channels", [1, 3])
def test_both_have_as_many_parameters_at_the_papers_size(transformers: ModuleType, channels: int) -> None:
    with torch.device("meta"):
        ours = MaskedAutoencoder((224, 224), 16, *SIZES["base"], None, channels)  # type: ignore[arg-type]
        theirs = theirs_of(transformers, 224, 16, *SIZES["base"], channels)
    assert sum(p.numel() for p in ours.parameters()) == sum(p.numel() for p in theirs.parameters())

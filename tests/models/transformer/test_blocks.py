"""The transformer's parts against plain formulas."""

import math

import pytest
import torch
from torch import nn

from anomae.models.initialisation import initialise_transformer
from anomae.models.transformer.masked_autoencoder import Attention, Block, Mlp, PatchEmbedding, patchify


def test_attention_equals_torchs_own(rng: torch.Generator) -> None:
    ours, theirs = Attention(12, 3), nn.MultiheadAttention(12, 3, batch_first=True)
    initialise_transformer(ours, rng)
    theirs.load_state_dict(
        {
            "in_proj_weight": ours.qkv.weight,
            "in_proj_bias": ours.qkv.bias,
            "out_proj.weight": ours.proj.weight,
            "out_proj.bias": ours.proj.bias,
        }
    )
    tokens = torch.randn(2, 7, 12, generator=rng)
    torch.testing.assert_close(ours(tokens), theirs(tokens, tokens, tokens)[0], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("channels", [1, 3])
def test_the_patch_embedding_is_the_convolution_it_stands_for(channels: int, rng: torch.Generator) -> None:
    embedding = PatchEmbedding(4, 6, channels)
    initialise_transformer(embedding, rng)
    with torch.no_grad():
        embedding.proj.bias.normal_(generator=rng)
    image = torch.randn(2, channels, 8, 12, generator=rng)
    expected = embedding.proj(image).flatten(2).transpose(1, 2)
    torch.testing.assert_close(embedding(patchify(image, 4)), expected, rtol=1e-4, atol=1e-6)


def test_gelu_is_the_exact_one() -> None:
    mlp = Mlp(1)
    with torch.no_grad():
        mlp.fc1.weight.fill_(1)
        mlp.fc1.bias.zero_()
        mlp.fc2.weight.fill_(0.25)
        mlp.fc2.bias.zero_()
        for x in (-3.0, -0.5, 0.0, 1.0, 2.5):
            expected = x * 0.5 * (1 + math.erf(x / math.sqrt(2)))
            assert float(mlp(torch.tensor([[[x]]]))) == pytest.approx(expected, abs=1e-6)


def test_a_block_with_its_branches_dropped_is_the_identity(rng: torch.Generator) -> None:
    block = Block(8, 2)
    initialise_transformer(block, rng)
    tokens = torch.randn(3, 5, 8, generator=rng)
    with torch.no_grad():
        whole = block(tokens)
        assert torch.equal(block(tokens, torch.ones(2, 3)), whole)
        dropped = block(tokens, torch.tensor([[0.0, 1, 1], [0.0, 1, 0]]))
        assert torch.equal(dropped[0], tokens[0])
        assert torch.equal(dropped[1], whole[1])
        torch.testing.assert_close(dropped[2], tokens[2] + block.attn(block.norm1(tokens))[2])
        twice = block(tokens, torch.tensor([[2.0] * 3, [0.0] * 3]))
        torch.testing.assert_close(twice, tokens + 2 * block.attn(block.norm1(tokens)))


def test_a_block_may_be_asked_for_some_tokens_only(rng: torch.Generator) -> None:
    block = Block(8, 2)
    initialise_transformer(block, rng)
    tokens, wanted = torch.randn(3, 5, 8, generator=rng), torch.tensor([[0, 3], [4, 1], [2, 2]])
    with torch.no_grad():
        some, whole = block(tokens, wanted=wanted), block(tokens)
    for sample in range(3):
        torch.testing.assert_close(some[sample], whole[sample, wanted[sample]], rtol=1e-4, atol=1e-6)

"""Where the weights of transformers come from."""

import pytest
import torch
from torch import nn

from anomae.models.initialisation import initialise_transformer
from anomae.models.transformer.masked_autoencoder import Block, PatchEmbedding


def test_weights_are_drawn_as_the_reference_does(rng: torch.Generator) -> None:
    network = nn.Module()
    network.embedding, network.block = PatchEmbedding(16, 64), Block(64, 2)
    network.cls_token = nn.Parameter(torch.zeros(1, 1, 4096))
    torch.manual_seed(0)
    state = torch.get_rng_state()
    initialise_transformer(network, rng)
    assert torch.equal(torch.get_rng_state(), state)
    bounds = {
        network.embedding.proj.weight: (6 / (256 + 64)) ** 0.5,
        network.block.attn.qkv.weight: (6 / (64 + 192)) ** 0.5,
        network.block.mlp.fc2.weight: (6 / (256 + 64)) ** 0.5,
    }
    for weight, bound in bounds.items():
        assert 0.99 * bound < float(weight.detach().abs().max()) <= bound
        assert float(weight.detach().std()) == pytest.approx(bound / 3**0.5, rel=0.05)
    assert float(network.cls_token.detach().std()) == pytest.approx(0.02, rel=0.05)
    assert not network.block.attn.qkv.bias.any()
    assert not network.embedding.proj.bias.any()
    assert torch.equal(network.block.norm1.weight, torch.ones(64))

"""The classifier: companions do not matter, the encoder comes over, every parameter learns at its own rate."""

from typing import Literal

import pytest
import torch

from anomae.models.transformer.classifier import AnomalyClassifier, drop_path_keep, layer_decay_groups
from anomae.models.transformer.masked_autoencoder import MaskedAutoencoder
from anomae.models.transformer.sizes import SIZES, Size

SIZE = Size(16, 3, 2)
Pooling = Literal["mean", "class"]


def build(pooling: Pooling = "mean", seed: int = 0, channels: int = 1) -> AnomalyClassifier:
    network = AnomalyClassifier((8, 12), 4, SIZE, pooling, torch.Generator().manual_seed(seed), channels).eval()
    # the head is begun near zero; larger, or no test would notice what comes before it
    with torch.no_grad():
        network.head.weight.normal_(generator=torch.Generator().manual_seed(seed + 1))
    return network


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("pooling", ["mean", "class"])
def test_an_images_logit_does_not_depend_on_its_companions(
    pooling: Pooling, channels: int, rng: torch.Generator
) -> None:
    network, images = build(pooling, channels=channels), torch.randn(6, channels, 8, 12, generator=rng)
    with torch.no_grad():
        together = network(images)
        assert together.shape == (6,)
        assert together.dtype == torch.float32
        assert float(together.std()) > 1e-3
        for index in range(6):
            torch.testing.assert_close(network(images[index : index + 1])[0], together[index], rtol=1e-4, atol=1e-6)
        torch.testing.assert_close(network(images.flip(0)), together.flip(0), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("pooling", ["mean", "class"])
def test_the_encoder_of_an_autoencoder_comes_over(pooling: Pooling, channels: int) -> None:
    encoder = MaskedAutoencoder((8, 12), 4, SIZE, Size(8, 1, 2), torch.Generator().manual_seed(9), channels)
    network, before = build(pooling, channels=channels), build(pooling, channels=channels).state_dict()
    state = encoder.state_dict()
    network.load_encoder(state)
    came = {name for name, tensor in network.state_dict().items() if name in state and torch.equal(tensor, state[name])}
    wanted = {name for name in state if name.startswith("blocks.")}
    wanted |= {"cls_token", "pos_embed", "patch_embed.proj.weight", "patch_embed.proj.bias"}
    assert wanted <= came
    for name in before.keys() - wanted:
        assert torch.equal(network.state_dict()[name], before[name]), name


def test_an_encoder_of_another_size_is_refused() -> None:
    other = MaskedAutoencoder((8, 12), 4, Size(32, 3, 2), Size(8, 1, 2), torch.Generator().manual_seed(9))
    with pytest.raises(RuntimeError, match="size mismatch"):
        build().load_encoder(other.state_dict())


def test_what_drop_path_keeps_is_one_on_average(rng: torch.Generator) -> None:
    keep = drop_path_keep(5, 20_000, 0.4, rng)
    assert keep.shape == (5, 2, 20_000)
    assert keep.mean(dim=2) == pytest.approx(torch.ones(5, 2).numpy(), abs=0.03)
    dropped = (keep == 0).float().mean(dim=(1, 2))
    assert dropped.tolist() == pytest.approx([0, 0.1, 0.2, 0.3, 0.4], abs=0.01)
    for layer, rate in enumerate([0, 0.1, 0.2, 0.3, 0.4]):
        kept = keep[layer][keep[layer] > 0]
        torch.testing.assert_close(kept, torch.full_like(kept, 1 / (1 - rate)))


def test_without_drop_path_all_is_kept(rng: torch.Generator) -> None:
    assert torch.equal(drop_path_keep(3, 7, 0.0, rng), torch.ones(3, 2, 7))
    network, images = build(), torch.randn(7, 1, 8, 12, generator=rng)
    with torch.no_grad():
        assert torch.equal(network(images, torch.ones(3, 2, 7)), network(images))


def test_dropping_changes_only_the_samples_that_are_dropped(rng: torch.Generator) -> None:
    network, images = build(), torch.randn(4, 1, 8, 12, generator=rng)
    keep = torch.ones(3, 2, 4)
    keep[1, :, 2] = 0
    with torch.no_grad():
        changed = network(images, keep) != network(images)
    assert changed.tolist() == [False, False, True, False]


def test_each_parameter_learns_once_and_at_its_own_rate() -> None:
    network = build()
    groups = layer_decay_groups(network, decay=0.5, weight_decay=0.05, lr=1.0)
    names = {id(parameter): name for name, parameter in network.named_parameters()}
    found: dict[str, tuple[float, float]] = {}
    for group in groups:
        for parameter in group["params"]:
            assert names[id(parameter)] not in found
            found[names[id(parameter)]] = (group["lr"], group["weight_decay"])
    assert found.keys() == dict(network.named_parameters()).keys()
    expected = {
        "cls_token": (0.5**4, 0.0),
        "pos_embed": (0.5**4, 0.0),
        "patch_embed.proj.weight": (0.5**4, 0.05),
        "patch_embed.proj.bias": (0.5**4, 0.0),
        "blocks.0.attn.qkv.weight": (0.5**3, 0.05),
        "blocks.0.norm1.weight": (0.5**3, 0.0),
        "blocks.1.mlp.fc1.bias": (0.5**2, 0.0),
        "blocks.2.mlp.fc2.weight": (0.5, 0.05),
        "fc_norm.weight": (1.0, 0.0),
        "head.weight": (1.0, 0.05),
        "head.bias": (1.0, 0.0),
    }
    assert {name: found[name] for name in expected} == expected


def test_positions_begin_as_sines_and_are_learned() -> None:
    network = build()
    encoder = MaskedAutoencoder((8, 12), 4, SIZE, SIZE, torch.Generator().manual_seed(0))
    assert torch.equal(network.pos_embed, encoder.pos_embed)
    assert network.pos_embed.requires_grad
    assert not encoder.pos_embed.requires_grad


def test_at_the_start_every_image_is_as_likely_as_not(rng: torch.Generator) -> None:
    network = AnomalyClassifier((8, 12), 4, SIZE, "mean", torch.Generator().manual_seed(0))
    with torch.no_grad():
        logits = network(torch.randn(5, 1, 8, 12, generator=rng))
    assert float(logits.abs().max()) < 1e-3


def test_the_papers_classifier_has_as_many_parameters_as_published() -> None:
    with torch.device("meta"):
        network = AnomalyClassifier((224, 224), 16, SIZES["base"][0], "mean", None)  # type: ignore[arg-type]
    assert sum(parameter.numel() for parameter in network.parameters()) / 1e6 == pytest.approx(85.4, abs=0.05)


def test_an_image_that_cannot_be_cut_is_refused(rng: torch.Generator) -> None:
    with pytest.raises(ValueError, match="patches of 4"):
        AnomalyClassifier((8, 10), 4, SIZE, "mean", rng)


@pytest.mark.parametrize("channel", range(3))
def test_every_channel_matters(channel: int, rng: torch.Generator) -> None:
    network, images = build(channels=3), torch.randn(2, 3, 8, 12, generator=rng)
    other = images.clone()
    other[:, channel] += 1
    with torch.no_grad():
        assert not torch.allclose(network(images), network(other), atol=1e-4)


def test_logits_are_fine_grained_in_bf16(rng: torch.Generator) -> None:
    network = AnomalyClassifier((32, 32), 8, SIZES["nano"][0], "mean", rng)
    with torch.no_grad():
        network.head.weight.copy_(torch.randn(network.head.weight.shape, generator=rng))
    inputs = torch.rand(200, 1, 32, 32, generator=rng)
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        logits = network(inputs)
    assert logits.dtype == torch.float32
    assert len(logits.unique()) > 190

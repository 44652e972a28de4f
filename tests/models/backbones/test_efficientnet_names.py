"""Published names of EfficientNets become ours, every one of them, and the values go where they belong."""

from collections.abc import Mapping
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from anomae.models.backbones.build import draw_backbone
from anomae.models.backbones.efficientnet import B5, LITE0, EfficientNet, Plan
from anomae.models.backbones.efficientnet_names import from_flat_names

# Names of the stem's two parts, of block n, and of its parts in order: convolution and batch norm, or both of the
# squeeze-and-excitation.
FAMILIES: dict[str, tuple[tuple[str, str], str, tuple[tuple[str, str], ...]]] = {
    "efficientnet-pytorch": (
        ("_conv_stem", "_bn0"),
        "_blocks.",
        (
            ("_expand_conv", "_bn0"),
            ("_depthwise_conv", "_bn1"),
            ("_se_reduce", "_se_expand"),
            ("_project_conv", "_bn2"),
        ),
    ),
    "transformers": (
        ("efficientnet.embeddings.convolution", "efficientnet.embeddings.batchnorm"),
        "efficientnet.encoder.blocks.",
        (
            ("expansion.expand_conv", "expansion.expand_bn"),
            ("depthwise_conv.depthwise_conv", "depthwise_conv.depthwise_norm"),
            ("squeeze_excite.reduce", "squeeze_excite.expand"),
            ("projection.project_conv", "projection.project_bn"),
        ),
    ),
}


def flat_names(network: EfficientNet, plan: Plan, family: str) -> dict[str, Tensor]:
    """The names of a family, made the other way round: by walking the blocks in order."""
    stem, beginning, parts = FAMILIES[family]
    layers = dict(zip(stem, network.features[0], strict=False))
    blocks = [block for stage in network.features[1:] for block in stage]
    for number, inverted in enumerate(blocks):
        names = [pair for pair in parts if not (plan.lite and "se" in pair[0].split("_"))][-len(inverted.block) :]
        for pair, part in zip(names, inverted.block, strict=True):
            both = (part.fc1, part.fc2) if hasattr(part, "fc1") else (part[0], part[1])
            layers |= {f"{beginning}{number}.{name}": layer for name, layer in zip(pair, both, strict=True)}
    state = {f"{name}.{entry}": value for name, layer in layers.items() for entry, value in layer.state_dict().items()}
    return {**state, "_conv_head.weight": torch.zeros(1), "_fc.bias": torch.zeros(1)}


@pytest.mark.parametrize(
    ("plan", "blocks", "family"),
    [(B5, 36, "efficientnet-pytorch"), (LITE0, 15, "efficientnet-pytorch"), (B5, 36, "transformers")],
)
def test_blocks_numbered_through_become_blocks_of_stages(plan: Plan, blocks: int, family: str) -> None:
    with torch.device("meta"):
        network = EfficientNet((32,), plan)
    own = network.state_dict()
    flat = flat_names(network, plan, family)
    numbers = {int(name.split("locks.")[1].split(".")[0]) for name in flat if "locks." in name}
    assert numbers == set(range(blocks))
    named = from_flat_names(flat, plan)
    assert named.keys() == own.keys()
    assert all(named[name] is flat_value(flat, named[name]) for name in own)
    assert all(named[name].shape == own[name].shape for name in own)


def flat_value(flat: Mapping[str, Tensor], wanted: Tensor) -> Tensor:
    return next(value for value in flat.values() if value is wanted)


def test_names_of_torchvision_are_kept() -> None:
    state = {"features.0.0.weight": torch.zeros(1), "classifier.1.bias": torch.zeros(1)}
    assert from_flat_names(state, B5) == state


def test_a_network_of_transformers_gives_the_same_features() -> None:
    """Random weights of its B5, with the padding that it has: half the blocks of the plan would not hide an error."""
    transformers = pytest.importorskip("transformers", reason="the extra `benchmark` (transformers) is not installed")
    config = transformers.EfficientNetConfig(
        width_coefficient=B5.width, depth_coefficient=B5.depth, image_size=64, dropout_rate=0.0, hidden_dim=2048
    )
    reference = transformers.EfficientNetModel(config)
    images = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    draw_like(reference, images)
    network = EfficientNet((4, 8, 16, 32), replace(B5, same=True)).eval()
    named = from_flat_names(reference.state_dict(), B5)
    network.load_state_dict({name: named[name] for name in network.state_dict()})
    with torch.no_grad():
        states = reference(images, output_hidden_states=True).hidden_states
        levels = network(images)
    # The stem is state 0; stages of B5 end with blocks 3, 8, 13, 20, 27, 36.
    for level, last in zip(levels, (8, 13, 27, 36), strict=True):
        torch.testing.assert_close(level, states[last], rtol=1e-4, atol=1e-4)


def draw_like(reference: torch.nn.Module, images: Tensor) -> None:
    """Weights and batch norms that keep values in range, as `draw_backbone` gives them."""

    class Shown(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = reference

        def forward(self, pictures: Tensor) -> Tensor:
            return self.inner(pictures).last_hidden_state  # type: ignore[no-any-return]

    draw_backbone(Shown(), torch.Generator().manual_seed(1), images)

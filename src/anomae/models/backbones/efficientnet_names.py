"""Published EfficientNets number their blocks through; here, as in torchvision, they are numbered within a stage."""

import re
from collections.abc import Mapping

from torch import Tensor

from anomae.models.backbones.efficientnet import STAGES, Plan

# Of the efficientnet-pytorch family, and of transformers: the stem's parts, how a block begins, and its parts, whose
# numbers are those of a block that widens, with squeeze-and-excitation.
_STEMS = {
    "_conv_stem": "features.0.0",
    "_bn0": "features.0.1",
    "embeddings.convolution": "features.0.0",
    "embeddings.batchnorm": "features.0.1",
}
_BLOCK = re.compile(r"(?:_blocks|encoder\.blocks)\.(\d+)\.(.+)\.(\w+)")
_PARTS = {
    "_expand_conv": "0.0",
    "_bn0": "0.1",
    "_depthwise_conv": "1.0",
    "_bn1": "1.1",
    "_se_reduce": "2.fc1",
    "_se_expand": "2.fc2",
    "_project_conv": "3.0",
    "_bn2": "3.1",
    "expansion.expand_conv": "0.0",
    "expansion.expand_bn": "0.1",
    "depthwise_conv.depthwise_conv": "1.0",
    "depthwise_conv.depthwise_norm": "1.1",
    "squeeze_excite.reduce": "2.fc1",
    "squeeze_excite.expand": "2.fc2",
    "projection.project_conv": "3.0",
    "projection.project_bn": "3.1",
}


def from_flat_names(state: Mapping[str, Tensor], plan: Plan) -> dict[str, Tensor]:
    """A checkpoint with all blocks numbered through, of the efficientnet-pytorch family or transformers, our names.

    Names that are neither stem nor block (the head) are left out; a state with torchvision's names is given back.
    """
    plain = {name.removeprefix("efficientnet."): tensor for name, tensor in state.items()}
    if not any(f"{stem}.weight" in plain for stem in _STEMS):
        return dict(state)
    positions = [
        (stage, position)
        for stage, (*_, repeats) in enumerate(STAGES, start=1)
        for position in range(plan.repeats(repeats))
    ]
    named = {}
    for name, tensor in plain.items():
        layer, _, entry = name.rpartition(".")
        if layer in _STEMS:
            named[f"{_STEMS[layer]}.{entry}"] = tensor
        if (found := _BLOCK.fullmatch(name)) and int(found[1]) < len(positions):
            stage, position = positions[int(found[1])]
            part = _part(found[2], widens=stage > 1, lite=plan.lite)
            named[f"features.{stage}.{position}.block.{part}.{found[3]}"] = tensor
    return named


def _part(layer: str, *, widens: bool, lite: bool) -> str:
    """The position of a layer in its block; what is no part of one keeps its name."""
    if layer not in _PARTS:
        return layer
    number, rest = _PARTS[layer].split(".")
    missing = (not widens and int(number) > 0) + (lite and int(number) > 2)
    return f"{int(number) - missing}.{rest}"

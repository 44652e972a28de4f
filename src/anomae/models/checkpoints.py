"""Published masked-autoencoder checkpoints (facebookresearch and timm names) as a start."""

import argparse
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from anomae.errors import UserError
from anomae.models.transformer.masked_autoencoder import MaskedAutoencoder

# Positions are sines and cosines that the network makes for its own grid.
OWN = ("pos_embed", "decoder_pos_embed")
COLOURS = 3  # channels of published checkpoints


@dataclass(frozen=True, slots=True)
class LoadedParts:
    """What came from the checkpoint, and what stayed as it was drawn (a decoder, where the file has none)."""

    loaded: tuple[str, ...]
    fresh: tuple[str, ...]


def load_published_mae(path: Path, network: MaskedAutoencoder) -> LoadedParts:
    """Put a checkpoint's weights into `network`; .safetensors, or .pth read with weights_only.

    Weights for 3 channels go as they are into a network of 3.  For another number C the patch embedding is summed over
    the colours and shared out equally, and each channel is predicted as the mean of the colours: a grey picture, shown
    as C equal channels, then gives the tokens of three equal colours.  Raises UserError where the file is not such a
    checkpoint, or its widths, patch or channels are others.
    """
    own = network.state_dict()
    state = _for_channels(_named(read_weights(path)), own, network.channels)
    wanted = {name for name in own if name not in OWN}
    taken = {name: tensor for name, tensor in state.items() if name in wanted}
    if "patch_embed.proj.weight" not in taken or not any(name.startswith("blocks.0.") for name in taken):
        raise UserError(f"{path} is no masked autoencoder or ViT with timm's parameter names.")
    for name, tensor in taken.items():
        if tensor.shape != own[name].shape:
            raise UserError(
                f"{path} does not fit the network: {name} is {tuple(tensor.shape)} there and {tuple(own[name].shape)} "
                f"here; set autoencoder.size and autoencoder.patch to those of the checkpoint (of 1 or 3 channels)."
            )
    depth = {name.split(".")[1] for name in state if name.startswith("blocks.")}
    if len(depth) != len(network.blocks):
        raise UserError(f"{path} has {len(depth)} encoder blocks, the network {len(network.blocks)}; set another size.")
    network.load_state_dict({**own, **taken})
    return LoadedParts(tuple(sorted(taken)), tuple(sorted(wanted - taken.keys())))


def read_weights(path: Path) -> dict[str, Tensor]:
    """The tensors of a checkpoint by name: .safetensors, or .pth read with weights_only.  Raises UserError."""
    if not path.is_file():
        raise UserError(f"The checkpoint {path} is missing.")
    try:
        if path.suffix == ".safetensors":
            return dict(load_file(path))
        # Checkpoints written in the midst of a training hold its arguments: strings and numbers in a Namespace.
        with torch.serialization.safe_globals([argparse.Namespace]):
            content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # readers meet broken and hostile bytes with errors of every kind
        raise UserError(
            f"The checkpoint {path} cannot be read as plain weights: it is broken, or holds more than tensors, numbers "
            f"and texts ({type(error).__name__})."
        ) from error
    for key in ("model", "state_dict"):
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
    state: dict[str, Tensor] = content if isinstance(content, dict) else {}
    if not state or not all(isinstance(name, str) and isinstance(tensor, Tensor) for name, tensor in state.items()):
        raise UserError(f"The checkpoint {path} holds no weights by name.")
    return state


def _named(state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix("module.").removeprefix("encoder."): tensor for name, tensor in state.items()}


def _for_channels(state: dict[str, Tensor], own: dict[str, Tensor], channels: int) -> dict[str, Tensor]:
    """The weights in float32; those of a checkpoint for COLOURS channels brought to `channels`."""
    brought = {name: tensor.float() for name, tensor in state.items()}
    if channels == COLOURS:
        return brought
    weight = state.get("patch_embed.proj.weight")
    if weight is not None and weight.ndim == 4 and weight.shape[1] == COLOURS:
        shared = weight.sum(dim=1, keepdim=True).float() / channels
        brought["patch_embed.proj.weight"] = shared.repeat(1, channels, 1, 1)
    for name in ("decoder_pred.weight", "decoder_pred.bias"):
        pixels = own[name].shape[0] // channels  # values of a patch are laid out as (row, column, channel)
        if name in brought and brought[name].shape[:1] == (COLOURS * pixels,):
            mean = brought[name].reshape(pixels, COLOURS, *brought[name].shape[1:]).mean(1)
            brought[name] = mean.repeat_interleave(channels, dim=0)
    return brought

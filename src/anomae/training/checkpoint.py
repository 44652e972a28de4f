"""A training's state on disk as one safetensors file: weights, optimisers and step; no pickle."""

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from anomae.errors import UserError
from anomae.files import written_whole


def save_checkpoints(
    path: Path, models: Mapping[str, nn.Module], optimizers: Mapping[str, torch.optim.Optimizer], facts: dict[str, Any]
) -> None:
    """Write models and optimisers, by name, and `facts` (JSON: step, best value, ...) into one file, or nothing."""
    tensors: dict[str, Tensor] = {}
    for name, model in models.items():
        tensors |= {f"{_prefix('model', name)}{key}": tensor for key, tensor in model.state_dict().items()}
    for name, optimizer in optimizers.items():
        for parameter, entries in optimizer.state_dict()["state"].items():
            for entry, value in entries.items():
                tensors[f"{_prefix('optimizer', name)}{parameter}.{entry}"] = torch.as_tensor(value)
    write_tensors(path, tensors, facts)


def load_checkpoints(
    path: Path, models: Mapping[str, nn.Module], optimizers: Mapping[str, torch.optim.Optimizer]
) -> dict[str, Any]:
    """Put models and optimisers of the same names back where `save_checkpoints` left them; returns the facts."""
    tensors, facts = read_tensors(path)
    for name, model in models.items():
        put_weights(path, model, _under(_prefix("model", name), tensors))
    for name, optimizer in optimizers.items():
        state: dict[int, dict[str, Tensor]] = {}
        for key, tensor in _under(_prefix("optimizer", name), tensors).items():
            parameter, _, entry = key.partition(".")
            state.setdefault(int(parameter), {})[entry] = tensor
        optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
    return facts


def write_tensors(path: Path, tensors: dict[str, Tensor], facts: dict[str, Any] | None = None) -> None:
    """Write named tensors and JSON facts as safetensors, whole or not at all."""
    held = {name: tensor.detach().to("cpu").contiguous().clone() for name, tensor in tensors.items()}
    with written_whole(path) as temporary:
        try:
            save_file(held, temporary, metadata={"facts": json.dumps(facts or {})})
        except SafetensorError as error:  # which tells what the system said in words alone
            said = re.search(r"\(os error (\d+)\)", str(error))
            if said is None:
                raise
            raise OSError(int(said[1]), os.strerror(int(said[1])), str(path)) from error


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read what `write_tensors` wrote.

    Raises UserError where the file is missing or broken, or a weight is no finite number.
    """
    if not path.exists():
        raise UserError(f"{path} is missing.")
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no dict
            facts = json.loads((file.metadata() or {}).get("facts", "{}"))
    except (SafetensorError, OSError, ValueError, RecursionError) as error:
        raise UserError(f"{path} is not a whole safetensors file ({error}).") from error
    for name, tensor in tensors.items():
        if not name.startswith("optimizer.") and not torch.isfinite(tensor).all():
            raise UserError(f"{path} is damaged: {name} holds a number that is not finite; copy it again, or fit anew.")
    return tensors, facts


def load_weights(path: Path, network: nn.Module) -> None:
    """Put the tensors that `write_tensors` wrote into `network`.  Raises UserError as `put_weights` does."""
    put_weights(path, network, read_tensors(path)[0])


def put_weights(path: Path, network: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Put the tensors of `path` into `network`.  Raises UserError where they are not those that it has."""
    try:
        network.load_state_dict(tensors)
    except RuntimeError as error:  # what torch says of it is a line a tensor
        raise UserError(
            f"{path} holds other weights than its settings ask for: it is damaged, or another version fitted "
            "it; copy it again, or fit anew."
        ) from error


def _prefix(kind: str, name: str) -> str:
    """A model of no name stands under "model.", one named `critic` under "model.critic."."""
    return f"{kind}.{name}." if name else f"{kind}."


def _under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}

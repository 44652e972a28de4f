"""Tensors on disk: they come back as they were, and what is damaged in them is said."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from anomae.errors import UserError
from anomae.training.checkpoint import load_checkpoints, load_weights, read_tensors, save_checkpoints, write_tensors


def test_weights_come_back_as_they_were(tmp_path: Path) -> None:
    before, after = nn.Linear(3, 2), nn.Linear(3, 2)
    write_tensors(tmp_path / "w.safetensors", dict(before.state_dict()), {"step": 3})
    load_weights(tmp_path / "w.safetensors", after)
    assert torch.equal(before.weight, after.weight)
    assert read_tensors(tmp_path / "w.safetensors")[1] == {"step": 3}


@pytest.mark.parametrize("broken", [float("nan"), float("inf")])
def test_a_weight_that_is_no_number_is_told(tmp_path: Path, broken: float) -> None:
    """It gave scores that are none, which was noticed when all was scored."""
    tensors = {"bias": torch.zeros(2), "weight": torch.tensor([1.0, broken])}
    write_tensors(tmp_path / "w.safetensors", tensors)
    with pytest.raises(UserError, match=r"w\.safetensors is damaged: weight holds a number that is not finite"):
        read_tensors(tmp_path / "w.safetensors")


def test_the_state_of_an_optimizer_may_overflow(tmp_path: Path) -> None:
    network = nn.Linear(1, 1)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9)
    network.weight.grad, network.bias.grad = torch.full((1, 1), torch.inf), torch.zeros(1)
    optimizer.step()
    network.weight.data.zero_()
    save_checkpoints(tmp_path / "c.safetensors", {"": network}, {"": optimizer}, {"step": 1})
    assert load_checkpoints(tmp_path / "c.safetensors", {"": network}, {"": optimizer}) == {"step": 1}


def test_weights_of_another_network_and_facts_that_are_none_are_told(tmp_path: Path) -> None:
    write_tensors(tmp_path / "w.safetensors", dict(nn.Linear(3, 2).state_dict()))
    for other in (nn.Linear(2, 3), nn.LayerNorm(3), nn.Sequential(nn.Linear(3, 2))):
        with pytest.raises(UserError, match="holds other weights than its settings ask for") as told:
            load_weights(tmp_path / "w.safetensors", other)
        assert "\n" not in str(told.value)
    for facts in ("[" * 100_000, "{"):
        save_file({"a": torch.zeros(1)}, tmp_path / "w.safetensors", metadata={"facts": facts})
        with pytest.raises(UserError, match="not a whole safetensors file"):
            read_tensors(tmp_path / "w.safetensors")

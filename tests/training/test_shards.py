"""The parts of a network: put together and cut again, weights, buffers and the optimiser's state stay what they are.

One process has all the parts here, so that they can be looked at; that two come to what one does is in test_devices.py.
"""

import copy
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from anomae.training.shards import ShardedStrategy, Shards

Learned = tuple[nn.Module, torch.optim.Optimizer]


class Blocks(nn.Module):
    """Two blocks in a list, each a part of its own, a layer beside them, and a buffer that counts passes."""

    passes: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(nn.Linear(6, 6) for _ in range(2))
        self.last = nn.Linear(6, 3)
        self.register_buffer("passes", torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        self.passes += 1
        for block in self.blocks:
            x = block(x).tanh()
        return self.last(x)


@pytest.fixture(scope="module")
def fabric(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    store = torch.distributed.FileStore(str(tmp_path_factory.mktemp("group") / "store"), 1)
    torch.distributed.init_process_group("gloo", store=store, rank=0, world_size=1)
    yield SimpleNamespace(device=torch.device("cpu"), world_size=1, setup_module=lambda module, **_: module)
    torch.distributed.destroy_process_group()


def optimizer_of(groups: Any) -> torch.optim.Optimizer:
    return torch.optim.AdamW(groups, lr=0.05)


def begun() -> Learned:
    """A network, and an optimiser with the biases in a group of their own, in another order than the network's."""
    torch.manual_seed(0)
    model = Blocks()
    named = dict(model.named_parameters())
    biases = [named[name] for name in sorted(named, reverse=True) if name.endswith("bias")]
    weights = [parameter for name, parameter in named.items() if name.endswith("weight")]
    return model, optimizer_of([{"params": biases, "weight_decay": 0.0}, {"params": weights, "weight_decay": 0.3}])


def step(model: Any, optimizer: torch.optim.Optimizer, seed: int) -> None:
    images = torch.randn(5, 6, generator=torch.Generator().manual_seed(seed))
    optimizer.zero_grad()
    model(images).square().mean().backward()
    optimizer.step()


def same(one: Learned, other: Learned) -> None:
    """Weights, buffers, and of every parameter the optimiser's state."""
    for name, tensor in one[0].state_dict().items():
        torch.testing.assert_close(other[0].state_dict()[name], tensor, msg=name)
    for (name, first), second in zip(one[0].named_parameters(), other[0].parameters(), strict=True):
        states = one[1].state[first], other[1].state[second]
        assert states[0].keys() == states[1].keys()
        for key, value in states[0].items():
            torch.testing.assert_close(states[1][key], value, msg=f"{key} of {name}")


def test_put_together_they_are_what_the_whole_would_have_become(fabric: Any) -> None:
    plain, (whole, optimizer) = begun(), begun()
    shards = Shards(fabric, whole, optimizer, optimizer_of)
    untouched = copy.deepcopy(whole.state_dict())
    for seed in range(3):
        step(*plain, seed)
        step(shards.module, shards.optimizer, seed)
    assert all(torch.equal(tensor, untouched[name]) for name, tensor in whole.state_dict().items())
    shards.gather()
    same(plain, (whole, optimizer))
    assert whole.passes == 3
    assert not any(hasattr(parameter, "full_tensor") for parameter in whole.parameters())


def test_cut_again_they_go_on_as_the_whole_would(fabric: Any) -> None:
    """From a checkpoint, say: weights, buffer and state were read into the whole."""
    plain, (whole, optimizer) = begun(), begun()
    shards = Shards(fabric, whole, optimizer, optimizer_of)
    step(shards.module, shards.optimizer, seed=9)  # what is thrown away
    for seed in range(2):
        step(*plain, seed)
        step(whole, optimizer, seed)
    shards.share_out()
    for seed in range(2, 4):
        step(*plain, seed)
        step(shards.module, shards.optimizer, seed)
    shards.gather()
    same(plain, (whole, optimizer))


def test_every_block_of_a_list_and_the_rest_are_parts_and_groups_keep_their_settings(fabric: Any) -> None:
    whole, optimizer = begun()
    shards = Shards(fabric, whole, optimizer, optimizer_of)
    parts = dict(shards.module.named_parameters())
    assert all(hasattr(part, "full_tensor") for part in parts.values())
    named = {id(part): name for name, part in parts.items()}
    theirs = {id(parameter): name for name, parameter in whole.named_parameters()}
    for own, wanted in zip(shards.optimizer.param_groups, optimizer.param_groups, strict=True):
        assert own["weight_decay"] == wanted["weight_decay"]
        assert [named[id(part)] for part in own["params"]] == [theirs[id(one)] for one in wanted["params"]]


@pytest.mark.parametrize("wanted", [True, False])
def test_what_one_wants_all_agree_on(wanted: bool, fabric: Any) -> None:
    shards = Shards(fabric, *begun(), optimizer_of)
    assert shards.agreed(wanted) is wanted


def test_gradients_are_shared_at_the_last_pass_of_a_step_alone() -> None:
    asked: list[bool] = []
    strategy = ShardedStrategy()
    module = SimpleNamespace(set_requires_gradient_sync=asked.append)
    for keep in (True, True, False):
        with strategy._backward_sync_control.no_backward_sync(module, keep):
            pass
    assert asked == [False, False, True]
    assert strategy.setup_module(module) is module

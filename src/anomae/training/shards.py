"""A network cut among several processes (FSDP): each holds a part of the weights, gradients and optimiser's state.

torch's `fully_shard`: a block's weights are gathered while it computes, and let go.  The whole network stays with the
caller, on the CPU, and is what a checkpoint keeps: `gather` puts it together, `share_out` cuts it again.
"""

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from lightning_fabric.strategies.ddp import DDPStrategy
from torch import Tensor, nn
from torch.optim import Optimizer

Groups = Sequence[Mapping[str, Any]]


class _SyncControl:
    """Gradients are shared at the last of a step's shards alone."""

    @contextmanager
    def no_backward_sync(self, module: Any, enabled: bool) -> Iterator[None]:
        """enabled: keep them; the next pass shares the sum."""
        module.set_requires_gradient_sync(not enabled)
        yield


class ShardedStrategy(DDPStrategy):
    """Processes and groups of them as for DDP; the network is cut already where it is set up."""

    cuts = True

    def __init__(self) -> None:
        super().__init__()
        self._backward_sync_control: Any = _SyncControl()

    def setup_module(self, module: Any) -> Any:
        """As it is."""
        return module


class Shards:
    """The parts of a network and of its optimiser that are in this process.

    All processes call each method, since each has parts that the others need.
    """

    def __init__(self, fabric: Any, whole: nn.Module, optimizer: Optimizer, make: Callable[[Any], Optimizer]) -> None:
        """whole, optimizer: what the caller keeps.  make: an optimiser of such groups of parameters."""
        from torch.distributed.device_mesh import init_device_mesh
        from torch.distributed.fsdp import fully_shard

        names = {id(parameter): name for name, parameter in whole.named_parameters()}
        self._whole, self._optimizer = whole, optimizer
        self._parts = copy.deepcopy(whole).to(fabric.device)
        mesh = init_device_mesh(fabric.device.type, (fabric.world_size,))
        for blocks in self._parts.modules():
            if isinstance(blocks, nn.ModuleList):
                for block in blocks:
                    if any(True for _ in block.parameters()):
                        fully_shard(block, mesh=mesh)
        fully_shard(self._parts, mesh=mesh)
        parts = dict(self._parts.named_parameters())
        groups = [
            {**group, "params": [parts[names[id(parameter)]] for parameter in group["params"]]}
            for group in optimizer.param_groups
        ]
        self.optimizer = make(groups)
        self._device = fabric.device
        self.module = fabric.setup_module(self._parts, move_to_device=False)

    def gather(self) -> None:
        """Put the whole network and its optimiser's state together."""
        wholes = dict(self._whole.named_parameters())
        with torch.no_grad():
            for name, part in self._parts.named_parameters():
                wholes[name].copy_(_whole(part))
                state = self.optimizer.state.get(part, {})
                self._optimizer.state[wholes[name]] = {key: _whole(value).cpu() for key, value in state.items()}
            for (_, whole), (_, own) in zip(self._whole.named_buffers(), self._parts.named_buffers(), strict=True):
                whole.copy_(own)

    def share_out(self) -> None:
        """Cut the whole network and its optimiser's state."""
        wholes = dict(self._whole.named_parameters())
        with torch.no_grad():
            for name, part in self._parts.named_parameters():
                part.copy_(_like(part, wholes[name].detach()))
                state = self._optimizer.state.get(wholes[name], {})
                self.optimizer.state[part] = {
                    key: _like(part, value) if value.shape == part.shape else value.clone()
                    for key, value in state.items()
                }
            for (_, whole), (_, own) in zip(self._whole.named_buffers(), self._parts.named_buffers(), strict=True):
                own.copy_(whole)

    def agreed(self, wanted: bool) -> bool:
        """Whether any process wants it."""
        asked = torch.tensor(float(wanted), device=self._device)
        torch.distributed.all_reduce(asked)
        return bool(asked)


def _whole(value: Any) -> Tensor:
    given: Tensor = value.full_tensor() if hasattr(value, "full_tensor") else value.clone()
    return given


def _like(part: Any, whole: Tensor) -> Any:
    from torch.distributed.tensor import distribute_tensor

    return distribute_tensor(whole.to(part.device), part.device_mesh, part.placements)

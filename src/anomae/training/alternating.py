"""The training of networks that learn in turns, each with its own optimiser, on one device."""

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from anomae.errors import UserError
from anomae.seeds import derive_seed
from anomae.training.devices import chosen_device
from anomae.training.one_device import refuse_several_devices
from anomae.training.settings import DeviceSettings
from anomae.training.steps import Steps, take_steps

# samples of a step (b,), generator -> losses by name, detached, one of them named `loss`; updates the networks.
Turn = Callable[[npt.NDArray[np.int64], torch.Generator], Mapping[str, Tensor]]


def train_alternating(training: Steps, turn: Turn, device: torch.device) -> None:
    """Train the networks in place, from the last checkpoint if there is one; leaves them in the mode of use.

    All that `turn` draws comes from its generator, on `device`, which depends on seed, stage and step alone.  Raises
    Diverged where a loss is no longer finite.
    """
    generator = torch.Generator(device=device)

    def step(indices: npt.NDArray[np.int64], number: int) -> tuple[Mapping[str, Tensor], Mapping[str, float]]:
        generator.manual_seed(derive_seed(training.seed, training.stage, "step", number))
        return turn(indices, generator), {}

    take_steps(training, step)


def descend(loss: Tensor, optimizer: torch.optim.Optimizer) -> Tensor:
    """One step of `optimizer` down `loss`, for its own parameters alone; gives the loss, detached."""
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    optimizer.zero_grad()
    loss.backward(inputs=parameters)  # type: ignore[no-untyped-call]
    optimizer.step()
    return loss.detach()


def single_device(detector: str, settings: DeviceSettings) -> torch.device:
    """The one device that networks in turns learn on, in fp32.

    Raises UserError where several devices are asked for, or bf16: the gradient penalty is a gradient of a gradient,
    and was not checked in half precision.
    """
    refuse_several_devices(detector, settings)
    if settings.precision == "bf16":
        raise UserError(f"{detector} computes in fp32; use --set device.precision=fp32, or auto.")
    return torch.device(chosen_device(settings))

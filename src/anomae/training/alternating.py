"""The training of networks that learn in turns, each with its own optimiser; stopped anywhere, it goes on alike."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from anomae.errors import UserError
from anomae.progress import progress
from anomae.seeds import derive_seed
from anomae.training.checkpoint import load_checkpoints, save_checkpoints
from anomae.training.devices import chosen_device
from anomae.training.journal import Journal
from anomae.training.order import SampleOrder
from anomae.training.settings import DeviceSettings

Step = Callable[[npt.NDArray[np.int64], torch.Generator], Mapping[str, Tensor]]


@dataclass(frozen=True, slots=True)
class Alternating:
    """One training of several networks, described.

    stage: its name in journal and files.  count: samples there are.  taken: samples a step is given.  networks: those
    that learn here, on `device`.  step(places (taken,), generator) updates them and gives its losses by name, detached,
    one of them named `loss`; all it draws comes from the generator, which depends on seed, stage and step alone.
    """

    stage: str
    count: int
    taken: int
    steps: int
    networks: Mapping[str, nn.Module]
    optimizers: Mapping[str, torch.optim.Optimizer]
    step: Step
    seed: int
    folder: Path
    device: torch.device
    checkpoint_minutes: float = 5.0

    @property
    def checkpoint(self) -> Path:
        """Where the state is kept."""
        return self.folder / "checkpoints" / f"{self.stage}.safetensors"


def train_alternating(training: Alternating) -> None:
    """Train the networks in place, from the last checkpoint if there is one; leaves them in the mode of use.

    Raises Diverged where a loss is no longer finite.
    """
    training.folder.mkdir(parents=True, exist_ok=True)
    facts: dict[str, Any] = {"step": 0}
    if training.checkpoint.exists():
        facts = load_checkpoints(training.checkpoint, training.networks, training.optimizers)
    order = SampleOrder(training.count, training.taken, training.seed, training.stage)
    journal = Journal(training.folder / "journal.jsonl", training.stage, training.steps, facts["step"])
    generator = torch.Generator(device=training.device)
    saved = time.monotonic()
    for network in training.networks.values():
        network.train()
    with progress(training.stage, training.steps, "steps", facts["step"]) as bar:
        for step in range(facts["step"], training.steps):
            generator.manual_seed(derive_seed(training.seed, training.stage, "step", step))
            losses = training.step(order.step(step), generator)
            bar.advance(note=journal.take(losses, step + 1))
            if step + 1 == training.steps or time.monotonic() - saved > training.checkpoint_minutes * 60:
                journal.flush(step + 1)
                save_checkpoints(training.checkpoint, training.networks, training.optimizers, {"step": step + 1})
                saved = time.monotonic()
    for network in training.networks.values():
        network.eval()


def descend(loss: Tensor, optimizer: torch.optim.Optimizer) -> Tensor:
    """One step of `optimizer` down `loss`, for its own parameters alone; gives the loss, detached."""
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    optimizer.zero_grad()
    loss.backward(inputs=parameters)  # type: ignore[no-untyped-call]
    optimizer.step()
    return loss.detach()


def single_device(settings: DeviceSettings) -> torch.device:
    """The one device that networks in turns learn on, in fp32.

    Raises UserError where several devices are asked for, or bf16: the gradient penalty is a gradient of a gradient,
    and was not checked in half precision.
    """
    if settings.devices * settings.nodes > 1:
        raise UserError("This detector trains on one device; use --set device.devices=1 and device.nodes=1.")
    if settings.precision == "bf16":
        raise UserError("This detector computes in fp32; use --set device.precision=fp32, or auto.")
    return torch.device(chosen_device(settings))

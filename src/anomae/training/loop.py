"""The training of one network: learning rate, shards among devices, choice of the best weights."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from anomae.errors import UserError
from anomae.seeds import derive_seed
from anomae.training.checkpoint import write_tensors
from anomae.training.schedule import lr_factor
from anomae.training.settings import TrainingSettings
from anomae.training.steps import Steps, checkpoint_path, journal_path, take_steps

if TYPE_CHECKING:
    from anomae.training.shards import Shards

BatchLoss = Callable[[nn.Module, npt.NDArray[np.int64], torch.Generator], Tensor]


@dataclass(frozen=True, slots=True)
class Choice:
    """Keep the weights with the highest `measure(model)`, taken `times` times, instead of the last."""

    measure: Callable[[nn.Module], float]
    times: int


@dataclass(frozen=True, slots=True)
class Training:
    """One training, described.

    stage: its name in journal and files.  count: samples an epoch.  batch_loss(model, indices (b,), generator) -> the
    mean loss of these samples; all it draws comes from the generator, which depends on seed, stage, step and shard
    alone.  A step's batch is cut into devices x accumulate shards, so two processes do what one does with twice the
    accumulation.  groups: parameter groups with an "lr" each (None: one group).  optimizer: AdamW, or Adam, whose
    weight decay is an L2 term of the loss.  exchange(indices, step) -> the samples that take the place of those whose
    turn it is.
    """

    stage: str
    count: int
    batch_loss: BatchLoss
    settings: TrainingSettings
    seed: int
    folder: Path
    checkpoint_minutes: float = 5.0
    groups: Sequence[Mapping[str, Any]] | None = None
    optimizer: type[torch.optim.Adam] = torch.optim.AdamW
    choice: Choice | None = None
    exchange: Callable[[npt.NDArray[np.int64], int], npt.NDArray[np.int64]] | None = None
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def checkpoint(self) -> Path:
        """Where the state is kept."""
        return checkpoint_path(self.folder, self.stage)

    @property
    def best(self) -> Path:
        """Where the chosen weights are kept, if there is a choice."""
        return self.folder / "checkpoints" / f"{self.stage}-best.safetensors"

    @property
    def journal(self) -> Path:
        """The journal of the run."""
        return journal_path(self.folder)


def train(fabric: Any, model: nn.Module, training: Training) -> dict[str, Any]:
    """Train `model` in place, from the last checkpoint if there is one; returns the facts of the end.

    Raises Diverged where the loss is no longer finite, UserError where the batch cannot be shared among the devices.
    """
    settings, shares = training.settings, fabric.world_size * training.settings.accumulate
    if settings.batch % shares:
        raise UserError(
            f"batch={settings.batch} cannot be shared evenly by {shares} (devices x accumulate); change it."
        )
    groups = [dict(group) for group in training.groups or [{"params": list(model.parameters())}]]
    groups = [{**group, "params": [p for p in group["params"] if p.requires_grad]} for group in groups]

    def make(parameters: Any) -> torch.optim.Optimizer:
        return training.optimizer(
            parameters, lr=settings.lr, betas=settings.betas, weight_decay=settings.weight_decay, fused=True
        )

    optimizer = make(groups)
    shards = _cut(fabric, model, optimizer, make)
    wrapped, stepper = (
        fabric.setup(model, optimizer) if shards is None else (shards.module, fabric.setup_optimizers(shards.optimizer))
    )
    stepped = optimizer if shards is None else shards.optimizer
    peaks = [float(group["lr"]) for group in stepped.param_groups]
    steps, warmup = settings.total_steps(training.count), settings.warmup(training.count)

    def step(indices: npt.NDArray[np.int64], number: int) -> tuple[Mapping[str, Tensor], Mapping[str, float]]:
        factor = lr_factor(number, steps, warmup, settings.min_lr / settings.lr)
        for group, peak in zip(stepped.param_groups, peaks, strict=True):
            group["lr"] = peak * factor
        if training.exchange is not None:
            indices = training.exchange(indices, number)
        loss = _step(fabric, wrapped, stepper, training, indices, number)
        return {"loss": loss}, {"lr": settings.lr * factor}

    computed = {"precision": str(fabric._precision.precision), "processes": int(fabric.world_size)}
    described = Steps(
        stage=training.stage,
        count=training.count,
        batch=settings.batch,
        steps=steps,
        networks={"": model},
        optimizers={"": optimizer},
        seed=training.seed,
        folder=training.folder,
        checkpoint_minutes=training.checkpoint_minutes,
        facts=training.facts,
        computed=computed if shards is None else {**computed, "strategy": "fsdp"},
        writes=fabric.is_global_zero,
        parts=shards,
    )
    facts = take_steps(described, step, lambda facts: _choose(fabric, model, shards, training, facts, steps))
    fabric.barrier()
    return facts


def _cut(
    fabric: Any, model: nn.Module, optimizer: torch.optim.Optimizer, make: Callable[[Any], torch.optim.Optimizer]
) -> "Shards | None":
    """This process's parts of both, where the strategy is FSDP."""
    if not getattr(fabric.strategy, "cuts", False):
        return None
    from anomae.training.shards import Shards  # brings all of Fabric, which scoring does without

    return Shards(fabric, model, optimizer, make)


def _step(
    fabric: Any,
    wrapped: nn.Module,
    optimizer: torch.optim.Optimizer,
    training: Training,
    indices: npt.NDArray[np.int64],
    step: int,
) -> Tensor:
    accumulate = training.settings.accumulate
    shard_size = len(indices) // (fabric.world_size * accumulate)
    total = torch.zeros((), device=fabric.device)
    for turn in range(accumulate):
        shard = turn * fabric.world_size + fabric.global_rank
        generator = torch.Generator(device=fabric.device)
        generator.manual_seed(derive_seed(training.seed, training.stage, "step", step, shard))
        with fabric.no_backward_sync(wrapped, enabled=turn + 1 < accumulate):
            own = indices[shard * shard_size : (shard + 1) * shard_size]
            loss = training.batch_loss(wrapped, own, generator) / accumulate
            fabric.backward(loss)
        total += loss.detach()
    if training.settings.clip_norm is not None:
        fabric.clip_gradients(wrapped, optimizer, max_norm=training.settings.clip_norm)
    optimizer.step()
    optimizer.zero_grad()
    return total


def _choose(
    fabric: Any, model: nn.Module, shards: "Shards | None", training: Training, facts: dict[str, Any], steps: int
) -> None:
    """Measure at the ends of `times` equal stretches; keep the best so far (the first of equals)."""
    choice = training.choice
    if choice is None or facts["step"] * choice.times // steps == (facts["step"] - 1) * choice.times // steps:
        return
    measured = model if shards is None else shards.module
    measured.eval()
    with torch.no_grad():
        value = choice.measure(measured)
    measured.train()
    if value > facts.get("best_value", -math.inf):
        facts.update(best_value=value, best_step=facts["step"])
        if shards is not None:
            shards.gather()
        if fabric.is_global_zero:
            write_tensors(training.best, dict(model.state_dict()), facts)

"""The one training loop: takes a step function; stopped anywhere, it goes on to the same weights.

All that is trained goes through it: one network on one or more devices (anomae.training.loop), or several networks in
turns (anomae.training.alternating).
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from anomae.errors import UserError
from anomae.progress import progress
from anomae.training.checkpoint import load_checkpoints, save_checkpoints
from anomae.training.journal import Journal
from anomae.training.order import SampleOrder

ASK_EVERY = 8  # steps between two questions among processes whether to keep a checkpoint

# samples of a step (b,), its number from 0 -> its losses by name, detached, one of them named `loss`, and numbers that
# stand beside them in the journal.  Updates the networks; may draw only what depends on the number of the step.
Step = Callable[[npt.NDArray[np.int64], int], tuple[Mapping[str, Tensor], Mapping[str, float]]]


class Parts(Protocol):
    """What holds this process's part of networks and optimisers; all processes call each method together."""

    def gather(self) -> None:
        """Put the whole ones together, before they are kept."""
        ...

    def share_out(self) -> None:
        """Cut the whole ones, after they were read."""
        ...

    def agreed(self, wanted: bool) -> bool:
        """Whether any process wants it."""
        ...


@dataclass(frozen=True, slots=True)
class Steps:
    """What the loop knows of a training.

    stage: its name in journal and files.  count: samples there are.  batch: samples a step is given.  steps: how many.
    networks, optimizers: what learns and is kept in a checkpoint, by name.  seed: of the order of the samples.  facts:
    what a checkpoint says beside the step.  computed: precision and number of processes, which may not change on the
    way.  writes: whether this process keeps journal and checkpoints and says how it
    goes; of several, the first.  parts: of networks and optimizers, where each process holds some.
    """

    stage: str
    count: int
    batch: int
    steps: int
    networks: Mapping[str, nn.Module]
    optimizers: Mapping[str, torch.optim.Optimizer]
    seed: int
    folder: Path
    checkpoint_minutes: float = 5.0
    facts: Mapping[str, Any] = field(default_factory=dict)
    computed: Mapping[str, Any] = field(default_factory=dict)
    writes: bool = True
    parts: "Parts | None" = None

    @property
    def checkpoint(self) -> Path:
        """Where the state is kept."""
        return checkpoint_path(self.folder, self.stage)


def checkpoint_path(folder: Path, stage: str) -> Path:
    """Where the state of a training is kept."""
    return folder / "checkpoints" / f"{stage}.safetensors"


def journal_path(folder: Path) -> Path:
    """The journal of a run."""
    return folder / "journal.jsonl"


def take_steps(training: Steps, step: Step, after: Callable[[dict[str, Any]], None] | None = None) -> dict[str, Any]:
    """Train the networks in place, from the last checkpoint if there is one; leaves them in the mode of use.

    after: called after each step with the facts, "step" among them: how many were taken; it may add to them.  Returns
    the facts of the end.  Raises Diverged where a loss is no longer finite, UserError where a training that was stopped
    would go on in another precision or number of processes.
    """
    training.folder.mkdir(parents=True, exist_ok=True)
    facts: dict[str, Any] = {"step": 0, **training.facts}
    if training.computed:
        facts["computed"] = dict(training.computed)
    if training.checkpoint.exists():
        facts = load_checkpoints(training.checkpoint, training.networks, training.optimizers)
        _refuse_other_computing(training, facts)
        if training.parts is not None:
            training.parts.share_out()
    order = SampleOrder(training.count, training.batch, training.seed, training.stage)
    path, stage, steps = journal_path(training.folder), training.stage, training.steps
    journal = Journal(path, stage, steps, facts["step"], training.writes)
    saved = time.monotonic()
    for network in training.networks.values():
        network.train()
    with progress(stage, steps, "steps", facts["step"], training.writes) as bar:
        for number in range(facts["step"], steps):
            losses, beside = step(order.step(number), number)
            facts["step"] = number + 1
            bar.advance(note=journal.take(losses, number + 1, **beside))
            if after is not None:
                after(facts)
            if number + 1 == steps or _is_due(training, number + 1, saved):
                journal.flush(number + 1, **beside)
                if training.parts is not None:
                    training.parts.gather()
                if training.writes:
                    save_checkpoints(training.checkpoint, training.networks, training.optimizers, facts)
                saved = time.monotonic()
    for network in training.networks.values():
        network.eval()
    return facts


def _is_due(training: Steps, step: int, saved: float) -> bool:
    """Whether to keep a checkpoint now; where all processes have to do it together, the first one's clock decides."""
    due = time.monotonic() - saved > training.checkpoint_minutes * 60
    if training.parts is None:
        return due
    return step % ASK_EVERY == 0 and training.parts.agreed(due and training.writes)


def _refuse_other_computing(training: Steps, facts: Mapping[str, Any]) -> None:
    """A training that is whole does not go on, and a checkpoint of before this was kept does not say."""
    before, now = facts.get("computed"), dict(training.computed)
    if facts["step"] < training.steps and before and now and before != now:
        began, goes_on = (", ".join(f"{name}={value}" for name, value in said.items()) for said in (before, now))
        raise UserError(
            f"{training.checkpoint} was begun with {began} and would go on with {goes_on}; give the same device "
            "settings again, or begin in a new folder."
        )

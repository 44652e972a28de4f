"""The journal of a training: losses collected on the device, checked and written every few steps."""

import json
import math
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from anomae.errors import Diverged
from anomae.files import append_json_line, read_json_lines, write_text

JOURNAL_LINES = 400
_WRITTEN = threading.Lock()  # trainings side by side (anomae.training.side_by_side) share a journal


class Journal:
    """Collects losses on the device; every few steps checks them, writes a line and says how it goes.

    A line holds stage, step, steps, each loss by its name (the mean since the line before; one of them is named
    `loss`), whatever else it is told, and the seconds so far.
    """

    def __init__(self, path: Path, stage: str, steps: int, start: int, writes: bool = True) -> None:
        """Go on with the journal at `path` from step `start`; lines of `stage` that lie later are taken out."""
        self.path, self.stage, self.steps, self.writes = path, stage, steps, writes
        self.every = max(1, steps // JOURNAL_LINES)
        self.losses: dict[str, list[Tensor]] = {}
        self.note = ""
        with _WRITTEN:
            kept = [line for line in read_json_lines(path) if not self._is_later(line, start)]
            if writes and path.exists():
                write_text(path, "".join(json.dumps(line) + "\n" for line in kept))
        self.earlier_s = max((line["seconds"] for line in kept if line.get("stage") == stage), default=0.0)
        self.began = time.monotonic()

    def _is_later(self, line: dict[str, Any], start: int) -> bool:
        return bool(line.get("stage") == self.stage and line.get("step", 0) > start)

    def take(self, losses: Mapping[str, Tensor], step: int, **facts: float) -> str:
        """Remember the losses of a step; returns the note for the progress bar."""
        for name, loss in losses.items():
            self.losses.setdefault(name, []).append(loss)
        if step % self.every == 0:
            self.flush(step, **facts)
        return self.note

    def flush(self, step: int, **facts: float) -> None:
        """Check and write what was collected.  Raises Diverged."""
        if not self.losses:
            return
        means = {name: float(torch.stack(collected).mean()) for name, collected in self.losses.items()}
        self.losses.clear()
        if not all(math.isfinite(mean) for mean in means.values()):
            raise Diverged(
                f"The loss of {self.stage} is no longer a finite number (by step {step} of {self.steps}). "
                f"Lower its learning rate (its lr) with --set into a new run folder."
            )
        self.note = ", ".join(f"{name} {mean:.5f}" for name, mean in means.items())
        if self.writes:
            seconds = round(self.earlier_s + time.monotonic() - self.began, 2)
            line = {"stage": self.stage, "step": step, "steps": self.steps, **means, **facts}
            with _WRITTEN:
                append_json_line(self.path, {**line, "seconds": seconds})

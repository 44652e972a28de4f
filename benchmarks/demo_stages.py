"""The seconds of one whole `anomae demo`: its stages, which add up to all of it, and the work within each.

    python benchmarks/demo_stages.py [FOLDER] [--seed 0]

Stages are timed by the clock and in processor seconds of this process and of its workers; the share is that of what all
processors could have done in that time.  Below each stage stands what reported its progress, with its first and last
second since the stage began: work that lies side by side overlaps, and what reports nothing is not there.  FOLDER: of
the demo, new; None: one that is removed at the end.
"""

import argparse
import importlib
import os
import resource
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import wraps
from pathlib import Path
from typing import Any

from anomae.progress import Progress, reporting
from anomae.training.allocator import keep_freed_memory
from machine import show_machine

STAGES = (
    ("prepare", "anomae.stages.prepare", "prepare"),
    ("fit", "anomae.stages.fit", "fit"),
    ("score", "anomae.stages.score", "score"),
    ("evaluate", "anomae.stages.evaluate", "evaluate"),
    ("picture", "anomae.reports.run_picture", "run_picture"),
)


@dataclass
class Stage:
    """name; seconds by the clock and of processors; bars: title -> first and last second within it, and units done."""

    name: str
    wall: float = 0.0
    processors: float = 0.0
    bars: dict[str, list[float]] = field(default_factory=dict)


class Watch:
    """Reports to nobody; keeps when each bar was."""

    def __init__(self) -> None:
        """The clock starts with the first stage."""
        self.stages: list[Stage] = []
        self.began = time.monotonic()

    @contextmanager
    def progress(self, title: str, total: int, unit: str, start: int) -> Iterator[Progress]:
        """Keep its seconds; bars of one title and stage count as one."""
        stage, began = self.stages[-1] if self.stages else Stage("-"), self.began
        done = [0]

        class Bar:
            def advance(self, steps: int = 1, note: str = "") -> None:
                done[0] += steps

        first = time.monotonic() - began
        try:
            yield Bar()
        finally:
            kept = stage.bars.setdefault(title, [first, 0.0, 0.0])
            kept[1:] = [time.monotonic() - began, kept[2] + done[0]]

    def say(self, sentence: str) -> None:
        """Nothing is shown."""

    def timed(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The same function as a stage."""

        @wraps(function)
        def stage(*given: Any, **named: Any) -> Any:
            self.stages.append(Stage(name))
            self.began, spent = time.monotonic(), processor_seconds()
            try:
                return function(*given, **named)
            finally:
                self.stages[-1].wall = time.monotonic() - self.began
                self.stages[-1].processors = processor_seconds() - spent

        return stage


def processor_seconds() -> float:
    """Of this process and of its workers that ended."""
    used = [resource.getrusage(whom) for whom in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def main() -> None:
    """Run the demo and print the table."""
    began = time.monotonic()
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    keep_freed_memory()  # as the command line does
    watch = Watch()
    for name, module, function in STAGES:
        home = importlib.import_module(module)
        setattr(home, function, watch.timed(name, getattr(home, function)))
    from anomae.stages.demo import demo

    with tempfile.TemporaryDirectory() as made, reporting(watch):
        demo(options.folder or Path(made) / "demo", seed=options.seed)
    whole, cores = time.monotonic() - began, len(os.sched_getaffinity(0))
    show_machine()
    print(f"{whole:.0f} s in all")
    known = sum(stage.wall for stage in watch.stages)
    for stage in [*watch.stages, Stage("between them", whole - known)]:
        used = f", {stage.processors / stage.wall / cores:.0%} of the processors" if stage.processors else ""
        print(f"{stage.name}: {stage.wall:.1f} s, {stage.wall / whole:.0%}{used}")
        for title, (first, last, units) in stage.bars.items():
            print(f"    {title}: {first:.0f} to {last:.0f}, {units:.0f} units")


if __name__ == "__main__":
    main()

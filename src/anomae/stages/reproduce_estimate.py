"""How long a reproduction will take, from a few steps of each detector measured on this machine."""

import math
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from anomae.errors import AnomaeError
from anomae.progress import duration
from anomae.recipes.cells import PlannedRun
from anomae.recipes.detector_settings import METHOD
from anomae.slices.store import SliceStore

FEW, MORE = 1, 4  # steps; what both have in common (building, first calls) falls out of the difference


def estimated_seconds(runs: Sequence[PlannedRun], settings: Mapping[str, Any], store: SliceStore) -> dict[str, float]:
    """Run -> seconds of its trainings, by the rates of one measured run of each detector.

    Preparing pictures, scoring and judging are not in it, and a variant is taken to cost as much as what was measured.
    NaN for a detector that cannot be had here; its run will say why.
    """
    healthy = store.rows("train", label=0)
    rates: dict[str, dict[str, float]] = {}
    seconds = {}
    for run in runs:
        chosen = settings[run.name]
        if run.detector not in rates:
            try:
                rates[run.detector] = _rates(run.detector, chosen, store.select(healthy[:256]))
            except AnomaeError:
                rates[run.detector] = {name: math.nan for name, _ in trainings(chosen)}
        steps = {name: _steps(training, len(healthy)) for name, training in trainings(chosen)}
        if run.shares_autoencoder or _sees_images(chosen):
            steps.pop("autoencoder.training", None)
        seconds[run.name] = sum(count * rates[run.detector].get(name, 0.0) for name, count in steps.items())
    return seconds


def said(seconds: Mapping[str, float]) -> str:
    """The estimate in words."""
    known = {name: time for name, time in seconds.items() if math.isfinite(time)}
    each = ", ".join(f"{name} {duration(time)}" for name, time in known.items())
    unknown = [name for name in seconds if name not in known]
    missing = f" Not known: {', '.join(unknown)}." if unknown else ""
    return f"About {duration(sum(known.values()))} of training on this machine: {each}.{missing}"


def trainings(settings: BaseModel, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted name and settings of every training within `settings`."""
    for name in type(settings).model_fields:
        part = getattr(settings, name)
        if isinstance(part, BaseModel):
            if hasattr(part, "total_steps"):
                yield f"{prefix}{name}", part
            else:
                yield from trainings(part, f"{prefix}{name}.")


def _sees_images(settings: Any) -> bool:
    return getattr(getattr(settings, "classifier", None), "input", None) == "image"


def _steps(training: Any, count: int) -> float:
    return float(training.steps if training.steps is not None else training.epochs * count / training.batch)


def _rates(detector: str, settings: Any, sample: Any) -> dict[str, float]:
    """Seconds a step of each training; 0 where there is none."""
    names = [name for name, _ in trainings(settings)]
    if not names:
        return {}
    short = {f"{name}.steps": FEW for name in names}
    _seconds(detector, settings, short, sample)  # what is done once (libraries, kernels) is done
    base = _seconds(detector, settings, short, sample)
    return {
        name: max(_seconds(detector, settings, {**short, f"{name}.steps": MORE}, sample) - base, 0.0) / (MORE - FEW)
        for name in names
    }


def _seconds(detector: str, settings: Any, lengths: dict[str, Any], sample: Any) -> float:
    from anomae.detectors.registry import make_detector
    from anomae.recipes.overrides import overridden

    lengths = {**lengths, **({"classifier.choice": "last"} if detector == METHOD else {})}
    with tempfile.TemporaryDirectory() as folder:
        began = time.monotonic()
        made = make_detector(detector, overridden(settings, lengths))
        made.fit(sample, seed=0, folder=Path(folder), shown=False)
        return time.monotonic() - began

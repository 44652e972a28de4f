"""How long a reproduction will take, from a few steps of each detector measured on this machine."""

import math
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from anomae.detectors.method import DEFAULT, PAPERS
from anomae.detectors.registry import method_named
from anomae.files import read_json_lines
from anomae.progress import duration
from anomae.recipes.overrides import overridden
from anomae.reproduction.cells import PlannedRun
from anomae.slices.store import SliceStore

SAMPLES = 256  # of the pool of `anomae`
STEPS = 9  # measured of each training; the first, which builds and warms up, is not counted


def estimated_seconds(runs: Sequence[PlannedRun], settings: Mapping[str, Any], store: SliceStore) -> dict[str, float]:
    """Run -> seconds of its trainings, by the rates of one measured run of each kind of network.

    Preparing pictures, scoring and evaluating are not in it, and a variant that differs in neither architecture nor
    masked autoencoder is taken to cost as much as what was measured.
    NaN for a detector that cannot be had here; its run will say why.
    """
    healthy = store.learnable("train")
    rates: dict[str, dict[str, float]] = {}
    seconds = {}
    for run in runs:
        chosen = settings[run.name]
        kind = _kind(run.detector, chosen)
        whole = run.detector == DEFAULT
        if kind not in rates:
            sample = store.select(healthy[:256])
            try:
                rates[kind] = {"": _anomae_seconds(chosen, sample)} if whole else _rates(run.detector, chosen, sample)
            except Exception:  # noqa: BLE001 - whatever a detector fails with, here it costs an estimate alone
                rates[kind] = dict.fromkeys(("", *(name for name, _ in trainings(chosen))), math.nan)
        if whole:
            seconds[run.name] = rates[kind][""]
            continue
        steps = {name: _steps(training, len(healthy)) for name, training in trainings(chosen)}
        if run.shares_autoencoder or _sees_images(chosen):
            steps.pop("autoencoder.training", None)
        seconds[run.name] = sum(count * rates[kind].get(name, 0.0) for name, count in steps.items())
    return seconds


def _anomae_seconds(settings: Any, sample: Any) -> float:
    """Of a fit of `anomae`: the pool and the heads by the rates of a small one.

    The masked autoencoder of the source `residual` is measured alone; that of the source `hidden` counts as nothing.
    """
    sources = [name for name in settings.sources if name not in ("residual", "hidden")] or ["pixels"]
    short = {"sources": sources, "pool": SAMPLES, "heads": 1, "head.training.steps": STEPS}
    with tempfile.TemporaryDirectory() as folder:
        began = time.monotonic()
        method_named(DEFAULT).detector(overridden(settings, short)).fit(sample, seed=0, folder=Path(folder))
        whole = time.monotonic() - began
        lines = read_json_lines(Path(folder) / "journal.jsonl")
    by_size: dict[str, list[float]] = {}
    for line in lines:
        by_size.setdefault(line["stage"], []).append(line["seconds"])
    step = sum((times[-1] - times[0]) / (STEPS - 1) for times in by_size.values())
    pool = max(whole - sum(times[-1] for times in by_size.values()), 0.0) / SAMPLES
    heads = settings.heads * _steps(settings.head.training, len(sample)) * step
    return float(settings.pool * pool + heads + _autoencoder_seconds(settings, sample))


def _autoencoder_seconds(settings: Any, sample: Any) -> float:
    """Of the training of the masked autoencoder of `anomae`; 0 where no source wants it."""
    if "residual" not in settings.sources:
        return 0.0
    kind: Any = method_named("mae").detector.settings_type
    alone = kind(autoencoder=settings.autoencoder, device=settings.device)
    return _steps(settings.autoencoder.training, len(sample)) * _rates("mae", alone, sample)["autoencoder.training"]


def _kind(detector: str, settings: Any) -> str:
    """The same for settings that cost the same a step, as far as that is worth measuring."""
    if detector == DEFAULT:  # its whole fit is measured
        return f"{detector} {settings.model_dump_json()}"
    autoencoder = getattr(settings, "autoencoder", None)
    part = autoencoder.model_dump_json(exclude={"training"}) if autoencoder else getattr(settings, "arch", "")
    return f"{detector} {part} {_sees_images(settings)}"


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
    """Seconds a step of each training; empty where there is none."""
    names = [name for name, _ in trainings(settings)]
    if _sees_images(settings):
        names.remove("autoencoder.training")
    if not names:
        return {}
    short: dict[str, Any] = {f"{name}.steps": STEPS for name in names}
    short |= {"classifier.choice": "last"} if detector == PAPERS else {}
    with tempfile.TemporaryDirectory() as folder:
        made = method_named(detector).detector(overridden(settings, short))
        made.fit(sample, seed=0, folder=Path(folder))
        lines = read_json_lines(Path(folder) / "journal.jsonl")
    # Trainings follow each other as the settings name them.
    stages = dict.fromkeys(line["stage"] for line in lines)
    if len(stages) != len(names):  # some of its trainings are not made with these settings
        return dict.fromkeys(names, math.nan)
    measured = [[line["seconds"] for line in lines if line["stage"] == stage] for stage in stages]
    return {name: (times[-1] - times[0]) / (STEPS - 1) for name, times in zip(names, measured, strict=True)}

"""The stage `reproduce`: the paper's tables and figures on one data set; every cell fitted, scored, judged, resumed.

OUT/
  store/               the prepared slices, one for all cells
  runs/<run>/          a run a cell or several (anomae.recipes.cells), as `anomae fit`, `score` and `evaluate` leave it
  reproduction.json    every figure; written anew after each run
  reproduction.md      the tables
  reproduction.html    tables and figures
"""

import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from anomae.errors import AnomaeError, UserError
from anomae.evaluation.reproduction_page import write_reproduction
from anomae.recipes.cells import METHOD_RUN, TABLES, PlannedRun, chosen_cells, chosen_runs
from anomae.recipes.detector_settings import METHOD, settings_for
from anomae.recipes.nearest import nearest_sentence
from anomae.recipes.overrides import overridden
from anomae.recipes.preparation import reproduction_preparation
from anomae.recipes.reproductions import REPRODUCTIONS, Reproduction
from anomae.recipes.rivals import SCALES, Scale
from anomae.runs.run import Run
from anomae.slices.store import SliceStore
from anomae.stages.demo import installed_pictures
from anomae.stages.evaluate import evaluate
from anomae.stages.fit import fit
from anomae.stages.prepare import prepare
from anomae.stages.reproduce_estimate import estimated_seconds, said
from anomae.stages.reproduced import figures_of, pictures_of, roc_curves_of
from anomae.stages.score import score

Overrides = Mapping[str, Mapping[str, Any]]


def reproduce(
    data: str,
    source: Path | str | None,
    out: Path | str,
    *,
    only: Sequence[str] = (),
    scale: Scale = "small",
    modality: str | None = None,
    splits: Path | str | None = None,
    allow_leak: bool = False,
    seed: int = 0,
    preparation: Literal["plain", "brain"] = "plain",
    overrides: Overrides | None = None,
    resamples: int = 2000,
    estimate: bool = True,
    shown: bool = True,
) -> dict[str, Any]:
    """Prepare once, then fit, score and judge every run; returns the content of reproduction.json.

    data: a name in anomae.recipes.reproductions.REPRODUCTIONS, whose files lie at `source` (None: those of the demo, or
    made-up heads for phantom).  only: names of tables and
    figures (anomae.recipes.cells.TABLES); all where none is named.  scale: size and length of the networks.
    preparation: of the slices, "plain" as the paper has them or "brain" (see PrepareSettings).  overrides: detector ->
    settings of all its runs, on top of the scale's.  resamples: of patients, for the intervals.
    estimate: measure a few steps of each detector first, and say how long all will take.

    Same slices, same normals and one seed for all; checkpoints are chosen without labels.  A run that fails is shown
    as failed with its reason and tried again next time; what is finished is kept, and what was stopped goes on.
    Raises UserError for unknown names, and where the data set cannot be prepared.
    """
    plan, folder = _checked(data, only, scale, preparation), Path(out)
    cells = chosen_cells(tuple(only))
    runs = chosen_runs(cells)
    settings = reproduction_preparation(plan.cohort, preparation).with_size(plan.image_size[scale])
    store = prepare(
        plan.cohort, source or _usual_source(data), folder / "store", modality=modality, splits=splits,
        allow_leak=allow_leak, seed=seed, settings=settings, options=plan.options, shown=shown,
    )  # fmt: skip
    wanted = {run.name: _settings_of(run, scale, plan.recipe[scale], store, overrides or {}) for run in runs}
    left = [run for run in runs if not (folder / "runs" / run.name / "report" / "report.json").exists()]
    if estimate and left and shown:
        print(said(estimated_seconds(left, {run.name: wanted[run.name][0] for run in left}, store)), file=sys.stderr)
    failed: dict[str, str] = {}
    for place, run in enumerate(runs, start=1):
        if shown and run in left:
            print(f"[{place}/{len(runs)}] {run.name}", file=sys.stderr)
        reason = _run(run, folder / "runs", store, plan.recipe[scale], wanted[run.name][1], seed, resamples, shown)
        if reason:
            failed[run.name] = reason
            if shown:
                print(f"{run.name} failed: {reason}", file=sys.stderr)
        content = _content(data, plan, scale, modality, seed, cells, runs, failed, folder, store, overrides or {})
        write_reproduction(
            folder, content, roc_curves_of(cells, folder / "runs"), pictures_of(folder / "runs" / METHOD_RUN)
        )
    if not failed:
        shutil.rmtree(folder / "runs" / METHOD_RUN / "cache", ignore_errors=True)
    return content


def _usual_source(data: str) -> Path | str:
    if data == "phantom":
        return "heads:24"
    found = installed_pictures() if data == "demo" else None
    if found is None:
        raise UserError(f"Say where the files of {data} lie: anomae reproduce {data} SOURCE.")
    return found


def _checked(data: str, only: Sequence[str], scale: str, preparation: str) -> Reproduction:
    if data not in REPRODUCTIONS:
        raise UserError(f"There is no data set {data!r} to reproduce on. {nearest_sentence(data, REPRODUCTIONS)}")
    if scale not in SCALES:
        raise UserError(f"There is no scale {scale!r}. {nearest_sentence(scale, SCALES)}")
    if preparation not in ("plain", "brain"):
        raise UserError(f"There is no preparation {preparation!r} to reproduce with; there are plain and brain.")
    for name in only:
        if name not in TABLES:
            raise UserError(f"There is no table or figure {name!r}. {nearest_sentence(name, TABLES)}")
    return REPRODUCTIONS[data]


def _settings_of(
    run: PlannedRun, scale: Scale, recipe: str, store: SliceStore, overrides: Overrides
) -> tuple[Any, dict[str, Any]]:
    """The settings of a run, and what has to be given to `fit` as overrides for it to have them."""
    given = {**overrides.get(run.detector, {}), **run.overrides, **run.by_scale.get(scale, {})}
    settings = overridden(settings_for(run.detector, recipe, "paper", store.image_size), given)
    if run.length != 1.0 and run.detector == METHOD:
        given |= _shortened(settings, run.length)
        settings = overridden(settings, given)
    return settings, given


def _shortened(settings: Any, length: float) -> dict[str, Any]:
    """The masked autoencoder's training cut to this share, warm-up included."""
    training, key = settings.autoencoder.training, "autoencoder.training"
    if training.steps is not None:
        return {
            f"{key}.steps": max(1, round(training.steps * length)),
            f"{key}.warmup_steps": round((training.warmup_steps or 0) * length),
        }
    return {f"{key}.epochs": training.epochs * length, f"{key}.warmup_epochs": (training.warmup_epochs or 0) * length}


def _run(
    run: PlannedRun, runs: Path, store: SliceStore, recipe: str, overrides: dict[str, Any], seed: int,
    resamples: int, shown: bool,
) -> str:  # fmt: skip
    """Fit, score and judge one run, each unless it is done; the reason where that failed, else ""."""
    place, method = runs / run.name, runs / METHOD_RUN
    if (place / "report" / "report.json").exists():
        return ""
    try:
        fit(
            store.folder, place, detector=run.detector, recipe=recipe, seed=seed, overrides=overrides, shown=shown,
            autoencoder_of=method if run.shares_autoencoder else None, keep_cache=run.name == METHOD_RUN,
        )  # fmt: skip
        if not (Run(place).findings / "findings.json").exists():
            score(place, shown=shown)
        evaluate(place, seed=seed, resamples=resamples, shown=shown)
    except AnomaeError as error:
        return str(error)
    except Exception as error:  # noqa: BLE001 - one run that fails, for whatever reason, must not take the others along
        return f"{type(error).__name__}: {error}"
    return ""


def _content(
    data: str, plan: Reproduction, scale: Scale, modality: str | None, seed: int, cells: Any, runs: Any,
    failed: Mapping[str, str], folder: Path, store: SliceStore, overrides: Overrides,
) -> dict[str, Any]:  # fmt: skip
    """What reproduction.json is to say."""
    found = {run.name: figures_of(folder / "runs" / run.name) for run in runs}
    rows = []
    for cell in cells:
        figures = found[cell.run]
        rows.append(
            {
                "table": cell.table,
                "title": cell.title + (f" ({figures['teacher']})" if figures and figures["teacher"] else ""),
                "run": cell.run,
                "score": cell.score,
                "paper": cell.paper.get(plan.paper),
                "place": cell.place,
                "figures": figures and figures["scores"].get(cell.score),
                "minutes": figures and figures["minutes"],
                "steps": figures and figures["steps"],
                "own_task": (figures and cell.score == "score" and figures["own_task"]) or None,
                "failed": failed.get(cell.run),
            }
        )
    judged = next((figures for figures in found.values() if figures), None)
    return {
        "data": data, "scale": scale, "modality": modality or store.prepared.get("modality"), "seed": seed,
        "paper_data": plan.paper, "image_size": list(store.image_size), "recipe": plan.recipe[scale],
        "overrides": {name: dict(values) for name, values in overrides.items()},
        "preparation": store.prepared["settings"]["preparation"],
        "store_fingerprint": store.prepared.get("fingerprint"), "counts": store.prepared.get("counts"),
        "split": store.prepared.get("split"), "allow_leak": bool(store.prepared.get("allow_leak")),
        "cells": rows,
        "floors": judged["floors"] if judged else {},
        "strata": judged["counts"] if judged else {},
        "unfinished": [run.name for run in runs if found[run.name] is None],
        "failed": dict(failed),
    }  # fmt: skip

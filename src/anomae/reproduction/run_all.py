"""The stage `reproduce`: the paper's tables and figures on one data set; every cell fitted, scored, evaluated, resumed.

With folds, anomae.reproduction.cross_validate does the same on every fold.

OUT/
  store/               the prepared slices, one for all cells
  runs/<run>/          a run a cell or several (cells.py), as `anomae fit`, `score` and `evaluate` leave it
  reproduction.json    every figure; written anew after each run
  reproduction.md      the tables
  reproduction.html    tables and figures
"""

import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from anomae.cohorts.patient_names import doubt_of, unit_of
from anomae.detectors.method import SCALES, Scale
from anomae.errors import UserError
from anomae.locks import locked
from anomae.progress import say
from anomae.recipes.preparation import reproduction_preparation
from anomae.reports.report import score_title
from anomae.reproduction.cells import METHOD_RUN, TABLES, Cell, chosen_cells, chosen_runs
from anomae.reproduction.chosen import CHOSEN, cells_of_detectors, runs_of_detectors
from anomae.reproduction.cross_validate import cross_validate
from anomae.reproduction.data_sets import REPRODUCTIONS, Reproduction
from anomae.reproduction.estimate import estimated_seconds, said
from anomae.reproduction.figures_of_runs import figures_of, pictures_of, roc_curves_of
from anomae.reproduction.page import write_reproduction
from anomae.reproduction.planned_run import (
    Overrides,
    chosen_by_labels,
    done_or_reason,
    is_finished,
    refuse_several_devices,
    wanted_of,
)
from anomae.reproduction.seed_summary import seed_summaries
from anomae.slices.store import SliceStore
from anomae.stages.demo import installed_pictures
from anomae.stages.prepare import prepare
from anomae.suggestions import nearest_sentence


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
    detectors: Sequence[str] = (),
    seeds: Sequence[int] = (),
    folds: int | None = None,
    resamples: int = 2000,
    estimate: bool = True,
) -> dict[str, Any]:
    """Prepare once, then fit, score and evaluate every run; returns the content of reproduction.json.

    With `folds`, the patients are tested in turns, in so many folds (cross_validate.py), and its content is returned.

    data: a name in data_sets.REPRODUCTIONS, whose files lie at `source` (None: those of the demo, or made-up
    heads for phantom).  only: names of tables and figures (anomae.reproduction.cells.TABLES); all where none is
    named.  scale: size and length of the networks.  preparation: of the slices, "plain" as the paper has them or
    "brain" (see PrepareSettings).  overrides: detector -> settings of all its runs, on top of the scale's.  detectors:
    these, or variants of them (chosen.py), as a table of their own in place of the paper's; seeds: each of them is
    fitted with each, and their standardised scores are averaged.  resamples: of patients, for the intervals.
    estimate: measure a few steps of each detector first, and say how long all will take.

    Same slices, same normals and one seed for all; checkpoints are chosen without labels.  A run that fails is shown
    as failed with its reason and tried again next time; what is finished is kept, and what was stopped goes on.
    Raises UserError for unknown names, several devices, and where the data set cannot be prepared or another process is
    writing `out`.
    """
    plan, folder = _checked(data, only, scale, preparation), Path(out)
    if detectors and only:
        raise UserError("Give either tables of the paper (only) or detectors, not both.")
    chosen = runs_of_detectors(detectors, seeds)
    cells = cells_of_detectors(chosen) if chosen else chosen_cells(tuple(only))
    runs = [run for own in chosen.values() for run in own] if chosen else chosen_runs(cells)
    for name in set(overrides or {}) - {run.detector for run in runs}:
        raise UserError(f"Settings are given for {name!r}, but no run of it is chosen.")
    settings = reproduction_preparation(plan.cohort, preparation)
    if preparation == "plain" or scale == "tiny":
        settings = settings.with_size(plan.image_size[scale])
    source = source or _usual_source(data)
    if folds is not None and splits is not None:
        raise UserError("Folds are drawn by the seed; leave the released lists (splits) out, or the folds.")
    with locked(folder):
        if folds is not None:
            return cross_validate(
                data,
                plan,
                source,
                folder,
                chosen or {run.name: [run] for run in runs},
                folds=folds,
                scale=scale,
                modality=modality,
                seed=seed,
                settings=settings,
                overrides=overrides or {},
                resamples=resamples,
                estimate=estimate,
            )
        store = prepare(
            plan.cohort,
            source,
            folder / "store",
            modality=modality,
            splits=splits,
            allow_leak=allow_leak,
            seed=seed,
            settings=settings,
            options=plan.options,
        )
        wanted = {run.name: wanted_of(run, scale, plan.recipe[scale], store, overrides or {}, seed) for run in runs}
        refuse_several_devices(runs, wanted)
        by_labels = chosen_by_labels(runs, wanted)
        left = [run for run in runs if not is_finished(folder / "runs" / run.name)]
        if estimate and left:
            trainings = {run.name: wanted[run.name].settings for run in left}
            say(said(estimated_seconds(left, trainings, store)))
        failed: dict[str, str] = {}
        for index, run in enumerate(runs, start=1):
            if run in left:
                say(f"[{index}/{len(runs)}] {run.name}")
            reason = done_or_reason(run, folder / "runs", store, plan.recipe[scale], wanted[run.name], seed, resamples)
            if reason:
                failed[run.name] = reason
                say(f"{run.name} failed: {reason}")
            content = _content(data, plan, scale, modality, seed, cells, runs, failed, folder, store, overrides or {})
            content["chosen_by_labels"] = by_labels
            if seeds:
                content["seeds"] = seed_summaries(chosen, folder / "runs", store, failed, resamples, seed)
            pictures = pictures_of(folder / "runs" / METHOD_RUN, store.folder)
            write_reproduction(folder, content, roc_curves_of(cells, folder / "runs"), pictures)
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


def _content(
    data: str,
    plan: Reproduction,
    scale: Scale,
    modality: str | None,
    seed: int,
    cells: Any,
    runs: Any,
    failed: Mapping[str, str],
    folder: Path,
    store: SliceStore,
    overrides: Overrides,
) -> dict[str, Any]:
    """What reproduction.json is to say."""
    found = {run.name: None if run.name in failed else figures_of(folder / "runs" / run.name) for run in runs}
    rows = []
    for cell, score in _with_further_scores(cells, found):
        figures, further = found[cell.run], f": {score_title(score)}" if score != cell.score else ""
        rows.append(
            {
                "table": cell.table,
                "title": cell.title + further + (f" ({figures['teacher']})" if figures and figures["teacher"] else ""),
                "run": cell.run,
                "score": score,
                "paper": cell.paper.get(plan.paper),
                "position": cell.position,
                "figures": figures and figures["scores"].get(score),
                "minutes": figures and figures["minutes"],
                "steps": figures and figures["steps"],
                "pretext": (figures and score == "score" and figures["pretext"]) or None,
                "failed": failed.get(cell.run),
            }
        )
    evaluated = next((figures for figures in found.values() if figures), None)
    return {
        "data": data,
        "scale": scale,
        "modality": modality or store.prepared.get("modality"),
        "seed": seed,
        "paper_data": plan.paper,
        "image_size": list(store.image_size),
        "recipe": plan.recipe[scale],
        "overrides": {name: dict(values) for name, values in overrides.items()},
        "preparation": store.prepared["settings"]["preparation"],
        "store_fingerprint": store.prepared.get("fingerprint"),
        "counts": store.prepared.get("counts"),
        "split": store.prepared.get("split"),
        "allow_leak": bool(store.prepared.get("allow_leak")),
        "unit": unit_of(store.prepared),
        "doubt": doubt_of(store.prepared),
        "cells": rows,
        "trivial_baselines": evaluated["trivial_baselines"] if evaluated else {},
        "strata": evaluated["counts"] if evaluated else {},
        "unfinished": [run.name for run in runs if found[run.name] is None],
        "failed": dict(failed),
    }


def _with_further_scores(cells: Sequence[Cell], found: Mapping[str, Any]) -> Iterator[tuple[Cell, str]]:
    """Each cell and its score; in the table of chosen detectors every score that a finished run has."""
    for cell in cells:
        figures = found[cell.run]
        yield from (
            (cell, name) for name in ([*figures["scores"]] if figures and cell.table == CHOSEN else [cell.score])
        )

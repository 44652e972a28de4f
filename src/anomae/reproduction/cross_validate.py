"""The stage `reproduce` with folds: every run on every fold, its test scores pooled over all patients and evaluated.

OUT/
  store/, folds/fold1/store/ ...   as anomae.reproduction.folds leaves them
  folds/fold1/runs/<run>/          a run on a fold, as `anomae fit`, `score` and `evaluate` leave it
  cross_validation.json            every figure; written anew after each run
  cross_validation.md, .html       the tables

Scores of a fold are brought to one scale by the fold's own healthy validation slices: their mean is subtracted and
their standard deviation divided by, which uses no label of a tested slice.  Trivial baselines are pooled as they
are: their values are on one scale in all folds (shares, not counts, of a fold's own training slices).
"""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from anomae.cohorts.patient_names import doubt_of, unit_of
from anomae.detectors.method import Scale
from anomae.errors import UserError
from anomae.files import read_json
from anomae.progress import say
from anomae.reproduction.cells import METHOD_RUN, PlannedRun
from anomae.reproduction.cross_validation_page import write_cross_validation
from anomae.reproduction.data_sets import Reproduction
from anomae.reproduction.estimate import estimated_seconds, said
from anomae.reproduction.figures_of_runs import figures_of
from anomae.reproduction.folds import prepare_folds
from anomae.reproduction.planned_run import (
    Overrides,
    Wanted,
    chosen_by_labels,
    done_or_reason,
    is_finished,
    refuse_several_devices,
    wanted_of,
)
from anomae.reproduction.pooled_scores import Rows, Scores, pooled_evaluation, pooled_scores
from anomae.reproduction.seed_summary import seed_summary
from anomae.slices.settings import PrepareSettings
from anomae.slices.store import SliceStore
from anomae.statistics.pooled import PooledEvaluation, spread


def cross_validate(
    data: str,
    plan: Reproduction,
    source: Path | str,
    out: Path,
    chosen: Mapping[str, Sequence[PlannedRun]],
    *,
    folds: int,
    scale: Scale,
    modality: str | None,
    seed: int,
    settings: PrepareSettings,
    overrides: Overrides,
    resamples: int,
    estimate: bool,
    workers: int | None = None,
) -> dict[str, Any]:
    """Fit, score and evaluate every run on every fold and pool; returns the content of cross_validation.json.

    chosen: name -> runs that differ by seed alone, in the order in which they are worked off: of a run every fold
    before the next run, so that its pooled figures are there as early as can be.  settings: of the preparation.  The
    other arguments are those of `anomae.reproduction.run_all.reproduce`.

    A run that is finished on a fold is left as it is; one that fails there is shown with its reason and tried again
    next time, and has no pooled figures.  Raises UserError where there are fewer patients than two a fold, the data
    cannot be prepared, or the slices of all patients are of one class.
    """
    stores = prepare_folds(
        plan.cohort,
        source,
        out,
        folds=folds,
        seed=seed,
        modality=modality,
        settings=settings,
        options=plan.options,
        workers=workers,
    )
    recipe, runs = plan.recipe[scale], [run for own in chosen.values() for run in own]
    wanted = {run.name: wanted_of(run, scale, recipe, stores[0], overrides, seed) for run in runs}
    refuse_several_devices(runs, wanted)
    evaluation, rows = pooled_evaluation(stores, resamples, seed)
    paths = {run.name: [store.folder.parent / "runs" / run.name for store in stores] for run in runs}
    if estimate:
        _tell_estimate(runs, paths, wanted, stores[0])
    facts = {
        "data": data,
        "scale": scale,
        "modality": modality or stores[0].prepared.get("modality"),
        "seed": seed,
        "image_size": list(stores[0].image_size),
        "recipe": recipe,
        "preparation": stores[0].prepared["settings"]["preparation"],
        "chosen_by_labels": chosen_by_labels(runs, wanted),
        "folds": folds,
        "unit": unit_of(stores[0].prepared),
        "doubt": doubt_of(stores[0].prepared),
        "resamples": resamples,
        "overrides": {name: dict(values) for name, values in overrides.items()},
        "store_fingerprint": read_json(out / "store" / "prepare.json").get("fingerprint"),
        "split": [
            {**store.prepared["fold"], "fingerprint": store.prepared["fingerprint"], "counts": store.prepared["counts"]}
            for store in stores
        ],
        "counts": evaluation.counts(),
        "trivial_baselines": evaluation.baselines(),
        "best_trivial_baseline": evaluation.best_baselines(),
    }
    results = _Results(evaluation, rows, chosen, paths, stores)
    content = facts | results.content()
    for index, run in enumerate(runs, start=1):
        for store in stores:
            number, folder = store.prepared["fold"]["number"], store.folder.parent / "runs"
            if not is_finished(folder / run.name):
                say(f"[{index}/{len(runs)}] {run.name}, fold {number} of {folds}")
            reason = done_or_reason(run, folder, store, recipe, wanted[run.name], seed, resamples)
            if reason:
                results.failed.setdefault(run.name, {})[str(number)] = reason
                say(f"{run.name} failed on fold {number}: {reason}")
        results.pool(run.name)
        content = facts | results.content()
        write_cross_validation(out, content)
    for store in stores if not results.failed else []:
        shutil.rmtree(store.folder.parent / "runs" / METHOD_RUN / "cache", ignore_errors=True)
    return content


def _tell_estimate(
    runs: Sequence[PlannedRun], paths: Mapping[str, Sequence[Path]], wanted: Mapping[str, Wanted], store: SliceStore
) -> None:
    left = {run.name: sum(not is_finished(path) for path in paths[run.name]) for run in runs}
    some = [run for run in runs if left[run.name]]
    if some:
        seconds = estimated_seconds(some, {run.name: wanted[run.name].settings for run in some}, store)
        say(said({name: time * left[name] for name, time in seconds.items()}))


@dataclass
class _Results:
    """What is known of the runs so far.

    chosen: name -> runs that differ by seed alone.  folders: run -> its folders, a fold each.  stores: of the folds.
    failed: run -> number of the fold -> reason.
    """

    evaluation: PooledEvaluation
    rows: Rows
    chosen: Mapping[str, Sequence[PlannedRun]]
    folders: Mapping[str, Sequence[Path]]
    stores: Sequence[SliceStore]
    failed: dict[str, dict[str, str]] = field(default_factory=dict)
    columns: dict[str, Scores] = field(default_factory=dict)
    figures: dict[str, dict[str, Any]] = field(default_factory=dict)

    def pool(self, name: str) -> None:
        """Pool and evaluate a run that is finished on every fold."""
        if name in self.failed or not all(is_finished(path) for path in self.folders[name]):
            return
        try:
            self.columns[name] = pooled_scores(self.folders[name], self.stores, self.rows)
        except UserError as error:
            self.failed[name] = {"pooled": str(error)}
            return
        self.figures[name] = self.evaluation.figures(self.columns[name])

    def content(self) -> dict[str, Any]:
        """The runs, the spread over seeds, and what is missing."""
        seeds = {
            name: seed_summary(self.evaluation, {run.name: self.columns[run.name] for run in own}, self.figures)
            for name, own in self.chosen.items()
            if len(own) > 1 and all(run.name in self.figures for run in own)
        }
        runs = {run.name: self._entry(run) for own in self.chosen.values() for run in own}
        missing = [name for name in runs if name not in self.figures]
        return {"runs": runs, "seeds": seeds, "unfinished": missing, "failed": self.failed}

    def _entry(self, run: PlannedRun) -> dict[str, Any]:
        """What is known of one run: per fold where it is finished, pooled where it is finished on all."""
        failed = self.failed.get(run.name, {})
        own = [
            None if str(number) in failed else figures_of(path)
            for number, path in enumerate(self.folders[run.name], start=1)
        ]
        known = [figures for figures in own if figures]
        scores = {}
        for name, pooled in self.figures.get(run.name, {}).items():
            of_folds = {
                stratum: spread([_value(figures, name, stratum) for figures in own])
                for stratum in ("all", "mid")
                if stratum in pooled
            }
            scores[name] = {"pooled": pooled, "folds": of_folds}
        return {
            "title": run.title or run.name,
            "detector": run.detector,
            "profile": run.profile,
            "settings": dict(run.overrides),
            "seed": run.seed,
            "scores": scores,
            "minutes": sum(figures["minutes"] for figures in known) if known else None,
            "finished": len(known),
            "teacher": known[0]["teacher"] if known else "",
            "failed": failed,
        }


def _value(figures: Mapping[str, Any] | None, score: str, stratum: str) -> float | None:
    """AUROC of a score on one fold; None where that is of one class, or has no such stratum."""
    if figures is None:
        return None
    found = figures["scores"].get(score, {}).get(stratum)
    return None if found is None else float(found["value"])

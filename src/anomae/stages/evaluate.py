"""The stage `evaluate`: what scores are worth, as report.json and report.html, beside trivial baselines."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from anomae.cohorts.patient_names import doubt_of, unit_of
from anomae.errors import UserError
from anomae.inference.decision import check_limits
from anomae.progress import progress
from anomae.reports.assemble import Evaluated, SplitColumns, write_evaluation
from anomae.reports.finding_evaluation import evaluate_findings
from anomae.reports.finding_threshold import finding_rule
from anomae.reports.map_evaluation import evaluate_maps
from anomae.reports.near_duplicates import duplicates_across
from anomae.reports.picture_strips import picture_strips, preparation_strips, sample_strips
from anomae.reports.pretext import pretext_section, pretext_sentence
from anomae.reports.provenance import cost_sentence, preparation_sentence, preparation_table, skipped_sentence
from anomae.runs.acquisition import acquired_apart
from anomae.runs.calibration import CALIBRATION_SPLIT, doubts_of_precision, run_calibration
from anomae.runs.findings import ScoredRun, file_hashes, open_findings
from anomae.runs.pretext import read_pretext
from anomae.runs.run import Run
from anomae.runs.scored_store import file_kinds, relative_positions_of, slices_at, trivial_baselines_on
from anomae.slices.labelled_whole import labelled_whole
from anomae.slices.store import SliceStore
from anomae.stages.evaluate_scores import evaluate_scores
from anomae.statistics.intervals import PatientBootstrap
from anomae.statistics.neighbours import ALONE, NEIGHBOURS
from anomae.statistics.operating_point import PATIENT_BOUND, SLICE_BOUND

__all__ = ["evaluate", "evaluate_scores"]

OF_THESE = "The healthy slices that were scored are those that thresholds are taken from."
OWN_CALIBRATION = f"No operating point: none can be judged here. {OF_THESE}"
SMOOTHED = "Slices are judged by their scores smoothed over the neighbouring slices of their scan (1/4, 1/2, 1/4)."


def evaluate(
    run: Path | str,
    *,
    store: Path | str | None = None,
    bounds: tuple[float, float] = (SLICE_BOUND, PATIENT_BOUND),
    smoothed: bool = False,
    resamples: int = 2000,
    seed: int = 0,
) -> dict[str, Any]:
    """Evaluate the findings of `run` on its store; writes RUN/report and returns the content of report.json.

    store: where the store is now, if it was moved.  bounds: asked of the operating point, on the false-positive rate
    per slice and per patient.  smoothed: the score that is judged is the one smoothed over neighbouring slices, which
    `anomae score --smoothed` flags by; `score_alone` is then each slice's own.  resamples: of patients, for every
    interval.
    Raises UserError where there are no findings yet, no slice has a neighbour to be smoothed over, or where
    they are of other slices than the store's, or of an older version.
    """
    check_limits(bounds, None)
    opened_run = Run(Path(run))
    found = open_findings(opened_run, store)
    opened, split, choice = found.store, found.split, str(found.facts.get("checkpoint_choice", ""))
    labelled = np.flatnonzero(opened.index.label[found.rows] >= 0)
    named = _over_neighbours(found.scores) if smoothed else found.scores
    scores = {name: column[labelled] for name, column in named.items()}
    rows = found.rows[labelled]
    relative, depth = relative_positions_of(opened)
    slices = replace(slices_at(opened, rows, relative), source=file_kinds(opened, rows))
    bootstrap = PatientBootstrap(slices.patient, resamples, seed)
    pretext = pretext_section(read_pretext(opened_run, opened))
    calibration, why_none, levels = run_calibration(opened_run, opened, slices.patient, smoothed=smoothed)
    if calibration is not None:
        calibration = replace(calibration, doubts=[*calibration.doubts, *doubts_of_precision(opened_run)])
    own_calibration = split == CALIBRATION_SPLIT
    if own_calibration:
        calibration, why_none = None, OWN_CALIBRATION
    steps = len(rows) * (3 if opened.has_lesions and found.maps is not None else 1)
    with progress("evaluate", steps, "slices") as bar:
        trivial_baselines = (
            trivial_baselines_on(opened, rows, slices, split, relative, depth, bar) if slices.both_classes else {}
        )
        pixel = evaluate_maps(opened, rows, found.maps, labelled, levels, bootstrap, bar, found.map_name)
    ordered, rule = np.isfinite(relative[rows]), finding_rule(opened_run, bounds[0])
    regions = evaluate_findings(opened, rows, found.maps, labelled, ordered, rule, levels, bootstrap)
    journal = [line for line in opened_run.steps() if _is_step(line)]
    strips = sample_strips(opened_run.folder / "samples" / "pseudo_abnormal.npz")
    if len(rows):
        above = None if rule[0] is None else rule[0].value
        arrays = (found.maps, found.reconstructions, found.map_name, above)
        strips = picture_strips(opened, rows, labelled, scores["score"], *arrays) + strips
        strips += preparation_strips(opened, rows, relative[rows])
    warnings = []
    missed = len(opened.rows(split)) - len(found.rows)
    if missed:
        warnings.append(f"{missed} slices of the {split} split have no score and are left out of every figure.")
    if len(rows) < len(found.rows):
        warnings.append(f"{len(found.rows) - len(rows)} scored slices have no known label and are left out.")
    warnings += [f"{said}." for said in labelled_whole(opened.index, opened.prepared.get("pairing", {}), rows)]
    if own_calibration and pixel is not None:
        warnings.append(f"{OF_THESE} What is said of healthy tissue and of false findings is too favourable.")
    evaluated = Evaluated(
        slices=slices,
        scores=scores,
        trivial_baselines=trivial_baselines,
        bootstrap=bootstrap,
        calibration=calibration,
        why_no_calibration=why_none,
        bounds=bounds,
        splits=_splits(opened),
        unit=unit_of(opened.prepared),
        labels_seen=choice or "Not known.",
        provenance=_provenance(opened_run, found, journal),
        notes=[sentence for sentence in (choice, pretext_sentence(pretext), SMOOTHED if smoothed else "") if sentence],
        warnings=warnings,
        acquisition=acquired_apart(opened.folder, opened.index, rows),
        near_duplicates=duplicates_across(opened, rows, scans=depth > 1),
        pixel=pixel,
        findings=regions,
        pretext=pretext,
        journal=journal,
        strips=strips,
    )
    return write_evaluation(opened_run.folder / "report", evaluated)


def _over_neighbours(scores: Mapping[str, npt.NDArray[np.float64]]) -> dict[str, npt.NDArray[np.float64]]:
    """The smoothed score as the one that is judged, and what was it as `score_alone`."""
    if NEIGHBOURS not in scores:
        raise UserError("No scored slice has a neighbour, so there is nothing to smooth over; leave --smoothed out.")
    others = {name: column for name, column in scores.items() if name not in ("score", NEIGHBOURS)}
    return {"score": scores[NEIGHBOURS], ALONE: scores["score"], **others}


def _splits(store: SliceStore) -> SplitColumns:
    index, prepared = store.index, store.prepared
    return SplitColumns(
        split=index.split,
        label=index.label,
        empty=index.empty,
        case=index.case,
        patient=index.patient,
        made=prepared.get("split"),
        allow_leak=bool(prepared.get("allow_leak")),
        ill=prepared.get("share_of_normals_from_patients_with_lesions"),
        doubt=doubt_of(prepared),
    )


def _provenance(run: Run, found: ScoredRun, journal: list[dict[str, Any]]) -> dict[str, Any]:
    facts, prepared = found.facts, found.store.prepared
    of_run = {name: facts.get(name) for name in ("detector", "recipe", "profile", "store_fingerprint")}
    return {
        **of_run,
        "detector": facts.get("detector", found.findings.get("detector")),
        "title": f"{run.folder.resolve().name} on {found.store.folder.resolve().name} ({found.split} split)",
        "split": found.split,
        "checkpoint_choice": facts.get("checkpoint_choice", ""),
        "preparation": preparation_sentence(prepared),
        "skipped": skipped_sentence(prepared.get("skipped") or []),
        "cost": cost_sentence(found.findings, journal),
        "findings": found.findings,
        "hashes": file_hashes(run, found.store),
        "tables": {
            "Run": {**of_run, "seed": facts.get("seed")},
            "Settings of the fit": facts.get("settings") or {},
            "Preparation of the slices": preparation_table(prepared),
            "Versions of the fit": facts.get("versions") or {},
        },
    }


def _is_step(line: Mapping[str, Any]) -> bool:
    return "stage" in line and isinstance(line.get("step"), int) and isinstance(line.get("loss"), int | float)

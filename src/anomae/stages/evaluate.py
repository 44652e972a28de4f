"""The stage `evaluate`: what scores are worth, as report.json and report.html, beside trivial baselines."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from anomae.files import read_json_lines
from anomae.progress import progress
from anomae.reports.assessment import assess
from anomae.reports.audit import audit, duplicates_warning
from anomae.reports.report_plots import report_drawings
from anomae.reports.picture_strips import picture_strips, preparation_strips, sample_strips
from anomae.reports.provenance import (
    cost_sentence,
    count_scored,
    count_splits,
    in_several_splits,
    leak_warning,
    preparation_sentence,
    skipped_sentence,
    split_sentences,
)
from anomae.reports.report import write_report
from anomae.runs.calibration import run_calibration
from anomae.runs.findings import file_hashes, open_findings, report_versions
from anomae.runs.map_figures import evaluate_maps
from anomae.runs.own_task import own_task
from anomae.runs.pretext import pretext_figures
from anomae.runs.run import Run
from anomae.runs.scored_store import file_kinds, relative_positions_of, slices_at, trivial_baselines_on
from anomae.stages.duplicates import duplicates_across
from anomae.stages.evaluate_scores import evaluate_scores
from anomae.statistics.achieved import PATIENT_BOUND, SLICE_BOUND, operating_point
from anomae.statistics.intervals import PatientBootstrap

__all__ = ["evaluate", "evaluate_scores"]


def evaluate(
    run: Path | str,
    *,
    store: Path | None = None,
    bounds: tuple[float, float] = (SLICE_BOUND, PATIENT_BOUND),
    resamples: int = 2000,
    seed: int = 0,
) -> dict[str, Any]:
    """Judge the findings of `run` on its store; writes RUN/report and returns the content of report.json.

    store: where the store is now, if it was moved.  bounds: asked of the operating point, on false alarms per slice and
    per patient.  resamples: of patients, for every interval.
    Raises UserError where there are no findings yet, or where they are of other slices than the store's.
    """
    opened_run = Run(Path(run))
    found = open_findings(opened_run, store)
    facts, opened, split, rows = found.facts, found.store, found.split, found.rows
    labelled = np.flatnonzero(opened.index.label[rows] >= 0)
    scores = {name: column[labelled] for name, column in found.scores.items()}
    judged = rows[labelled]
    relative, depth = relative_positions_of(opened)
    slices = replace(slices_at(opened, judged, relative), source=file_kinds(opened, judged))
    calibration, why_none, levels = run_calibration(opened_run, opened, slices.patient)
    steps = len(judged) * (3 if opened.has_lesions and found.maps is not None else 1)
    with progress("evaluate", steps, "slices") as bar:
        trivial_baselines = (
            trivial_baselines_on(opened, judged, slices, split, relative, depth, bar) if slices.both_classes else {}
        )
        content = assess(slices, scores, trivial_baselines, resamples=resamples, seed=seed)
        pixel = evaluate_maps(opened, judged, found.maps, labelled, levels, resamples, seed, bar)
    bootstrap = PatientBootstrap(slices.patient, resamples, seed)
    content["operating_point"] = operating_point(slices, scores["score"], calibration, why_none, bootstrap, bounds)
    journal = [line for line in read_json_lines(opened_run.folder / "journal.jsonl") if _is_step(line)]
    strips = sample_strips(opened_run.folder / "samples" / "pseudo_abnormal.npz")
    if len(judged):
        arrays = (found.maps, found.reconstructions)
        strips = picture_strips(opened, judged, labelled, scores["score"], *arrays) + strips
        strips += preparation_strips(opened, judged, relative[judged])

    index, prepared = opened.index, opened.prepared
    leaking, near_duplicates = (
        in_several_splits(index.split, index.patient),
        duplicates_across(opened, judged, scans=depth > 1),
    )
    counts: dict[str, Any] = count_splits(index.split, index.label, index.empty, index.case, index.patient)
    choice = facts.get("checkpoint_choice", "")
    learned, learned_words = own_task(opened_run, opened, resamples, seed)
    pretext, pretext_words = pretext_figures(opened_run, opened, _trained_families(facts), resamples, seed)
    content["notes"][:0] = [said for said in (choice, learned_words, pretext_words) if said]
    warnings = [leak_warning(leaking, len(np.unique(index.patient)), bool(prepared.get("allow_leak")))]
    missed = len(opened.rows(split)) - len(rows)
    if missed:
        warnings.append(f"{missed} slices of the {split} split have no score and are left out of every figure.")
    if len(labelled) < len(rows):
        warnings.append(f"{len(rows) - len(labelled)} scored slices have no known label and are left out.")
    warnings.append(duplicates_warning(near_duplicates))
    content |= {
        "pixel": pixel,
        "own_task": learned and learned.to_json(),
        "pretext": pretext,
        "counts": {**counts, "scored": count_scored(slices)},
        "warnings": [warning for warning in warnings if warning],
        "audit": audit(
            slices,
            content,
            leaking=leaking,
            duplicates=near_duplicates,
            labels_seen=choice or "Not known.",
            not_audited=[],
            ill_by_split=prepared.get("share_of_normals_from_patients_with_lesions"),
        ),
        "provenance": {
            "title": f"{opened_run.folder.resolve().name} on {opened.folder.resolve().name} ({split} split)",
            "unit": "patient",
            "resamples": resamples,
            "seed": seed,
            "split": split,
            "detector": facts.get("detector", found.findings.get("detector")),
            "recipe": facts.get("recipe"),
            "profile": facts.get("profile"),
            "store_fingerprint": facts.get("store_fingerprint"),
            "allow_leak": bool(prepared.get("allow_leak")),
            "patients_in_several_splits": leaking,
            "checkpoint_choice": choice,
            "split_sentences": split_sentences(counts, leaking, prepared.get("split")),
            "preparation": preparation_sentence(prepared),
            "skipped": skipped_sentence(prepared.get("skipped") or []),
            "cost": cost_sentence(found.findings, journal),
            "findings": found.findings,
            "hashes": file_hashes(opened_run, opened),
            "tables": {
                "Run": {
                    name: facts.get(name) for name in ("detector", "recipe", "profile", "seed", "store_fingerprint")
                },
                "Settings of the fit": facts.get("settings") or {},
                "Preparation of the slices": _preparation(prepared),
                "Versions of the fit": facts.get("versions") or {},
                "Versions of this report": report_versions(),
            },
            "anomae": report_versions()["anomae"],
        },
    }
    drawings = report_drawings(slices, scores, trivial_baselines, content, journal, resamples, seed)
    return write_report(opened_run.folder / "report", content, drawings, strips)


def _preparation(prepared: Mapping[str, Any]) -> dict[str, Any]:
    kept = {
        name: prepared[name] for name in ("cohort", "modality", "seed", "fingerprint") if prepared.get(name) is not None
    }
    settings = prepared.get("settings")
    return {**kept, **(settings if isinstance(settings, dict) else {})}


def _trained_families(facts: Mapping[str, Any]) -> list[str]:
    """The families of pseudo-lesions that a run learned from, where it says so; "nodule" of candidates."""
    lesions = (facts.get("settings") or {}).get("lesions") or {}
    return ["nodule"] if lesions.get("kind") == "centre" else list(lesions.get("families") or ())


def _is_step(line: Mapping[str, Any]) -> bool:
    return "stage" in line and isinstance(line.get("step"), int) and isinstance(line.get("loss"), int | float)

"""The stage `evaluate`: what scores are worth, as report.json and report.html, trivial rivals beside every figure."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import anomae
from anomae.errors import UserError
from anomae.evaluation.assessment import assess
from anomae.evaluation.drawings import report_drawings
from anomae.evaluation.floors import known_floors
from anomae.evaluation.positions import relative_positions, seen_extents
from anomae.evaluation.provenance import (
    cost_sentence,
    count_parts,
    count_scored,
    labelled_elsewhere,
    leak_warning,
    on_two_sides,
    skipped_sentence,
    split_sentences,
)  # fmt: skip
from anomae.evaluation.report import write_report
from anomae.evaluation.score_table import join, read_table
from anomae.evaluation.scored import ScoredSlices
from anomae.files import read_json, read_json_lines
from anomae.progress import progress
from anomae.runs.run import Run
from anomae.stages.judged_store import (
    finding_array,
    floors_on,
    judge_pixels,
    picture_strips,
    relative_positions_of,
    sample_strips,
    scored_rows,
    slices_at,
)  # fmt: skip

Columns = Mapping[str, npt.NDArray[np.float64]]


def evaluate(
    run: Path | str, *, store: Path | None = None, resamples: int = 2000, seed: int = 0, shown: bool = True
) -> dict[str, Any]:
    """Judge the findings of `run` on its store; writes RUN/report and returns the content of report.json.

    store: where the store is now, if it was moved.  resamples: of patients, for every interval.
    Raises UserError where there are no findings yet, or where they are of other slices than the store's.
    """
    place = Run(Path(run))
    facts = place.facts()
    folder = place.findings
    if not (folder / "findings.json").exists() or not (folder / "scores.csv").exists():
        raise UserError(f"{run} has no finished findings; run `anomae score {run}` first.")
    opened, findings = place.open_store(store), read_json(folder / "findings.json")
    part = str(findings.get("part", "test"))
    table = read_table(folder / "scores.csv", ("row", "case", "patient", "slice", "label", "score"))
    rows = scored_rows(table, opened, part)
    scores = table.scores()
    maps = finding_array(folder, "maps.npy", opened, len(rows))
    reconstructions = finding_array(folder, "reconstructions.npy", opened, len(rows))

    labelled = np.flatnonzero(opened.index.label[rows] >= 0)
    scores = {name: column[labelled] for name, column in scores.items()}
    judged = rows[labelled]
    relative, depth = relative_positions_of(opened)
    slices = slices_at(opened, judged, relative)
    steps = len(judged) * (3 if opened.has_lesions and maps is not None else 1)
    with progress("evaluate", steps, "slices", shown=shown) as bar:
        floors = floors_on(opened, judged, part, relative, depth, bar) if slices.both_classes else {}
        content = assess(slices, scores, floors, resamples=resamples, seed=seed)
        pixel = judge_pixels(opened, judged, maps, labelled, resamples, seed, bar)
    journal = [line for line in read_json_lines(place.folder / "journal.jsonl") if _is_step(line)]
    strips = sample_strips(place.folder / "samples" / "pseudo_abnormal.npz")
    if len(judged):
        strips = picture_strips(opened, judged, labelled, scores["score"], maps, reconstructions) + strips

    index, prepared = opened.index, opened.prepared
    leaking = on_two_sides(index.part, index.patient)
    counts: dict[str, Any] = count_parts(index.part, index.label, index.empty, index.case, index.patient)
    if facts.get("checkpoint_choice"):
        content["notes"].insert(0, facts["checkpoint_choice"])
    warnings = [leak_warning(leaking, len(np.unique(index.patient)), bool(prepared.get("allow_leak")))]
    missed = len(opened.rows(part)) - len(rows)
    if missed:
        warnings.append(f"{missed} slices of the {part} part have no score and are left out of every figure.")
    if len(labelled) < len(rows):
        warnings.append(f"{len(rows) - len(labelled)} scored slices have no known label and are left out.")
    content |= {
        "pixel": pixel,
        "counts": {**counts, "scored": count_scored(slices)},
        "warnings": [warning for warning in warnings if warning],
        "provenance": {
            "title": f"{place.folder.resolve().name} on {opened.folder.resolve().name} ({part} part)",
            "unit": "patient",
            "resamples": resamples,
            "seed": seed,
            "part": part,
            "detector": facts.get("detector", findings.get("detector")),
            "recipe": facts.get("recipe"),
            "profile": facts.get("profile"),
            "store_fingerprint": facts.get("store_fingerprint"),
            "allow_leak": bool(prepared.get("allow_leak")),
            "patients_on_two_sides": leaking,
            "checkpoint_choice": facts.get("checkpoint_choice", ""),
            "split_sentences": split_sentences(counts, leaking, prepared.get("split")),
            "skipped": skipped_sentence(prepared.get("skipped") or []),
            "cost": cost_sentence(findings, journal),
            "findings": findings,
            "tables": {
                "Run": {
                    name: facts.get(name) for name in ("detector", "recipe", "profile", "seed", "store_fingerprint")
                },
                "Settings of the fit": facts.get("settings") or {},
                "Settings of the preparation": _preparation(prepared),
                "Versions": facts.get("versions") or {},
            },
            "anomae": anomae.__version__,
        },
    }
    write_report(
        place.folder / "report",
        content,
        report_drawings(slices, scores, floors, content, journal, resamples, seed),
        strips,
    )
    return _as_written(place.folder / "report")


def evaluate_scores(
    scores: Path, labels: Path, out: Path, *, resamples: int = 2000, seed: int = 0, shown: bool = True
) -> dict[str, Any]:
    """Judge anyone's scores; writes OUT/report.json and report.html and returns the content of the former.

    scores: CSV with the columns case and score (and any score_<name>), where known also patient and slice.
    labels: CSV with the columns case and label (0, 1), where known also patient, slice, site and part; lines whose part
    is train or validation need no score: they tell what position is usual, and whether patients stand on two sides.
    What cannot be checked for want of a column is said in the report.
    """
    del shown  # nothing here takes long enough to be watched
    found, truth = read_table(scores, ("case", "score")), read_table(labels, ("case", "label"))
    ours, theirs = join(found, truth)
    part = truth.text("part", "test")
    label, values = truth.labels(), found.scores()
    by_slice = "slice" in found.columns and "slice" in truth.columns
    number = truth.whole_numbers("slice") if by_slice else np.full(truth.rows, -1, dtype=np.int64)
    case = truth.text("case")
    patient, unit = _patients(found, truth, ours, theirs)
    relative = relative_positions(case, number, extents := seen_extents(case, number))
    kept = (label[theirs] >= 0) & (part[theirs] == "test")
    rows = theirs[kept]
    columns = {name: column[ours[kept]] for name, column in values.items()}
    slices = ScoredSlices(
        case[rows], patient[rows], number[rows], label[rows], relative[rows], np.zeros(len(rows), dtype=np.bool_),
        np.full(len(rows), np.nan), truth.text("site")[rows],
    )  # fmt: skip
    depth = int(np.median([last - first + 1 for first, last in extents.values()])) if extents else 0
    elsewhere = labelled_elsewhere(part, label, "test")
    learned = (relative[elsewhere], label[elsewhere]) if len(elsewhere) else None
    usual = relative[(part == "train") & (label == 0)]
    floors = known_floors(slices, usual, depth, learned) if slices.both_classes else {}
    content = assess(slices, columns, floors, resamples=resamples, seed=seed)
    unscored = int(np.count_nonzero((part == "test") & (label >= 0))) - len(rows)
    leaking = on_two_sides(part, patient)
    counts: dict[str, Any] = count_parts(part, label, np.zeros(truth.rows, dtype=np.bool_), case, patient)
    warnings = [leak_warning(leaking, len(np.unique(patient)), allowed=False, unit=unit)]
    if unscored:
        warnings.append(f"{unscored} labelled test slices have no score and are left out of every figure.")
    if found.rows > len(rows):
        warnings.append(f"{found.rows - len(rows)} scored slices have no label of the test part and are left out.")
    content["notes"] += _not_audited(by_slice, unit, "part" in truth.columns, "position_centre" in floors)
    content |= {
        "pixel": None,
        "counts": {**counts, "scored": count_scored(slices)},
        "warnings": [warning for warning in warnings if warning],
        "provenance": {
            "title": f"{scores.name} against {labels.name}",
            "unit": unit,
            "resamples": resamples,
            "seed": seed,
            "part": "test",
            "patients_on_two_sides": leaking,
            "checkpoint_choice": "Not known: only scores were given.",
            "split_sentences": split_sentences(counts, leaking, None, unit) if "part" in truth.columns else
            ["Not known: the labels have no column part."],
            "skipped": "",
            "cost": "",
            "tables": {},
            "anomae": anomae.__version__,
        },
    }  # fmt: skip
    write_report(out, content, report_drawings(slices, columns, floors, content, [], resamples, seed), [])
    return _as_written(out)


def _patients(found: Any, truth: Any, ours: Any, theirs: Any) -> tuple[npt.NDArray[np.str_], str]:
    """Patient of each line of the labels (n,), and what that unit is: "patient", or "case" where none is named."""
    if "patient" in truth.columns:
        patient = truth.text("patient")
        if "patient" in found.columns and (found.text("patient")[ours] != patient[theirs]).any():
            raise UserError(f"{found.path} and {truth.path} name different patients for the same slice.")
        return patient, "patient"
    if "patient" in found.columns:
        # Lines without a score keep their case as the unit: nothing better is known of them.
        patient = truth.text("case").astype(object)
        patient[theirs] = found.text("patient")[ours]
        return patient.astype(np.str_), "patient"
    return truth.text("case"), "case"


def _not_audited(by_slice: bool, unit: str, parts: bool, position: bool) -> list[str]:
    notes = ["Not audited: trivial rivals from the images (brightness, tissue area), since only scores were given."]
    if not by_slice:
        notes.append("Not audited: slice position, since the tables have no column slice.")
    elif not position:
        notes.append("Not audited: slice position, since not every case has several slices.")
    if unit == "case":
        notes.append("Not audited: patients, since none is named: intervals resample cases, and are too narrow where "
                     "one patient has several.")  # fmt: skip
    if not parts:
        notes.append("Not audited: the split, since the labels have no column part.")
    return notes


def _preparation(prepared: Mapping[str, Any]) -> dict[str, Any]:
    kept = {
        name: prepared[name] for name in ("cohort", "modality", "seed", "fingerprint") if prepared.get(name) is not None
    }
    settings = prepared.get("settings")
    return {**kept, **(settings if isinstance(settings, dict) else {})}


def _is_step(line: Mapping[str, Any]) -> bool:
    return "stage" in line and isinstance(line.get("step"), int) and isinstance(line.get("loss"), int | float)


def _as_written(folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = read_json(folder / "report.json")
    return content

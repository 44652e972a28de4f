"""The stage `evaluate` on anyone's scores: two tables, and nothing of ours."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from anomae.reports.assemble import Evaluated, SplitColumns, write_evaluation
from anomae.runs.findings import sha256
from anomae.runs.score_table import Table, read_table
from anomae.runs.table_join import join
from anomae.runs.table_patients import patients_of
from anomae.statistics.intervals import PatientBootstrap
from anomae.statistics.operating_point import PATIENT_BOUND, SLICE_BOUND, Calibration
from anomae.statistics.positions import relative_positions, seen_extents
from anomae.statistics.scored import ScoredSlices
from anomae.statistics.trivial_baselines import known_baselines, labelled_elsewhere

ONLY_SCORES = "Not known: only scores were given."
NO_CALIBRATION = (
    "No operating point: it needs scores of normal slices that the labels give the split validation, of patients who "
    "are in no other split."
)


def evaluate_scores(
    scores: Path,
    labels: Path,
    out: Path,
    *,
    bounds: tuple[float, float] = (SLICE_BOUND, PATIENT_BOUND),
    resamples: int = 2000,
    seed: int = 0,
) -> dict[str, Any]:
    """Evaluate anyone's scores; writes OUT/report.json and report.html and returns the content of the former.

    scores: CSV with the columns case and score (and any score_<name>), where known also patient and slice; or what
    `anomae score RUN PATH...` wrote of new scans, whose file stands for the case.
    labels: CSV with the columns case and label (0, 1), where known also patient, slice or file_slice (see
    anomae.runs.table_join), split, and site, scanner,
    source (any text), depth (slices of the scan), empty (0, 1), body_fraction (0..1), file_size.  Lines whose split is
    train or validation need no score: they show which positions are usual, and whether patients are in several splits;
    scored normal slices of the split validation give the operating point.  bounds: as in `evaluate`.
    What cannot be checked for want of a column is said in the report.
    """
    found, truth = read_table(scores, ("case", "score")), read_table(labels, ("case", "label"))
    ours, theirs, joined = join(found, truth)
    split, label, values, case = truth.splits(), truth.labels(), found.scores(), truth.text("case")
    patient, unit, doubts = patients_of(found, truth, ours, theirs)
    single = len(np.unique(case)) == truth.rows and unit == "patient"  # each case one slice: its patient is the scan
    number, by_slice = _numbers(found, truth, ours, theirs, single)
    by_patient = single and by_slice and "depth" not in truth.columns
    scan = patient if by_patient else case
    extents = _extents(truth, scan, number)
    relative = relative_positions(scan, number, extents)
    kept = (label[theirs] >= 0) & (split[theirs] == "test")
    rows = theirs[kept]
    columns = {name: column[ours[kept]] for name, column in values.items()}
    empty = truth.numbers("empty") > 0 if "empty" in truth.columns else np.zeros(truth.rows, dtype=np.bool_)
    body = truth.numbers("body_fraction") if "body_fraction" in truth.columns else np.full(truth.rows, np.nan)
    slices = ScoredSlices(
        case[rows],
        patient[rows],
        number[rows],
        label[rows],
        relative[rows],
        empty[rows],
        body[rows],
        truth.text("site")[rows],
        truth.text("scanner")[rows],
        truth.text("source")[rows],
    )
    depth = int(np.median([last - first + 1 for first, last in extents.values()])) if extents else 0
    elsewhere = labelled_elsewhere(split, label, "test")
    learned = (relative[elsewhere], label[elsewhere]) if len(elsewhere) else None
    usual = relative[(split == "train") & (label == 0)]
    trivial_baselines = known_baselines(slices, usual, depth, learned) if slices.both_classes else {}
    if trivial_baselines and "file_size" in truth.columns:
        trivial_baselines["file_size"] = truth.numbers("file_size")[rows]
    held_out = (label[theirs] == 0) & (split[theirs] == "validation")
    calibration = _calibration(values["score"][ours[held_out]], theirs[held_out], patient, split, label, unit)
    warnings = [*joined, *doubts]
    if commas := [name for name in values if found.has_decimal_commas(name)]:
        warnings.append(f"The commas of {', '.join(commas)} in {scores.name} were read as decimal ones.")
    unscored = int(np.count_nonzero((split == "test") & (label >= 0))) - len(rows)
    if unscored:
        warnings.append(f"{unscored} labelled test slices have no score and are left out of every figure.")
    if by_patient and "position_centre" in trivial_baselines:
        warnings.append("Each case is one slice: its position is that among the slices of its patient.")
    unused = found.rows - len(rows) - int(np.count_nonzero(held_out))
    if unused:
        warnings.append(f"{unused} scored slices have no label of the test split and are left out.")
    splits = SplitColumns(
        split=split, label=label, empty=empty, case=case, patient=patient, known="split" in truth.columns
    )
    provenance = {
        "title": f"{scores.name} against {labels.name}",
        "split": "test",
        "checkpoint_choice": ONLY_SCORES,
        "skipped": "",
        "cost": "",
        "hashes": {scores.name: sha256(scores), labels.name: sha256(labels)},
    }
    evaluated = Evaluated(
        slices=slices,
        scores=columns,
        trivial_baselines=trivial_baselines,
        bootstrap=PatientBootstrap(slices.patient, resamples, seed),
        calibration=calibration,
        why_no_calibration=NO_CALIBRATION,
        bounds=bounds,
        splits=splits,
        labels_seen=ONLY_SCORES,
        provenance=provenance,
        unit=unit,
        not_audited=_not_audited(truth, by_slice, unit, "position_centre" in trivial_baselines),
        warnings=warnings,
    )
    return write_evaluation(out, evaluated)


def _numbers(found: Table, truth: Table, ours: Any, theirs: Any, single: bool) -> tuple[npt.NDArray[np.int64], bool]:
    """Slice number of each line of the labels (n,), -1 where unknown, and whether there are any.

    Where each case is one slice it is enough that one table has them.
    """
    number = np.full(truth.rows, -1, dtype=np.int64)
    if "slice" in truth.columns and ("slice" in found.columns or single):
        return truth.whole_numbers("slice"), True
    if "slice" in found.columns and (single or "file_slice" in truth.columns):  # then joined by file_slice
        number[theirs] = found.whole_numbers("slice")[ours]
        return number, True
    return number, False


def _extents(truth: Table, case: npt.NDArray[np.str_], number: npt.NDArray[np.int64]) -> dict[str, tuple[int, int]]:
    """First and last slice of each case (or patient): from the column depth, else from the lines that are there."""
    if "depth" not in truth.columns:
        return seen_extents(case, number)
    return {str(name): (0, int(depth) - 1) for name, depth in zip(case, truth.whole_numbers("depth"), strict=True)}


def _calibration(
    scores: npt.NDArray[np.float64],
    rows: npt.NDArray[np.int64],
    patient: npt.NDArray[np.str_],
    split: npt.NDArray[np.str_],
    label: npt.NDArray[np.int8],
    unit: str,
) -> Calibration | None:
    """From scored normal validation lines `rows` (m,) of the labels; patient, split and label of all its lines."""
    if not len(rows):
        return None
    own = np.unique(patient[rows])
    doubts = ["It is not known whether the scores were tuned on the validation split; if so, the bounds may not hold."]
    shared = len(np.intersect1d(own, patient[split != "validation"]))
    if shared:
        doubts.append(f"{shared} calibration {unit}s are in another split too: the bounds may not hold.")
    ill = len(np.intersect1d(own, patient[label == 1]))
    if ill:
        doubts.append(f"{ill} of the calibration {unit}s have a lesion in other slices: they are not healthy people.")
    return Calibration(
        scores, patient[rows], f"{len(rows)} normal slices of {len(own)} {unit}s of the validation split", doubts
    )


def _not_audited(truth: Table, by_slice: bool, unit: str, position: bool) -> list[str]:
    images = "brightness" if "body_fraction" in truth.columns else "brightness, tissue area"
    notes = [
        f"Not audited: trivial baselines from the images ({images}) and near-duplicates across the split, since only "
        "scores were given."
    ]
    if not by_slice:
        notes.append("Not audited: slice position, since the tables have no column slice.")
    elif not position:
        notes.append("Not audited: slice position, since not every case has several slices.")
    if unit == "case":
        notes.append(
            "Not audited: patients, since none is named: intervals resample cases, and are too narrow where "
            "one patient has several."
        )
    if "split" not in truth.columns:
        notes.append("Not audited: the split, since the labels have no column split.")
    return notes

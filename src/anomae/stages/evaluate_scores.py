"""The stage `evaluate` on anyone's scores: two tables, and nothing of ours."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from anomae.errors import UserError
from anomae.reports.assemble import Evaluated, SplitColumns, write_evaluation
from anomae.runs.findings import sha256
from anomae.runs.labelled_slices import Scored, labelled_slices
from anomae.runs.score_table import read_table
from anomae.runs.table_join import join
from anomae.statistics.acquisition import columns_apart
from anomae.statistics.intervals import PatientBootstrap
from anomae.statistics.operating_point import PATIENT_BOUND, SLICE_BOUND, Calibration

ONLY_SCORES = "Not known: only scores were given."
NO_CALIBRATION = (
    "No operating point: it needs scores of normal slices of the split validation, of patients who are in no other "
    "split."
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
    anomae.runs.table_join), split, and site, scanner, source (any text), depth (slices of the scan), empty (0, 1),
    body_fraction (0..1), file_size.  A split that the scores alone name counts too; without any, all is test.  Lines
    whose split is train or validation need no score: they show which positions are usual, and whether patients are in
    several splits; scored normal slices of the split validation give the operating point.  bounds: as in `evaluate`.
    What cannot be checked for want of a column is said in the report.  Raises UserError where a table is not readable,
    the two do not fit one another, or no labelled test slice has a score.
    """
    found, truth = read_table(scores, ("case", "score")), read_table(labels, ("case", "label"))
    ours, theirs, notes = joined = join(found, truth)
    known = labelled_slices(truth, [Scored(found, joined)])
    split, label, values, unit = known.split, known.label, found.scores(), known.patients.unit
    patient = known.patients.names
    kept = (label[theirs] >= 0) & (split[theirs] == "test")
    rows, tested = theirs[kept], int(np.count_nonzero((split == "test") & (label >= 0)))
    if tested and not len(rows):
        raise UserError(
            f"{scores} scores none of the {tested} labelled test slices of {labels}: score those, or mend the column "
            f"split of {labels.name}."
        )
    columns = {name: column[ours[kept]] for name, column in values.items()}
    slices = known.at(rows)
    trivial_baselines = known.trivial_baselines(rows, slices)
    held_out = (label[theirs] == 0) & (split[theirs] == "validation")
    calibration = _calibration(values["score"][ours[held_out]], theirs[held_out], patient, split, label, unit)
    warnings = [*notes, *known.doubts]
    if commas := [name for name in values if found.has_decimal_commas(name)]:
        warnings.append(f"The commas of {', '.join(commas)} in {scores.name} were read as decimal ones.")
    if unscored := tested - len(rows):
        warnings.append(f"{unscored} labelled test slices have no score and are left out of every figure.")
    if known.by_patient and "position_centre" in trivial_baselines:
        warnings.append("Each case is one slice: its position is that among the slices of its patient.")
    unused = found.rows - len(rows) - int(np.count_nonzero(held_out))
    if unused:
        warnings.append(f"{unused} scored slices have no label of the test split and are left out.")
    splits = SplitColumns(
        split=split,
        label=label,
        empty=known.empty,
        case=known.case,
        patient=patient,
        known=known.split_known,
        doubt=known.split_doubt,
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
        not_audited=known.not_audited("position_centre" in trivial_baselines),
        warnings=warnings,
        acquisition=columns_apart(slices),
    )
    return write_evaluation(out, evaluated)


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

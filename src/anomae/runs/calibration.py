"""Scores of held-out healthy patients, from which the operating point is taken: the store's normal validation slices.

RUN/calibration/
  scores.csv          as findings/scores.csv
  tissue_levels.npy   (m, 4096) uint32: healthy tissue by level of the map, a line a slice; absent without maps
  map_tops.npy        (m,) float64: the highest value of each map; absent without maps
  findings.json       written last; made_of: the model, slices and device that the scores are of
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from anomae.arrays import map_array
from anomae.cohorts.patient_names import unit_of
from anomae.errors import UserError
from anomae.files import read_json
from anomae.runs.run import Run
from anomae.runs.score_table import read_table
from anomae.runs.scored_store import over_neighbours, scored_rows
from anomae.slices.store import SliceStore
from anomae.statistics.operating_point import Calibration

LevelCounts = tuple[npt.NDArray[np.uint32], npt.NDArray[np.str_]]
CALIBRATION_SPLIT = "validation"
NO_NEIGHBOURS = "No operating point by smoothed scores: no slice of the calibration has a neighbour."
NO_SPLIT = "No operating point: the store has no normal slice in its validation split to take a threshold from."
ALL_MARKED = (
    "No operating point: every normal slice of the validation split shows a region that is not to be judged (ignore)."
)


def run_calibration(
    run: Run, store: SliceStore, tested: npt.NDArray[np.str_], *, smoothed: bool = False
) -> tuple[Calibration | None, str, LevelCounts | None]:
    """The calibration of a run; a sentence where there is none; and the levels of its maps, where they were kept.

    tested: patients of the slices that are evaluated.  smoothed: over neighbouring slices; none where no slice
    has one.  Raises UserError where the files are of another store.
    """
    if not (run.calibration / "findings.json").exists():
        none = f"No operating point: the validation split was not scored; run `anomae score {run.folder.name}` again."
        if not len(store.learnable(CALIBRATION_SPLIT)):
            none = ALL_MARKED if len(store.rows(CALIBRATION_SPLIT, label=0)) else NO_SPLIT
        return None, none, None
    table = read_table(run.calibration / "scores.csv", ("row", "case", "patient", "slice", "label", "score"))
    rows = scored_rows(table, store, CALIBRATION_SPLIT)
    patient = store.index.patient[rows]
    if not len(rows) or (store.index.label[rows] != 0).any():
        raise UserError(f"{table.path} must hold normal slices only; run `anomae score` again.")
    levels = None
    path = run.calibration / "tissue_levels.npy"
    if path.exists():
        mapped = map_array(path)
        if len(mapped) != len(rows):
            raise UserError(f"{path} has {len(mapped)} lines where {len(rows)} slices were scored; score again.")
        levels = (np.asarray(mapped, dtype=np.uint32), patient)
    units = f"{len(np.unique(patient))} {unit_of(store.prepared)}s"
    source = f"{len(rows)} normal slices of {units} of the validation split"
    doubts = calibration_doubts(store, patient, tested, run.facts())
    scores = table.numbers("score")
    if smoothed:
        found = over_neighbours(store, rows, scores)
        if found is None:
            return None, NO_NEIGHBOURS, levels
        scores = found
    return Calibration(scores, patient, source, doubts), "", levels


def doubts_of_precision(run: Run) -> list[str]:
    """A sentence where findings and calibration of a run were computed otherwise, as far as both are known."""
    of_tested = read_json(run.findings / "findings.json").get("computed_on")
    of_calibration = (read_json(run.calibration / "findings.json").get("made_of") or {}).get("computed_on")
    if None in (of_tested, of_calibration) or of_tested == of_calibration:
        return []
    return [
        f"The threshold was computed on {of_calibration}, and the tested slices on {of_tested}: scores differ a bit."
    ]


def calibration_doubts(
    store: SliceStore, patient: npt.NDArray[np.str_], tested: npt.NDArray[np.str_], facts: dict[str, Any]
) -> list[str]:
    """Why the bounds may not hold, a sentence each."""
    index, doubts = store.index, []
    choice = ((facts.get("settings") or {}).get("classifier") or {}).get("choice")
    if choice == "validation_auroc":
        doubts.append("The checkpoint was chosen on labelled images of the same patients: the bounds may not hold.")
    elsewhere = np.unique(np.concatenate([tested, index.patient[index.split == "train"]]))
    shared = len(np.intersect1d(np.unique(patient), elsewhere))
    if shared:
        doubts.append(f"{shared} calibration patients are in another split too: the bounds may not hold.")
    ill = np.unique(index.patient[index.label == 1])
    mixed = int(np.count_nonzero(np.isin(np.unique(patient), ill)))
    if mixed:
        doubts.append(
            f"{mixed} of the calibration patients have a lesion in other slices: they are not healthy people."
        )
    return doubts

"""The pretext task: how well a detector tells pseudo-lesions in healthy slices that it has not seen, by family.

No label of an abnormal image is needed for this, so it may choose among settings: the figure of a family that was left
out of training says what a detector makes of lesions that it was not made for.  A detector that cannot do its pretext
task has not learned it, and what it reaches on abnormal images is not owed to it.

RUN/calibration/
  pretext.csv    row (of the store), unaltered, then a column a family: the scores of each slice, unaltered and with a
                 pseudo-lesion of that family; empty where that lesion is not to be seen, and the slice has no part in
                 the figure of the family
  pretext.json   trained_families: those that the detector learned from; written last
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from anomae.detectors.protocol import with_neighbours
from anomae.errors import UserError
from anomae.files import read_json, write_csv, write_json
from anomae.runs.run import Run
from anomae.runs.score_table import read_table
from anomae.slices.store import SliceStore
from anomae.statistics.jackknife import Jackknife, jackknifed_aurocs, mean_jackknife

SCORES, FACTS = "pretext.csv", "pretext.json"
OLDER = "own_task.csv"  # what earlier versions wrote for the paper's method
MOST_SLICES, MOST_ALTERED = 512, 1152  # slices, and slices times families


@dataclass(frozen=True, slots=True)
class PretextFigures:
    """AUROC of each family against the unaltered slices, how many slices, and which families were trained on."""

    slices: int
    families: dict[str, Jackknife]
    trained: tuple[str, ...]

    def mean(self, trained: bool | None = None) -> Jackknife | None:
        """Mean AUROC over all families, or those (not) trained on; None where there are none."""
        chosen = [
            auroc for name, auroc in self.families.items() if trained is None or (name in self.trained) == trained
        ]
        return mean_jackknife(chosen) if chosen else None


def write_pretext(detector: Any, store: SliceStore, rows: npt.NDArray[np.int64], run: Run) -> None:
    """Ask a fitted `detector` about some of these rows with content; nothing where it has no pretext task.

    rows: healthy slices; neighbours, where the detector looks at them, are slices of these rows.  Taken are at most 512
    slices, and at most 1,152 altered ones over all families, evenly spaced.
    """
    for name in (SCORES, FACTS, OLDER):
        (run.calibration / name).unlink(missing_ok=True)
    filled = rows[~store.index.empty[rows]]
    if not hasattr(detector, "pretext") or not len(filled):
        return

    def given(chosen: npt.NDArray[np.int64]) -> tuple[Any, ...]:
        slices = store.select(chosen, among=rows)
        return with_neighbours(detector, slices.read(slice(None)), lambda: slices.neighbours(slice(None)))

    families = len(detector.pretext(*given(filled[:1])))  # a score does not depend on its batch: nothing is lost
    count = min(MOST_SLICES, MOST_ALTERED // max(families, 1))
    chosen = filled[np.unique(np.linspace(0, len(filled) - 1, count).astype(np.int64))]
    asked = given(chosen)
    altered = detector.pretext(*asked)
    columns = [detector.inspect(*asked).scores, *altered.values()]
    lines = (
        [int(row), *("" if np.isnan(score) else repr(float(score)) for score in scores)]
        for row, *scores in zip(chosen, *columns, strict=True)
    )
    write_csv(run.calibration / SCORES, ("row", "unaltered", *altered), lines)
    write_json(run.calibration / FACTS, {"trained_families": list(detector.trained_families)})


def read_pretext(run: Run, store: SliceStore) -> PretextFigures | None:
    """The figures of a run; None where its detector has no pretext task.

    Raises UserError where the scores are of another store, or were
    written by an older version.
    """
    path = run.calibration / SCORES
    if (run.calibration / OLDER).exists() or (path.exists() and not (run.calibration / FACTS).exists()):
        raise UserError(f"{run.folder} was scored by an older version; run `anomae score {run.folder}` again.")
    if not path.exists():
        return None
    table = read_table(path, ("row", "unaltered"))
    rows, index = table.whole_numbers("row"), store.index
    known = len(rows) > 0 and rows.min() >= 0 and rows.max() < len(index)
    if not (known and (index.label[rows] == 0).all()):
        raise UserError(f"{path} names other slices than the normal ones of {store.folder}; run `anomae score` again.")
    patient, labels = np.tile(index.patient[rows], 2), np.repeat([0, 1], len(rows))
    unaltered = table.numbers("unaltered")
    altered = {name: table.numbers(name, gaps=True) for name in table.columns if name not in ("row", "unaltered")}
    columns = {
        name: np.concatenate([np.where(np.isnan(scores), np.nan, unaltered), scores])
        for name, scores in altered.items()
        if not np.isnan(scores).all()
    }
    trained = read_json(run.calibration / FACTS)["trained_families"]
    return PretextFigures(len(rows), jackknifed_aurocs(labels, columns, patient), tuple(trained))

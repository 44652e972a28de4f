"""How well a detector does, on healthy slices it has not seen, what it was trained to do; for detectors that can say.

A classifier that cannot tell altered reconstructions from unaltered ones on held-out normals has not learned its own
task, and what it reaches on abnormal images is not owed to it.  No label of an abnormal image is needed for this.

RUN/calibration/own_task.csv: row (of the store), unaltered, altered: the two outputs for each slice.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from anomae.errors import UserError
from anomae.files import write_csv
from anomae.runs.run import Run
from anomae.runs.score_table import read_table
from anomae.slices.store import SliceStore
from anomae.statistics.intervals import Interval, PatientBootstrap

NAME, SLICES = "own_task.csv", 512


def write_own_task(detector: Any, store: SliceStore, rows: npt.NDArray[np.int64], run: Run) -> None:
    """Ask `detector` about at most 512 of these rows with content, evenly spaced; nothing where it cannot say."""
    judge = getattr(detector, "own_task", None)
    (run.calibration / NAME).unlink(missing_ok=True)
    filled = rows[~store.index.empty[rows]]
    if judge is None or not len(filled):
        return
    chosen = filled[np.unique(np.linspace(0, len(filled) - 1, SLICES).astype(np.int64))]
    unaltered, altered = judge(store.select(chosen).read(slice(None)))
    lines = ([int(row), float(one), float(other)] for row, one, other in zip(chosen, unaltered, altered, strict=True))
    write_csv(run.calibration / NAME, ("row", "unaltered", "altered"), lines)


def own_task(run: Run, store: SliceStore, resamples: int, seed: int) -> tuple[Interval | None, str]:
    """AUROC of altered against unaltered, by patient, and what the report says of it; None, "" where nothing is known.

    Raises UserError where the outputs are of another store.
    """
    path = run.calibration / NAME
    if not path.exists():
        return None, ""
    table = read_table(path, ("row", "unaltered", "altered"))
    outputs = np.concatenate([table.numbers("unaltered"), table.numbers("altered")])
    rows, index = table.whole_numbers("row"), store.index
    known = len(rows) > 0 and rows.min() >= 0 and rows.max() < len(index)
    if not (known and (index.label[rows] == 0).all()):
        raise UserError(f"{path} names other slices than the normal ones of {store.folder}; run `anomae score` again.")
    patient = index.patient[rows]
    labels = np.repeat([0, 1], table.rows)
    bootstrap = PatientBootstrap(np.concatenate([patient, patient]), resamples, seed)
    auroc = bootstrap.aurocs(labels, {"score": outputs})["score"].interval()
    weak = auroc.low is not None and auroc.low <= 0.5
    return auroc, (
        f"Its own task: on {table.rows} healthy slices of the validation split the detector tells what "
        f"was altered from what was not with AUROC {auroc}"
        f"{', not distinguishable from chance: it has not learned what it was trained for' if weak else ''}. "
        f"What it cannot do there, it cannot be expected to do on lesions."
    )

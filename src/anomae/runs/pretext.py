"""How well a detector tells each family of pseudo-lesions from healthy slices that it has not seen.

No label of an abnormal image is needed for this, so it may choose among settings: the figure of a family that was left
out of training says what a detector makes of lesions that it was not made for.

RUN/calibration/pretext.csv: row (of the store), unaltered, then a column a family: the scores of each slice, untouched
and with a pseudo-lesion of that family.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from anomae.detectors.protocol import with_neighbours
from anomae.errors import UserError
from anomae.files import write_csv
from anomae.runs.run import Run
from anomae.runs.score_table import read_table
from anomae.slices.store import SliceStore
from anomae.statistics.intervals import PatientBootstrap

NAME, SLICES = "pretext.csv", 128


def write_pretext(detector: Any, store: SliceStore, rows: npt.NDArray[np.int64], run: Run) -> None:
    """Ask `detector` about at most 128 of these rows with content, evenly spaced; nothing where it cannot say.

    rows: of one split of the store; neighbours, where the detector looks at them, are any slices of that split.
    """
    judge = getattr(detector, "pretext", None)
    (run.calibration / NAME).unlink(missing_ok=True)
    filled = rows[~store.index.empty[rows]]
    if judge is None or not len(filled):
        return
    chosen = filled[np.unique(np.linspace(0, len(filled) - 1, SLICES).astype(np.int64))]
    slices = store.select(chosen, among=store.rows(str(store.index.split[chosen[0]])))
    given = with_neighbours(detector, slices.read(slice(None)), lambda: slices.neighbours(slice(None)))
    altered = judge(*given)
    columns = [detector.inspect(*given).scores, *altered.values()]
    lines = (
        [int(row), *(repr(float(score)) for score in scores)] for row, *scores in zip(chosen, *columns, strict=True)
    )
    write_csv(run.calibration / NAME, ("row", "unaltered", *altered), lines)


def pretext_figures(
    run: Run, store: SliceStore, trained: Sequence[str], resamples: int, seed: int
) -> tuple[dict[str, dict[str, Any]] | None, str]:
    """Family -> AUROC against the untouched slices with its interval by patient, and whether it was trained on.

    And what the report says of it; None, "" where nothing is known.  Raises UserError where the scores are of another
    store.
    """
    path = run.calibration / NAME
    if not path.exists():
        return None, ""
    table = read_table(path, ("row", "unaltered"))
    rows, index = table.whole_numbers("row"), store.index
    known = len(rows) > 0 and rows.min() >= 0 and rows.max() < len(index)
    if not (known and (index.label[rows] == 0).all()):
        raise UserError(f"{path} names other slices than the normal ones of {store.folder}; run `anomae score` again.")
    patient, labels = np.tile(index.patient[rows], 2), np.repeat([0, 1], len(rows))
    untouched = table.numbers("unaltered")
    columns = {
        name: np.concatenate([untouched, table.numbers(name)])
        for name in table.columns
        if name not in ("row", "unaltered")
    }
    judged = PatientBootstrap(patient, resamples, seed).aurocs(labels, columns)
    figures: dict[str, dict[str, Any]] = {
        name: {**judged[name].interval().to_json(), "trained": name in trained} for name in columns
    }
    seen, unseen = ([judged[name].value for name in columns if (name in trained) == wanted] for wanted in (True, False))
    said = f"of the families it was trained on with AUROC {np.mean(seen):.3f} on average" if seen else ""
    others = f"of families left out of training with {np.mean(unseen):.3f}" if unseen else ""
    return figures, (
        f"Pretext task: on {len(rows)} healthy slices of the validation split the detector tells pseudo-lesions "
        f"{', '.join(text for text in (said, others) if text)}. No real lesion took part in this."
    )

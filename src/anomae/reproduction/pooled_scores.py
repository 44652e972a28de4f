"""Runs read back for pooling: test scores on the scale of the run's own healthy validation slices, and baselines."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from anomae.errors import UserError
from anomae.progress import progress
from anomae.runs.calibration import CALIBRATION_SPLIT
from anomae.runs.findings import open_findings
from anomae.runs.run import Run
from anomae.runs.score_table import read_table
from anomae.runs.scored_store import file_kinds, relative_positions_of, scored_rows, slices_at, trivial_baselines_on
from anomae.slices.store import SliceStore
from anomae.statistics.pooled import PooledEvaluation, standardised

Rows = npt.NDArray[np.int64]
Scores = dict[str, npt.NDArray[np.float64]]


def labelled_rows(store: SliceStore) -> Rows:
    """The rows of the store's test split that have a label."""
    rows = store.rows("test")
    return rows[store.index.label[rows] >= 0]


def pooled_evaluation(stores: Sequence[SliceStore], resamples: int, seed: int) -> tuple[PooledEvaluation, Rows]:
    """What evaluates scores on the test slices of all these stores, folds of one or a single one; its rows (n,).

    The order of its slices is that of the rows, whatever store tests them.  Trivial baselines are computed in each
    store, from its own training split, and pooled as they are; of those that not all stores have none is taken.
    Raises UserError where all slices are of one class.
    """
    kept, found = [labelled_rows(store) for store in stores], []
    with progress("trivial baselines", sum(len(rows) for rows in kept), "slices") as bar:
        for store, rows in zip(stores, kept, strict=True):
            relative, depth = relative_positions_of(store)
            slices = replace(slices_at(store, rows, relative), source=file_kinds(store, rows))
            found.append(trivial_baselines_on(store, rows, slices, "test", relative, depth, bar))
    rows = np.concatenate(kept)
    order = np.argsort(rows)
    common = [name for name in found[0] if all(name in trivial_baselines for trivial_baselines in found)]
    pooled = {name: np.concatenate([trivial_baselines[name] for trivial_baselines in found])[order] for name in common}
    slices = slices_at(stores[0], rows[order], relative_positions_of(stores[0])[0])
    return PooledEvaluation(slices, pooled, resamples=resamples, seed=seed), rows[order]


def standardised_scores(run: Path, store: SliceStore) -> tuple[Rows, Scores]:
    """Rows of the labelled test slices (n,), and each score column (n,) standardised by the run's healthy slices.

    store: what the run learned from, wherever that was then.
    Left out is a column of which the healthy validation slices all have the same value, or that they lack.
    Raises UserError where there are no such scores, or `score` itself is one that is left out.
    """
    found, calibration = open_findings(Run(run), store.folder), Run(run).calibration
    if not (calibration / "findings.json").exists():
        raise UserError(f"{run} has no scores of healthy validation slices to take its scale from; score it again.")
    table = read_table(calibration / "scores.csv", ("row", "case", "patient", "slice", "label", "score"))
    scored_rows(table, found.store, CALIBRATION_SPLIT)
    healthy, labelled = table.scores(), found.store.index.label[found.rows] >= 0
    columns = {
        name: standardised(column[labelled], healthy[name]) for name, column in found.scores.items() if name in healthy
    }
    if columns["score"] is None:
        raise UserError(f"All healthy validation slices of {run} score alike, so its scores have no scale.")
    return found.rows[labelled], {name: column for name, column in columns.items() if column is not None}


def pooled_scores(runs: Sequence[Path], stores: Sequence[SliceStore], rows: Rows) -> Scores:
    """The standardised scores of these runs, which tested different slices of one store, at these `rows` (n,) of it.

    stores: what each run learned from.
    A column that not all of them have is left out.  Raises UserError as `standardised_scores` does, and where the runs
    did not score each of the rows once.
    """
    parts = [standardised_scores(run, store) for run, store in zip(runs, stores, strict=True)]
    tested = np.concatenate([own for own, _ in parts])
    order = np.argsort(tested)
    if not np.array_equal(tested[order], rows):
        raise UserError(f"{', '.join(map(str, runs))} did not score each labelled test slice once; score them again.")
    common = [name for name in parts[0][1] if all(name in scores for _, scores in parts)]
    return {name: np.concatenate([scores[name] for _, scores in parts])[order] for name in common}

"""Fits of one detector that differ by seed alone: how far their figures lie apart, and their scores averaged."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from anomae.errors import UserError
from anomae.reproduction.cells import PlannedRun
from anomae.reproduction.planned_run import is_finished
from anomae.reproduction.pooled_scores import Scores, pooled_evaluation, pooled_scores
from anomae.slices.store import SliceStore
from anomae.statistics.pooled import PooledEvaluation, mean_of_scores, spread


def seed_summaries(
    runs: Mapping[str, Sequence[PlannedRun]],
    folder: Path,
    store: SliceStore,
    failed: Mapping[str, str],
    resamples: int,
    seed: int,
) -> dict[str, Any]:
    """Detector -> what `seed_summary` says of its runs in `folder`; of detectors all of whose runs are finished.

    Of one whose scores have no scale there are no figures but the reason, under "failed".
    """
    done = {
        name: own
        for name, own in runs.items()
        if len(own) > 1 and all(is_finished(folder / run.name) and run.name not in failed for run in own)
    }
    if not done:
        return {}
    evaluation, rows = pooled_evaluation([store], resamples, seed)
    found: dict[str, Any] = {}
    for name, own in done.items():
        try:
            columns = {run.name: pooled_scores([folder / run.name], [store], rows) for run in own}
        except UserError as error:
            found[name] = {"runs": [run.name for run in own], "scores": {}, "failed": str(error)}
            continue
        found[name] = seed_summary(
            evaluation, columns, {run: evaluation.figures(scores) for run, scores in columns.items()}
        )
    return found


def seed_summary(
    evaluation: PooledEvaluation, columns: Mapping[str, Scores], figures: Mapping[str, Any]
) -> dict[str, Any]:
    """The runs, and by score: the spread of AUROC over them by stratum, and the figures of their scores' mean.

    columns: run -> score -> (n,), standardised.  figures: run -> what `evaluation` says of them.
    """
    ensemble = evaluation.figures(mean_of_scores(list(columns.values())))
    scores = {
        name: {
            "seeds": {
                stratum: spread([figures[run][name][stratum]["auroc"]["value"] for run in columns]) for stratum in of
            },
            "ensemble": of,
        }
        for name, of in ensemble.items()
    }
    return {"runs": list(columns), "scores": scores, "failed": None}

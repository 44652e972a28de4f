"""The table `chosen` of a reproduction: the detectors that the user names, each fitted with one seed or several."""

from collections.abc import Sequence

from anomae.detectors.registry import refuse_unknown
from anomae.errors import UserError
from anomae.reproduction.cells import Cell, PlannedRun

CHOSEN = "chosen"


def runs_of_detectors(names: Sequence[str], seeds: Sequence[int]) -> dict[str, list[PlannedRun]]:
    """Detector -> its runs: NAME-seed0, NAME-seed1 ... for each of `seeds`, or NAME alone where there are none.

    Raises UserError, naming near misses, where there is no such detector, and where a detector or a seed stands twice.
    """
    for name in names:
        refuse_unknown(name)
    for what, given in (("detector", names), ("seed", seeds)):
        if len(set(given)) < len(given):
            raise UserError(f"A {what} was given twice: {', '.join(map(str, given))}.")
    if seeds and not names:
        raise UserError("Several seeds are for detectors that are named: give --detector NAME too.")
    return {
        name: [PlannedRun(f"{name}-seed{seed}", name, seed=seed) for seed in seeds] or [PlannedRun(name, name)]
        for name in names
    }


def cells_of_detectors(runs: dict[str, list[PlannedRun]]) -> list[Cell]:
    """One cell a run: its own score; the further scores of a run follow where its figures are known."""
    return [
        Cell(CHOSEN, name if run.seed is None else f"{name}, seed {run.seed}", run.name)
        for name, own in runs.items()
        for run in own
    ]

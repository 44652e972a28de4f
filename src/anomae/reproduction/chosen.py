"""The table `chosen` of a reproduction: the detectors that the user names, each fitted with one seed or several.

A detector may be named with settings of its own, "anomae sources=residual,pixels,mirror heads=2": a variant, which has
runs, folders and rows of its own beside the same detector without them.  The setting `profile` is that of the paper's
method ("mae-classifier profile=released").
"""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import replace

from anomae.detectors.registry import refuse_unknown
from anomae.errors import UserError
from anomae.recipes.overrides import parse_assignments
from anomae.reproduction.cells import Cell, PlannedRun

CHOSEN = "chosen"
LONGEST = 100  # characters of a folder's name that tell settings
_UNFIT = re.compile(r"[^A-Za-z0-9._=,-]")


def runs_of_detectors(names: Sequence[str], seeds: Sequence[int]) -> dict[str, list[PlannedRun]]:
    """Detector, as it was named -> its runs: NAME-seed0, NAME-seed1 ... for each of `seeds`, or NAME alone without any.

    names: or variants, "NAME KEY=VALUE ...".
    Raises UserError, naming near misses, where there is no such detector, and where a detector or a seed stands twice.
    """
    planned = [_planned(name) for name in names]
    for what, given in (("detector", [run.title for run in planned]), ("seed", seeds)):
        if len(set(given)) < len(given):
            raise UserError(f"A {what} was given twice: {', '.join(map(str, given))}.")
    if seeds and not names:
        raise UserError("Several seeds are for detectors that are named: give --detector NAME too.")
    return {
        run.title: [
            replace(run, name=f"{run.name}-seed{seed}", title=f"{run.title}-seed{seed}", seed=seed) for seed in seeds
        ]
        or [run]
        for run in planned
    }


def cells_of_detectors(runs: dict[str, list[PlannedRun]]) -> list[Cell]:
    """One cell a run: its own score; the further scores of a run follow where its figures are known."""
    return [
        Cell(CHOSEN, name if run.seed is None else f"{name}, seed {run.seed}", run.name)
        for name, own in runs.items()
        for run in own
    ]


def _planned(text: str) -> PlannedRun:
    """The run of a detector or variant, its settings in the order of their names."""
    name, *assignments = text.split() or [""]
    refuse_unknown(name)
    for assignment in assignments:
        if "=" not in assignment[1:]:
            raise UserError(f"--detector {text!r}: write 'NAME KEY=VALUE KEY=VALUE', without a space within a value.")
    settings = parse_assignments(assignments)
    if len(settings) < len(assignments):
        raise UserError(f"--detector {text!r} gives a setting twice.")
    profile = settings.pop("profile", "paper")
    assignments.sort()
    title = " ".join([name, *assignments])
    return PlannedRun(_folder(name, assignments), name, settings, profile=profile, title=title)


def _folder(name: str, assignments: Sequence[str]) -> str:
    """A folder's name that tells the settings; where it cannot tell all of them a digest sets it apart."""
    told = "+".join(_UNFIT.sub("_", assignment) for assignment in assignments)
    if len(told) > LONGEST or any(_UNFIT.search(assignment) for assignment in assignments):
        digest = hashlib.blake2b(" ".join(assignments).encode(), digest_size=4).hexdigest()
        told = f"{told[:LONGEST]}+{digest}"
    return f"{name}+{told}" if told else name

"""Tables of scores and labels joined slice by slice, also where one names files and the other cases."""

import re
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from anomae.errors import UserError
from anomae.runs.score_table import Table

SLICES = ("slice", "file_slice")  # the columns that number slices; the first that both tables have is compared
_ENDING = re.compile(r"(\.nii\.gz|\.img\.gz|\.[a-z][a-z0-9]{1,4})$", re.IGNORECASE)
_LEVELS: tuple[tuple[str, Callable[[str], str]], ...] = (
    ("", lambda name: name),
    ("without the endings of files", lambda name: _ENDING.sub("", name)),
    (
        "by the last part of the path, without the endings of files",
        lambda name: _ENDING.sub("", name.replace("\\", "/").rstrip("/").rpartition("/")[2]),
    ),
)


class Joined(NamedTuple):
    """Rows of the scores and rows of the labels that mean the same slice, (k,) each, in the order of the scores.

    notes: how they were joined, a sentence each, where cases were not simply written alike.
    """

    ours: npt.NDArray[np.int64]
    theirs: npt.NDArray[np.int64]
    notes: tuple[str, ...]


def join(scores: Table, labels: Table) -> Joined:
    """Join two tables by case and slice where both have the column slice, else by case.

    slice: the axial slice from the feet up, from 0, whatever way the file stores it.  file_slice: the file's own index,
    from 0, along the axis that it stores.  Where one table has no column slice but file_slice, and the other has both
    (as every scores.csv of ours), or file_slice too, they are joined by file_slice, and that is noted.

    Cases count as written; where none match, without the endings of files; where still none match, by the last part of
    their paths: each only if it keeps all cases of both tables apart.  Raises UserError where a table has one slice
    twice, or where nothing matches.
    """
    number = next((name for name in SLICES if name in scores.columns and name in labels.columns), "")
    by_slice = bool(number)
    names = [table.text("case").tolist() for table in (scores, labels)]
    without = next((table for table in (scores, labels) if "slice" not in table.columns), None)
    keys = [
        _slices(table, own, number, None if number else without)
        for table, own in zip((scores, labels), names, strict=True)
    ]
    told = (
        f"The slices of {scores.path.name} and {labels.path.name} were matched by file_slice, the file's own index."
        if number == "file_slice"
        else ""
    )
    blurred = False
    for said, shortened in _LEVELS:
        if any(len({*map(shortened, own)}) < len({*own}) for own in map(set, names)):
            blurred = True
            continue
        ours, theirs = ({(shortened(case), number): row for (case, number), row in key.items()} for key in keys)
        pairs = [(row, theirs[key]) for key, row in ours.items() if key in theirs]
        if pairs:
            rows = np.array(pairs, dtype=np.int64)
            how = f"The cases of {scores.path.name} and {labels.path.name} were matched {said}." if said else ""
            return Joined(rows[:, 0], rows[:, 1], tuple(note for note in (how, told) if note))
    shared = {*map(_LEVELS[-1][1], names[0])} & {*map(_LEVELS[-1][1], names[1])}
    if by_slice and shared and not blurred:
        raise UserError(
            f"No slice of {scores.path} stands in {labels.path}, though {len(shared)} case(s) do: count slices alike, "
            f"from 0{' at the feet' if number == 'slice' else ' as the file stores them'}."
        )
    more = "; without folders and endings, several cases would be one" if blurred else ""
    raise UserError(f"No slice of {scores.path} stands in {labels.path}: case (and slice) must be written alike{more}.")


def _slices(table: Table, names: list[str], column: str, lacking: Table | None) -> dict[tuple[str, int], int]:
    """Row of each (case, slice) of a table; column: that of the slices.  lacking: the table without, if one is."""
    number = table.whole_numbers(column) if column else np.zeros(table.rows, dtype=np.int64)
    seen: dict[tuple[str, int], int] = {}
    for row, key in enumerate(zip(names, number.tolist(), strict=True)):
        if key in seen:
            advice = "" if lacking is None else f", or give {lacking.path} the column slice (both tables need it)"
            raise UserError(
                f"{table.path}: lines {table.lines[seen[key]]} and {table.lines[row]} mean the same "
                f"{'case' if lacking else 'slice'}; keep one{advice}."
            )
        seen[key] = row
    return seen

"""Tables of scores and labels joined slice by slice, also where one names files and the other cases."""

import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from anomae.errors import UserError
from anomae.progress import progress
from anomae.runs.score_table import Table
from anomae.volumes.patient_ids import is_missing, plain_name

WATCHED_ROWS = 200_000  # of both tables; from there on, joining takes long enough to say how far it is
_STEPS = 3  # two tables looked through, and matched
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


_ALIKE = {
    "slice": "count slices alike, from 0 at the feet",
    "file_slice": "count slices alike, from 0 as the file stores them",
}

Rows = npt.NDArray[np.int64]


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
    twice, where nothing matches, or where in most cases the slices of one table are all one above those of the other.
    """
    large = scores.rows + labels.rows >= WATCHED_ROWS
    with progress("join the tables", _STEPS, "steps", speaks=large) as bar:
        return _joined(scores, labels, bar.advance)


def _joined(scores: Table, labels: Table, advance: Callable[[], None]) -> Joined:
    """As `join`; `advance` is called _STEPS times where all is well."""
    number = next((name for name in SLICES if name in scores.columns and name in labels.columns), "")
    by_slice = bool(number)
    names = [table.text("case").tolist() for table in (scores, labels)]
    distinct = [set(own) for own in names]
    without = next((table for table in (scores, labels) if "slice" not in table.columns), None)
    keys = []
    for table, own in zip((scores, labels), names, strict=True):
        keys.append(table.whole_numbers(number) if number else np.zeros(table.rows, dtype=np.int64))
        _refuse_twice(table, own, keys[-1], None if number else without)
        advance()
    told = (
        f"The slices of {scores.path.name} and {labels.path.name} were matched by file_slice, the file's own index."
        if number == "file_slice"
        else ""
    )
    blurred = False
    for said, shortened in _LEVELS:
        if any(len({*map(shortened, own)}) < len(own) for own in distinct):
            blurred = True
            continue
        codes: dict[str, int] = {}
        of_names = [{name: codes.setdefault(shortened(name), len(codes)) for name in own} for own in distinct]
        cases = [
            np.fromiter(map(known.__getitem__, own), np.int64, len(own))
            for known, own in zip(of_names, names, strict=True)
        ]
        ours, theirs = _shared(cases[0], cases[1], keys[0], keys[1])
        if len(ours):
            advance()
            how = f"The cases of {scores.path.name} and {labels.path.name} were matched {said}." if said else ""
            spare = len(ours) < min(scores.rows, labels.rows)  # in both
            odd = _one_off((scores, labels), cases, keys, number) if spare else ""
            return Joined(ours, theirs, tuple(note for note in (how, told, odd) if note))
    shared = {*map(_LEVELS[-1][1], distinct[0])} & {*map(_LEVELS[-1][1], distinct[1])}
    if by_slice and shared and not blurred:
        raise UserError(
            f"No slice of {scores.path} stands in {labels.path}, though {len(shared)} case(s) do: {_ALIKE[number]}."
        )
    more = "; without folders and endings, several cases would be one" if blurred else ""
    raise UserError(f"No slice of {scores.path} stands in {labels.path}: case (and slice) must be written alike{more}.")


def _shared(ours: Rows, theirs: Rows, own_number: Rows, their_number: Rows) -> tuple[Rows, Rows]:
    """Rows of two tables with the same case (a number for each) and slice number, in the order of the first."""
    _, number = np.unique(np.concatenate([own_number, their_number]), return_inverse=True)
    apart = int(number.max(initial=0)) + 1
    own, others = ours * apart + number[: len(ours)], theirs * apart + number[len(ours) :]
    order = np.argsort(others, kind="stable")
    at = np.minimum(np.searchsorted(others, own, sorter=order), max(len(others) - 1, 0))
    rows = np.flatnonzero(others[order[at]] == own) if len(others) else np.empty(0, dtype=np.int64)
    return rows, order[at[rows]]


def _one_off(tables: Sequence[Table], cases: Sequence[Rows], numbers: Sequence[Rows], column: str) -> str:
    """A doubt where the slices of a case are those of the other table, but all one higher or all one lower.

    cases, numbers: of the lines of both tables.  Raises UserError where that is so in most cases that both have: one
    table counts from 1, the other from 0, and each slice would have the label of its neighbour.
    """
    apart = 1 + max(int(case.max(initial=0)) for case in cases)
    ours, theirs = (np.bincount(case, minlength=apart) for case in cases)
    shared = int(np.count_nonzero((ours > 0) & (theirs > 0)))
    for step in (1, -1):
        rows, _ = _shared(cases[0], cases[1], numbers[0] - step, numbers[1])
        moved = np.flatnonzero((np.bincount(cases[0][rows], minlength=apart) == ours) & (ours == theirs) & (ours > 1))
        if not len(moved):
            continue
        first = [number[case == moved[0]] for case, number in zip(cases, numbers, strict=True)]
        said = " and ".join(
            f"{own.min()} to {own.max()} in {table.path if 2 * len(moved) > shared else table.path.name}"
            for own, table in zip(first, tables, strict=True)
        )
        said = f"In {len(moved)} of {shared} cases the same number of slices is counted one off, as from {said}"
        if 2 * len(moved) > shared:
            raise UserError(f"{said}: {_ALIKE[column]}.")
        return f"{said}: they may have the labels of their neighbours."
    return ""


def _refuse_twice(table: Table, names: list[str], number: Rows, lacking: Table | None) -> None:
    """Raise UserError where a table has one (case, slice) twice.  lacking: the table without slices, if one is."""
    _, case = np.unique(np.array(names), return_inverse=True)
    order = np.lexsort((number, case))  # stable: of equal ones, the earlier line first
    again = np.flatnonzero((np.diff(case[order]) == 0) & (np.diff(number[order]) == 0))
    if not len(again):
        return
    first = again[np.argmin(order[again + 1])]
    who = table.text("patient")[order[first : first + 2]].tolist()
    if not any(map(is_missing, who)) and len({*map(plain_name, who)}) > 1:
        raise UserError(
            f"{table.path}: lines {table.lines[order[first]]} and {table.lines[order[first + 1]]} name one case of two "
            "patients; name the cases of each patient apart, as PATIENT/CASE for example."
        )
    advice = "" if lacking is None else f", or give {lacking.path} the column slice (both tables need it)"
    raise UserError(
        f"{table.path}: lines {table.lines[order[first]]} and {table.lines[order[first + 1]]} mean the same "
        f"{'case' if lacking else 'slice'}; keep one{advice}."
    )

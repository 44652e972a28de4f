"""What tables of scores say beside those of labels of the same slices: their split, and labels of their own."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from anomae.errors import UserError
from anomae.runs.score_table import LABELS, SPLITS, Table


class Splits(NamedTuple):
    """Split of each line of the labels (n,), "" where it is not known; whether any table names it; and doubts."""

    names: npt.NDArray[np.str_]
    known: bool
    doubts: list[str]


def splits_of(truth: Table, scored: Sequence[tuple[Table, Any, Any]]) -> Splits:
    """By the column split of the labels `truth`; where they have none, of the tables of scores; test without either.

    scored: tables, and lines of each (k,) that mean the same slices as those lines (k,) of the labels.  A column of
    scores that holds no name of a split is none.
    Raises UserError where two tables name different splits for the same slice, or where scores that are to give the
    split have a name that is not known.
    """
    own = "split" in truth.columns
    named = [
        (found, ours, theirs) for found, ours, theirs in scored if (_meant(found, "split", SPLITS, "") != "").any()
    ]
    if not own and not named:
        others = [found.path.name for found, _, _ in scored if "split" in found.columns]
        doubts = [f"The column split (or part) of {name} names no split, and was not read." for name in others]
        return Splits(truth.splits(), False, doubts)
    split = truth.splits() if own else np.full(truth.rows, "", dtype="<U10")
    for found, ours, theirs in named:
        told = (_meant(found, "split", SPLITS, "") if own else found.splits())[ours]
        before = split[theirs]
        odd = np.flatnonzero((told != "") & (before != "") & (told != before))
        if len(odd):
            first = odd[0]
            raise UserError(
                f"{found.path}, line {found.lines[ours[first]]}: the split is {told[first]}, but {before[first]} for "
                f"the same slice in {truth.path if own else 'another table'} ({len(odd)} line(s) differ); give one, or "
                "leave the column split (or part) out of the scores."
            )
        if not own:
            split[theirs] = told
    doubts = []
    if not own:
        doubts.append(f"The split is that of {named[0][0].path.name}, since {truth.path.name} has none.")
        if left := int(np.count_nonzero((split == "") & (truth.labels() >= 0))):
            doubts.append(f"{left} labelled slices have no score with a split, and are left out of every figure.")
    return Splits(split, True, doubts)


def other_labels(truth: Table, scored: Sequence[tuple[Table, Any, Any]]) -> list[str]:
    """A doubt for each table of scores whose own labels are not those of `truth`; arguments as of `splits_of`."""
    doubts = []
    for found, ours, theirs in scored:
        own, label = _meant(found, "label", LABELS, -1)[ours], truth.labels()[theirs]
        both = (own >= 0) & (label >= 0)
        odd = np.flatnonzero(both & (own != label))
        if len(odd):
            name, first = truth.path.name, odd[0]
            doubts.append(
                f"{len(odd)} of {np.count_nonzero(both)} labels in {found.path.name} are not those of {name} (first: "
                f"line {found.lines[ours[first]]} and line {truth.lines[theirs[first]]}); those of {name} count."
            )
    return doubts


def _meant(table: Table, name: str, words: Mapping[str, Any], otherwise: Any) -> npt.NDArray[Any]:
    """What each field of a column means by `words`, in any case; `otherwise` where it is none of them, or no column."""
    fields = table.columns.get(name, ("",) * table.rows)
    meaning = {field: words.get(field.strip().lower(), otherwise) for field in {*fields}}
    return np.array([meaning[field] for field in fields], dtype=np.array([*words.values(), otherwise]).dtype)

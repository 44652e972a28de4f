"""Whose slices the lines of tables are: patients in one spelling, and cases where a table names none."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from anomae.errors import UserError
from anomae.runs.score_table import Table
from anomae.volumes.patient_ids import is_missing, plain_name


class Patients(NamedTuple):
    """Patient of each line of the labels (n,); that unit: "patient", or "case" where none is named; and doubts.

    unnamed: which lines name none, (n,), so that their case stands for the patient.
    """

    names: npt.NDArray[np.str_]
    unit: str
    doubts: list[str]
    unnamed: npt.NDArray[np.bool_]


def patients_in(table: Table) -> Patients | None:
    """Of each line of a table, by its column patient; None where it has none, or all of it is empty.

    Names that differ in their spelling alone (anomae.volumes.patient_ids.plain_name) are one patient's, as it is first
    spelled; a line whose patient is not named is of its case.  Both are told.
    """
    return _told(table, table.text("patient"), table.text("case")) if "patient" in table.columns else None


def patients_of(truth: Table, scored: Sequence[tuple[Table, Any, Any]]) -> Patients:
    """Of each line of the labels `truth`; where these name none, of the tables of scores.

    scored: tables, and lines of each (k,) that mean the same slices as those lines (k,) of the labels.  What a table of
    new scans names, pseudonyms or the scans themselves, counts where no other table names anybody.
    Raises UserError where two tables name different patients for the same slice.
    """
    own = patients_in(truth)
    if own is not None:
        doubts = [doubt for found, ours, theirs in scored if (doubt := _compared(truth, own, found, ours, theirs))]
        return own._replace(doubts=[*own.doubts, *doubts])
    # Lines without a score keep their case as the unit: nothing better is known of them.
    column, said_by = np.full(truth.rows, "", dtype=object), np.full(truth.rows, None, dtype=object)
    for found, ours, theirs in sorted(scored, key=lambda one: one[0].by_file):
        for name, row in zip(found.text("patient")[ours].tolist(), np.asarray(theirs).tolist(), strict=True):
            if is_missing(name):
                continue
            if said_by[row] is None:
                column[row], said_by[row] = name, found.path
            elif not found.by_file and plain_name(column[row]) != plain_name(name):
                raise UserError(
                    f"{said_by[row]} and {found.path} name different patients for the same slice; name them right in "
                    f"a column patient of {truth.path}."
                )
    told = _told(truth, column.astype(np.str_), truth.text("case"), missing_said=False)
    case = truth.text("case")
    return Patients(case, "case", [], np.ones(len(case), dtype=np.bool_)) if told is None else told


def _compared(truth: Table, own: Patients, found: Table, ours: Any, theirs: Any) -> str:
    """A doubt where a table of new scans joins patients of the labels; UserError where tables contradict each other."""
    scored = patients_in(found)
    if scored is None:
        return ""
    if found.by_file:  # scores of new scans name pseudonyms, or the scans themselves
        pairs = {*zip(scored.names[ours].tolist(), own.names[theirs].tolist(), strict=True)}
        parted = len(pairs) - len({one for one, _ in pairs})
        doubt = (
            f"{found.path.name} counts as one patient what {truth.path.name} calls several: intervals may be narrow."
        )
        return doubt if parted else ""
    named = ~scored.unnamed[ours] & ~own.unnamed[theirs]
    alike = zip(scored.names[ours][named].tolist(), own.names[theirs][named].tolist(), strict=True)
    if any(one != other and plain_name(one) != plain_name(other) for one, other in {*alike}):
        raise UserError(f"{found.path} and {truth.path} name different patients for the same slice.")
    return ""


def _told(
    table: Table, column: npt.NDArray[np.str_], case: npt.NDArray[np.str_], *, missing_said: bool = True
) -> Patients | None:
    names = column.tolist()
    missing = {name for name in {*names} if is_missing(name)}
    known = {*names} - missing
    if not known:
        return None
    first: dict[str, str] = {}
    spelled = {name: first.setdefault(plain_name(name), name) for name in dict.fromkeys(names) if name in known}
    count = sum(name in missing for name in names)
    doubts = []
    if others := len(known) - len(first):
        doubts.append(
            f"{others} name(s) of patients in {table.path.name} differ from another in case, leading zeros, blanks, "
            "hyphens or accents alone; each was taken as the same patient."
        )
    if count and missing_said:
        doubts.append(f"{count} line(s) of {table.path.name} name no patient: each case of theirs counted as one.")
    patient = [spelled.get(name) or of for name, of in zip(names, case.tolist(), strict=True)]
    unnamed = np.array([name in missing for name in names], dtype=np.bool_)
    return Patients(np.array(patient, dtype=np.str_), "patient", doubts, unnamed)

"""Whose slices the lines of tables are: patients in one spelling, and cases where a table names none."""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from anomae.errors import UserError
from anomae.runs.score_table import Table
from anomae.volumes.patient_ids import is_missing, plain_name


class Patients(NamedTuple):
    """Patient of each line of the labels (n,); that unit: "patient", or "case" where none is named; and doubts."""

    names: npt.NDArray[np.str_]
    unit: str
    doubts: list[str]


def patients_in(table: Table) -> Patients | None:
    """Of each line of a table, by its column patient; None where it has none, or all of it is empty.

    Names that differ in their spelling alone (anomae.volumes.patient_ids.plain_name) are one patient's, as it is first
    spelled; a line whose patient is not named is of its case.  Both are told.
    """
    return _told(table, table.text("patient"), table.text("case")) if "patient" in table.columns else None


def patients_of(found: Table, truth: Table, ours: Any, theirs: Any) -> Patients:
    """Of each line of the labels `truth`, whose lines `theirs` (k,) mean the same slices as `ours` of the scores.

    Raises UserError where the two tables name different patients for the same slice.
    """
    own, scored = patients_in(truth), patients_in(found)
    if own is None and scored is None:
        return Patients(truth.text("case"), "case", [])
    if own is None:
        # Lines without a score keep their case as the unit: nothing better is known of them.
        column = np.full(truth.rows, "", dtype=object)
        column[theirs] = found.text("patient")[ours]
        told = _told(truth, column.astype(np.str_), truth.text("case"), missing_said=False)
        return Patients(truth.text("case"), "case", []) if told is None else told
    if scored is None:
        return own
    pairs = {*zip(scored.names[ours].tolist(), own.names[theirs].tolist(), strict=True)}
    if found.by_file:  # scores of new scans name pseudonyms, or the scans themselves
        parted = len(pairs) - len({one for one, _ in pairs})
        doubt = (
            f"{found.path.name} counts as one patient what {truth.path.name} calls several: intervals may be narrow."
        )
        return Patients(own.names, own.unit, [*own.doubts, doubt] if parted else own.doubts)
    named = np.array([not is_missing(name) for name in found.text("patient").tolist()])[ours]
    named &= np.array([not is_missing(name) for name in truth.text("patient").tolist()])[theirs]
    alike = zip(scored.names[ours][named].tolist(), own.names[theirs][named].tolist(), strict=True)
    if any(one != other and plain_name(one) != plain_name(other) for one, other in {*alike}):
        raise UserError(f"{found.path} and {truth.path} name different patients for the same slice.")
    return own


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
    return Patients(np.array(patient, dtype=np.str_), "patient", doubts)

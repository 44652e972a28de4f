"""A table that says of each file, or each patient, what it is: label, split, mask, site; it wins over every guess."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from anomae.cohorts.case import ABNORMAL, HEALTHY, UNKNOWN
from anomae.cohorts.diagnosis_columns import ALIASES, in_our_words
from anomae.cohorts.folder_classes import ABNORMAL_NAMES, HEALTHY_NAMES, SPLIT_NAMES
from anomae.cohorts.named_files import NamedFiles
from anomae.cohorts.other_columns import left_out_columns
from anomae.cohorts.source_folder import existing_file
from anomae.cohorts.table_lines import read_table_lines
from anomae.errors import UserError
from anomae.volumes.patient_ids import is_missing

COLUMNS = ("file", "patient", "label", "split", "mask", "site")
_LABELS = {
    **dict.fromkeys((*HEALTHY_NAMES, "0", "0.0", "false"), HEALTHY),
    **dict.fromkeys((*ABNORMAL_NAMES, "1", "1.0", "true"), ABNORMAL),
    **dict.fromkeys(("unknown", "-1", "-1.0"), UNKNOWN),
}
NO_MASK = "none"
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class TableRow:
    """What the table says of one file; None where it says nothing.  mask: "none" where the file has none."""

    patient: str | None = None
    label: int | None = None
    split: str | None = None
    mask: Path | str | None = None
    site: str | None = None


@dataclass(frozen=True, slots=True)
class CaseTable:
    """files: file below the source -> what is said of it; of a table without a column of files, patients: name -> that.

    notes: what its columns were taken as, a sentence each.
    """

    files: dict[Path, TableRow] = field(default_factory=dict)
    patients: dict[str, TableRow] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @property
    def labelled(self) -> bool:
        """Whether it says of which class something is."""
        return any(row.label is not None for row in (*self.files.values(), *self.patients.values()))


def read_case_table(path: Path, source: Path, healthy: Sequence[str] = ()) -> CaseTable:
    """What the table in `path` says of the files below `source`, or of patients.

    Columns in any order and case, at least `file` or `patient`, with commas, semicolons or tabs between them; also
    those of tables of diagnoses (anomae.cohorts.diagnosis_columns), healthy: which of these are.  Columns that say
    nothing of ours are left out and named (anomae.cohorts.other_columns).  Paths are taken from `source`; a name
    without folder is that of the one file below it that is called so, with its ending or without.  Without a column
    `file` each line is of a patient (anomae.cohorts.patient_rows).  Raises UserError, naming line and cure, for what is
    not known: a value, a column that may be meant as one of ours, a file that is missing or stands in the table twice;
    and, without `file`, for a mask, no patient, or two lines of one that differ.
    """
    existing_file(path, f"a table with the columns {', '.join(COLUMNS)}")
    table = read_table_lines(path)
    columns, numbered = [name.lower() for name in table[0][1]] if table else [], table[1:]
    columns, numbered, notes = in_our_words(columns, numbered, COLUMNS, [name.lower() for name in healthy], path)
    notes += left_out_columns(columns, numbered, COLUMNS, ALIASES, path)
    if {"file", "patient"}.isdisjoint(columns) or any(columns.count(name) > 1 for name in COLUMNS):
        raise UserError(
            f"{path} needs a column named file, or one named patient, and each of {', '.join(COLUMNS)} once at most."
        )
    lines = []
    for number, row in numbered:
        where = f"{path}, line {number}"
        if len(row) != len(columns):
            raise UserError(f"{where}, has {len(row)} values for {len(columns)} columns; complete it.")
        lines.append((where, dict(zip(columns, row, strict=True))))
    if not lines:
        raise UserError(f"{path} has no line below its columns; name at least one file or patient.")
    if "file" in columns:
        return CaseTable(files=_by_file(lines, source), notes=notes)
    return CaseTable(patients=_by_patient(lines), notes=notes)


def _by_file(lines: Sequence[tuple[str, Mapping[str, str]]], source: Path) -> dict[Path, TableRow]:
    found: dict[Path, TableRow] = {}
    files = NamedFiles(source)
    for where, said in lines:
        file = files.scan(said["file"], where)
        if file in found:
            raise UserError(f"{where}, names {said['file']} a second time; keep one line of each file.")
        mask = said.get("mask", "")
        name = (NO_MASK if mask.lower() == NO_MASK else files.path(mask, where)) if mask else None
        found[file] = _row(said, where, name)
    return found


def _by_patient(lines: Sequence[tuple[str, Mapping[str, str]]]) -> dict[str, TableRow]:
    found: dict[str, TableRow] = {}
    for where, said in lines:
        row = _row(said, where)
        if row.patient is None:
            raise UserError(f"{where}, names no patient, and the table has no column file; name one.")
        if said.get("mask"):
            raise UserError(f"{where}, has a mask, and the table has no column file; say of which file it is.")
        if found.setdefault(row.patient, row) != row:
            raise UserError(f"{where}, says of {row.patient} otherwise than a line before; keep one of each patient.")
    return found


def _row(said: Mapping[str, str], where: str, mask: Path | str | None = None) -> TableRow:
    return TableRow(
        None if is_missing(said.get("patient", "")) else said["patient"],
        _value(_LABELS, "label", said.get("label", ""), where),
        _value(SPLIT_NAMES, "split", said.get("split", ""), where),
        mask,
        said.get("site") or None,
    )


def _value(known: Mapping[str, _T], column: str, value: str, where: str) -> _T | None:
    if not value:
        return None
    if value.lower() not in known:
        more = ", or say which diagnoses are healthy: --set healthy=NAME" if column == "label" else ""
        raise UserError(
            f"{where}, has the {column} {value!r}, which is not known; write one of {', '.join(known)}{more}."
        )
    return known[value.lower()]

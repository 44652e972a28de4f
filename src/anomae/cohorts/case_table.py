"""A table that says of each file what it is: patient, label, split, mask and site; it wins over every guess."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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


def read_case_table(path: Path, source: Path, healthy: Sequence[str] = ()) -> tuple[dict[Path, TableRow], list[str]]:
    """File below `source` -> what the table says of it; and what its columns were taken as, a sentence each.

    Columns in any order and case, at least `file`, with commas, semicolons or tabs between them; also those of tables
    of diagnoses (anomae.cohorts.diagnosis_columns), healthy: which of these are.  Columns that say nothing of ours are
    left out and named (anomae.cohorts.other_columns).  Paths are taken from `source`; a name without folder is that of
    the one file below it that is called so, with its ending or without.  Raises UserError, naming line and cure, for
    what is not known: a value, a column that may be meant as one of ours, a file that is missing or stands in the table
    twice.
    """
    existing_file(path, f"a table with the columns {', '.join(COLUMNS)}")
    table = read_table_lines(path)
    columns, numbered = [name.lower() for name in table[0][1]] if table else [], table[1:]
    columns, numbered, notes = in_our_words(columns, numbered, COLUMNS, [name.lower() for name in healthy], path)
    notes += left_out_columns(columns, numbered, COLUMNS, ALIASES, path)
    if "file" not in columns or any(columns.count(name) > 1 for name in COLUMNS):
        raise UserError(f"{path} needs a column named file, and each of {', '.join(COLUMNS)} once at most.")
    found: dict[Path, TableRow] = {}
    files = NamedFiles(source)
    for number, row in numbered:
        if len(row) != len(columns):
            raise UserError(f"{path}, line {number}, has {len(row)} values for {len(columns)} columns; complete it.")
        said = dict(zip(columns, row, strict=True))
        where = f"{path}, line {number}"
        file = files.scan(said["file"], where)
        if file in found:
            raise UserError(f"{where}, names {said['file']} a second time; keep one line of each file.")
        mask = said.get("mask", "")
        found[file] = TableRow(
            None if is_missing(said.get("patient", "")) else said["patient"],
            _value(_LABELS, "label", said.get("label", ""), where),
            _value(SPLIT_NAMES, "split", said.get("split", ""), where),
            (NO_MASK if mask.lower() == NO_MASK else files.path(mask, where)) if mask else None,
            said.get("site") or None,
        )
    if not found:
        raise UserError(f"{path} has no line below its columns; name at least one file.")
    return found, notes


def _value(known: Mapping[str, _T], column: str, value: str, where: str) -> _T | None:
    if not value:
        return None
    if value.lower() not in known:
        more = ", or say which diagnoses are healthy: --set healthy=NAME" if column == "label" else ""
        raise UserError(
            f"{where}, has the {column} {value!r}, which is not known; write one of {', '.join(known)}{more}."
        )
    return known[value.lower()]

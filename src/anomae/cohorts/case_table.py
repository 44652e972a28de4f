"""A table that says of each file what it is: patient, label, split, mask and site; it wins over every guess."""

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from anomae.cohorts.case import ABNORMAL, HEALTHY, UNKNOWN
from anomae.cohorts.folder_classes import ABNORMAL_NAMES, HEALTHY_NAMES, SPLIT_NAMES
from anomae.cohorts.source_folder import existing_file
from anomae.errors import UserError
from anomae.suggestions import nearest_sentence

COLUMNS = ("file", "patient", "label", "split", "mask", "site")
_LABELS = {
    **dict.fromkeys((*HEALTHY_NAMES, "0"), HEALTHY),
    **dict.fromkeys((*ABNORMAL_NAMES, "1"), ABNORMAL),
    **dict.fromkeys(("unknown", "-1"), UNKNOWN),
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


def read_case_table(path: Path, source: Path) -> dict[Path, TableRow]:
    """File below `source` -> what the table says of it.

    Columns in any order and case, at least `file`, with commas, semicolons or tabs between them.  Paths are taken from
    `source`.  Raises UserError, naming line and cure, for what is not known: a column, a value, a file that is missing
    or stands in the table twice.
    """
    existing_file(path, f"a table with the columns {', '.join(COLUMNS)}")
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is no text in UTF-8; save it as CSV in UTF-8.") from error
    head = lines[0] if lines else ""
    rows = csv.reader(lines, delimiter=max(",;\t", key=head.count), strict=True)
    try:
        table = [[cell.strip() for cell in row] for row in rows]
    except csv.Error as error:
        raise UserError(f"{path} is no table ({error}); save it as CSV.") from error
    columns = [name.lower() for name in table[0]] if table else []
    for name in columns:
        if name not in COLUMNS:
            raise UserError(f"{path} has a column {name!r} that is not known. {nearest_sentence(name, COLUMNS)}")
    if "file" not in columns or len(set(columns)) < len(columns):
        raise UserError(f"{path} needs a column named file, and each of {', '.join(COLUMNS)} once at most.")
    found: dict[Path, TableRow] = {}
    for number, row in enumerate(table[1:], 2):
        if not any(row):
            continue
        if len(row) != len(columns):
            raise UserError(f"{path}, line {number}, has {len(row)} values for {len(columns)} columns; complete it.")
        said = dict(zip(columns, row, strict=True))
        where = f"{path}, line {number}"
        file = _file(said["file"], source, where)
        if file in found:
            raise UserError(f"{where}, names {said['file']} a second time; keep one line of each file.")
        mask = said.get("mask", "")
        found[file] = TableRow(
            said.get("patient") or None,
            _value(_LABELS, "label", said.get("label", ""), where),
            _value(SPLIT_NAMES, "split", said.get("split", ""), where),
            (NO_MASK if mask.lower() == NO_MASK else _file(mask, source, where)) if mask else None,
            said.get("site") or None,
        )
    if not found:
        raise UserError(f"{path} has no line below its columns; name at least one file.")
    return found


def _file(name: str, source: Path, where: str) -> Path:
    path = source / name
    if not name or not path.exists():
        raise UserError(f"{where}, names {name!r}, which is not there; write paths as they are below {source}.")
    return path


def _value(known: Mapping[str, _T], column: str, value: str, where: str) -> _T | None:
    if not value:
        return None
    if value.lower() not in known:
        raise UserError(f"{where}, has the {column} {value!r}, which is not known; write one of {', '.join(known)}.")
    return known[value.lower()]

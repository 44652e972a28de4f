"""A table that says of each file what it is: patient, label, split, mask and site; it wins over every guess."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from anomae.cohorts.case import ABNORMAL, HEALTHY, UNKNOWN
from anomae.cohorts.diagnosis_columns import in_our_words
from anomae.cohorts.file_roles import given_twice, stem_of
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


def read_case_table(path: Path, source: Path, healthy: Sequence[str] = ()) -> tuple[dict[Path, TableRow], list[str]]:
    """File below `source` -> what the table says of it; and what its columns were taken as, a sentence each.

    Columns in any order and case, at least `file`, with commas, semicolons or tabs between them; also those of tables
    of diagnoses (anomae.cohorts.diagnosis_columns), healthy: which of these are.  Paths are taken from `source`; a name
    without folder and suffix is that of the one file below it that is called so.  Raises UserError, naming line and
    cure, for what is not known: a column, a value, a file that is missing or stands in the table twice.
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
    numbered = [(number, row) for number, row in enumerate(table[1:], 2) if any(row)]
    columns, numbered, notes = in_our_words(columns, numbered, COLUMNS, [name.lower() for name in healthy], path)
    for name in columns:
        if name not in COLUMNS:
            raise UserError(
                f"{path} has a column {name!r} that is not known; rename it or leave it out. "
                f"{nearest_sentence(name, COLUMNS)}"
            )
    if "file" not in columns or len(set(columns)) < len(columns):
        raise UserError(f"{path} needs a column named file, and each of {', '.join(COLUMNS)} once at most.")
    found: dict[Path, TableRow] = {}
    by_stem: dict[str, list[Path]] = {}
    for number, row in numbered:
        if len(row) != len(columns):
            raise UserError(f"{path}, line {number}, has {len(row)} values for {len(columns)} columns; complete it.")
        said = dict(zip(columns, row, strict=True))
        where = f"{path}, line {number}"
        file = _named(said["file"], source, where, by_stem)
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
    return found, notes


def _named(name: str, source: Path, where: str, by_stem: dict[str, list[Path]]) -> Path:
    """The file of a path below `source`, or the one of this stem; by_stem: filled when it is first needed."""
    if not name or (source / name).exists():
        return _file(name, source, where)
    if not by_stem:
        by_stem |= _stems_below(source)
    found = by_stem.get(name, [])
    if len(found) > 1:
        raise UserError(
            f"{where}, names {name!r}, which {found[0]} and {found[1]} are both; write the path of the one."
        )
    return found[0] if found else _file(name, source, where)


def _stems_below(source: Path) -> dict[str, list[Path]]:
    from anomae.volumes.read import is_readable_name

    files = sorted(path for path in source.rglob("*") if is_readable_name(path) and path.is_file())
    twice = given_twice(files)
    found: dict[str, list[Path]] = {}
    for file in files:
        if file not in twice:
            found.setdefault(stem_of(file), []).append(file)
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
        more = ", or say which diagnoses are healthy: --set healthy=NAME" if column == "label" else ""
        raise UserError(
            f"{where}, has the {column} {value!r}, which is not known; write one of {', '.join(known)}{more}."
        )
    return known[value.lower()]

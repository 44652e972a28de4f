"""Tables of diagnoses as challenges give them (ISIC, HAM10000): their columns in the words of our own tables."""

from collections.abc import Sequence
from pathlib import Path

from anomae.errors import UserError
from anomae.suggestions import nearest_sentence

# Our column -> what others call it.
_ALIASES = {
    "file": ("image", "image_id", "isic_id", "image_name", "filename", "image_index", "image index"),
    "label": ("target", "dx", "diagnosis", "class", "benign_malignant", "finding_labels", "finding labels"),
    "patient": ("patient_id", "patient id", "patientid", "participant_id", "subject_id"),
}
ALIASES = tuple(name for names in _ALIASES.values() for name in names)
_LESION = "lesion_id"  # who has the lesion is not told, but its pictures belong together
_NONE, _ONE = ("0", "0.0"), ("1", "1.0")

Rows = list[tuple[int, list[str]]]  # number of the line, its values


def in_our_words(
    columns: list[str], rows: Rows, known: Sequence[str], healthy: Sequence[str], path: Path
) -> tuple[list[str], Rows, list[str]]:
    """The columns and rows of a table, where it may be one of diagnoses, and a sentence for what was taken as what.

    columns: in small letters.  known: our columns.  healthy: which diagnoses are healthy, in small letters; then all
    others are abnormal; () where the labels say so themselves.  A column for each diagnosis, with 1 in one of them and
    0 in the others, becomes one label.  Raises UserError where that leaves a doubt: such columns and no `healthy`, a
    line with no 1 or several, a name in `healthy` that occurs nowhere, two columns that could both be the same of ours.
    """
    columns, notes = list(columns), []
    for ours, theirs in _ALIASES.items():
        found = [name for name in columns if name in theirs]
        if ours in columns or not found:
            continue
        if len(found) > 1:
            raise UserError(f"{path} has the columns {' and '.join(found)}; rename the one that is meant to {ours}.")
        columns[columns.index(found[0])] = ours
        notes.append(f"the column {found[0]} of the table was read as {ours}")
    if "patient" not in columns and _LESION in columns:
        columns[columns.index(_LESION)] = "patient"
        notes.append(
            f"the column {_LESION} of the table was read as patient: the pictures of one lesion stay in one split; "
            "whether several lesions are of one person it does not say, so leakage between these cannot be excluded"
        )
    columns, rows = _one_label(columns, rows, known, healthy, path)
    if healthy and "label" not in columns and (name := _holding(columns, rows, known, healthy, path)):
        columns[columns.index(name)] = "label"
        notes.append(f"the column {name} of the table was read as label, since it alone holds {', '.join(healthy)}")
    if healthy:
        rows = _named_labels(columns, rows, healthy, path)
        notes.append(f"of the diagnoses in the table, {', '.join(healthy)} count as healthy and all others as abnormal")
    return columns, rows, notes


def _one_label(
    columns: list[str], rows: Rows, known: Sequence[str], healthy: Sequence[str], path: Path
) -> tuple[list[str], Rows]:
    """One column `label` instead of one for each diagnosis; the same where there are no such columns."""
    whole = [row for _, row in rows if len(row) == len(columns)]
    own = [
        at
        for at, name in enumerate(columns)
        if name not in known and whole and {row[at] for row in whole} <= {*_NONE, *_ONE}
    ]
    if len(own) < 2 or "label" in columns:
        return columns, rows
    names = [columns[at] for at in own]
    if not healthy:
        raise UserError(
            f"{path} has a column for each of {', '.join(names)}; say which of them are healthy, with commas between "
            f"them: --set healthy={names[0].upper()}"
        )
    made: Rows = []
    for number, row in rows:
        if len(row) == len(columns):
            said = [columns[at] for at in own if row[at] in _ONE]
            if len(said) != 1:
                raise UserError(
                    f"{path}, line {number}, has 1 in {len(said)} of the columns {', '.join(names)}; give it in one."
                )
            row = [value for at, value in enumerate(row) if at not in own] + said
        made.append((number, row))
    # A diagnosis that no line has may still be named.
    missing = [name for name in healthy if name not in names]
    if missing:
        raise UserError(f"{path} has no column {missing[0]!r}. {nearest_sentence(missing[0], names)}")
    return [name for at, name in enumerate(columns) if at not in own] + ["label"], made


def _holding(columns: list[str], rows: Rows, known: Sequence[str], healthy: Sequence[str], path: Path) -> str | None:
    """The one column, of those that are none of ours, that has one of the diagnoses `healthy`; None: none has."""
    whole = [row for _, row in rows if len(row) == len(columns)]
    holding = [
        name
        for at, name in enumerate(columns)
        if name not in known and any(row[at].lower() in healthy for row in whole)
    ]
    if len(holding) > 1:
        raise UserError(
            f"{path} has {', '.join(healthy)} in the columns {' and '.join(holding)}; call the one that is meant label."
        )
    return holding[0] if holding else None


def _named_labels(columns: list[str], rows: Rows, healthy: Sequence[str], path: Path) -> Rows:
    if "label" not in columns:
        raise UserError(f"healthy names diagnoses, but {path} has no column of them; name it label.")
    at = columns.index("label")
    values = {row[at].lower() for _, row in rows if len(row) == len(columns)}
    if not values & set(healthy):
        raise UserError(f"No line of {path} has the diagnosis {healthy[0]!r}. {nearest_sentence(healthy[0], values)}")
    made: Rows = []
    for number, row in rows:
        if len(row) == len(columns) and row[at]:
            row = [*row[:at], "healthy" if row[at].lower() in healthy else "abnormal", *row[at + 1 :]]
        made.append((number, row))
    return made

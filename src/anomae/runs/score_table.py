"""Tables of scores and labels, ours or anyone's: read, checked, and joined slice by slice."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from anomae.errors import UserError


@dataclass(frozen=True, slots=True)
class Table:
    """A CSV file as read: the fields of each column, (n,) text; line k of the file is row k - 2."""

    path: Path
    columns: dict[str, tuple[str, ...]]
    rows: int

    def text(self, name: str, otherwise: str = "") -> npt.NDArray[np.str_]:
        """A column (n,) as text without blanks around it; `otherwise` everywhere where there is no such column."""
        return np.array([field.strip() for field in self.columns.get(name, (otherwise,) * self.rows)], dtype=np.str_)

    def numbers(self, name: str) -> npt.NDArray[np.float64]:
        """A column (n,) of finite numbers.  Raises UserError naming the first line where one is missing or is none."""
        values = np.empty(self.rows)
        for index, field in enumerate(self.columns[name]):
            try:
                values[index] = float(field)
            except ValueError as error:
                raise UserError(f"{self.path}, line {index + 2}: the {name} {field!r} is not a number.") from error
            if not np.isfinite(values[index]):
                raise UserError(f"{self.path}, line {index + 2}: the {name} is not a finite number ({field}).")
        return values

    def whole_numbers(self, name: str) -> npt.NDArray[np.int64]:
        """A column (n,) of whole numbers.  Raises UserError as `numbers` does."""
        values = self.numbers(name)
        odd = np.flatnonzero((values != np.rint(values)) | (np.abs(values) > 2**53))
        if len(odd):
            raise UserError(f"{self.path}, line {odd[0] + 2}: the {name} is not a whole number.")
        return values.astype(np.int64)

    def labels(self) -> npt.NDArray[np.int8]:
        """The column label (n,): 0, 1, or -1 where the field is empty."""
        known = {"0": 0, "1": 1, "": -1, "0.0": 0, "1.0": 1}
        fields = self.text("label")
        odd = [index for index, field in enumerate(fields) if str(field) not in known]
        if odd:
            raise UserError(f"{self.path}, line {odd[0] + 2}: a label must be 0 (normal), 1 (abnormal) or empty.")
        return np.array([known[str(field)] for field in fields], dtype=np.int8)

    def scores(self) -> dict[str, npt.NDArray[np.float64]]:
        """The column score and every score_<name>, (n,) each, finite."""
        names = [name for name in self.columns if name == "score" or name.startswith("score_")]
        return {name: self.numbers(name) for name in names}


def read_table(path: Path, needed: Sequence[str]) -> Table:
    """Read a CSV file (comma or semicolon, UTF-8) with a header.

    Raises UserError where it is missing, is not text, lacks a `needed` column, or has lines of unequal length.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as handle:
            start = handle.readline()
            handle.seek(0)
            lines = csv.reader(handle, delimiter=";" if ";" in start and "," not in start else ",")
            header = [name.strip() for name in next(lines, [])]
            if "split" not in header:  # the name of older tables
                header = ["split" if name == "part" else name for name in header]
            body = [line for line in lines if line]
    except FileNotFoundError as error:
        raise UserError(f"{path} is missing.") from error
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path} is not readable as a CSV table ({error}).") from error
    missing = [name for name in needed if name not in header]
    if missing:
        raise UserError(f"{path} lacks the column(s) {', '.join(missing)}; its header must name {', '.join(needed)}.")
    if len(set(header)) < len(header):
        raise UserError(f"{path} names a column twice.")
    odd = [index for index, line in enumerate(body) if len(line) != len(header)]
    if odd:
        raise UserError(f"{path}, line {odd[0] + 2}: {len(body[odd[0]])} fields where the header has {len(header)}.")
    columns = list(zip(*body, strict=True)) if body else [()] * len(header)
    return Table(path, dict(zip(header, columns, strict=True)), len(body))


def join(scores: Table, labels: Table) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Rows of `scores` and rows of `labels` that mean the same slice, (k,) each, in the order of the scores.

    By case and slice where both tables have the column slice, else by case.  Raises UserError where a table has one
    slice twice, or where nothing matches.
    """
    by_slice = "slice" in scores.columns and "slice" in labels.columns
    keys = []
    for table in (scores, labels):
        number = table.whole_numbers("slice") if by_slice else np.zeros(table.rows, dtype=np.int64)
        seen: dict[tuple[str, int], int] = {}
        for line, key in enumerate(zip(table.text("case").tolist(), number.tolist(), strict=True)):
            if key in seen:
                advice = "" if by_slice else " (or give both tables the column slice)"
                raise UserError(
                    f"{table.path}: lines {seen[key] + 2} and {line + 2} mean the same "
                    f"{'slice' if by_slice else 'case'}; keep one{advice}."
                )
            seen[key] = line
        keys.append(seen)
    ours, theirs = keys
    pairs = [(line, theirs[key]) for key, line in ours.items() if key in theirs]
    if not pairs:
        raise UserError(f"No slice of {scores.path} stands in {labels.path}: case (and slice) must be written alike.")
    rows = np.array(pairs, dtype=np.int64)
    return rows[:, 0], rows[:, 1]

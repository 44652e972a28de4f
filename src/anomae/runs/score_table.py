"""Tables of scores and labels, ours or anyone's: read and checked."""

import codecs
import csv
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import TextIOWrapper
from operator import methodcaller
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from anomae.errors import UserError
from anomae.progress import progress

SPLITS = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
    "testing": "test",
}
LABELS = {
    **{"0": 0, "0.0": 0, "false": 0, "normal": 0, "healthy": 0},
    **{"1": 1, "1.0": 1, "true": 1, "abnormal": 1},
    **{"": -1, "unknown": -1},
}
# Columns whose names are known in any case; all others keep theirs.
_KNOWN = (
    *("case", "file", "patient", "slice", "file_slice", "position_mm", "score", "label", "split", "part", "row"),
    *("site", "scanner", "source", "depth", "empty", "body_fraction", "file_size", "unaltered"),
)
_DECIMAL_COMMA = re.compile(r"[+-]?\d*,\d+(e[+-]?\d+)?", re.IGNORECASE)
_THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2},\d{3}")
_SAID_MARK = re.compile(r"\"?sep=.\"?\r?\n?", re.IGNORECASE)  # Excel's first line
_COMMA = methodcaller("__contains__", ",")
WATCHED_SIZE = 10  # MB; from there on, reading takes long enough to say how far it is
_LONGEST = 2_000  # letters of a name or a number; numpy holds a column at the width of its longest field
_AT_ONCE = 50_000  # lines; of equal fields among them one is kept


@dataclass(frozen=True, slots=True)
class Table:
    """A CSV file as read.

    columns: the fields of each, (n,) text.  lines: of the file, on which each row ends, from 1.  by_file: whether the
    column `file` stands for the case.
    """

    path: Path
    columns: dict[str, Sequence[str]]
    rows: int
    lines: Sequence[int]
    by_file: bool = False

    def text(self, name: str, otherwise: str = "") -> npt.NDArray[np.str_]:
        """A column (n,) as text without blanks around it; `otherwise` everywhere where there is no such column."""
        return np.array([field.strip() for field in self.columns.get(name, (otherwise,) * self.rows)], dtype=np.str_)

    def numbers(self, name: str, gaps: bool = False) -> npt.NDArray[np.float64]:
        """A column (n,) of finite numbers, with decimal points, or all with decimal commas.

        gaps: a field may be empty, and is NaN.  Raises UserError naming the first line where one is missing or is none,
        or could be meant in two ways.
        """
        fields = self._with_points(name)
        try:
            values = np.fromiter(map(float, fields), np.float64, self.rows)
        except ValueError:
            values = np.full(self.rows, np.nan)
        if np.isfinite(values).all():
            return values
        for index, field in enumerate(fields):
            if gaps and not field:
                continue
            try:
                values[index] = float(field)
            except ValueError as error:
                cure = "; write it without the %" if "%" in field else ""
                raise UserError(f"{self._at(index)}: the {name} {field!r} is not a number{cure}.") from error
            if not np.isfinite(values[index]):
                raise UserError(f"{self._at(index)}: the {name} is not a finite number ({field}).")
        return values

    def has_decimal_commas(self, name: str) -> bool:
        """Whether the numbers of a column are written with decimal commas."""
        return any(map(_COMMA, self.columns.get(name, ())))

    def whole_numbers(self, name: str) -> npt.NDArray[np.int64]:
        """A column (n,) of whole numbers.  Raises UserError as `numbers` does."""
        values = self.numbers(name)
        odd = np.flatnonzero((values != np.rint(values)) | (np.abs(values) > 2**53))
        if len(odd):
            raise UserError(f"{self._at(odd[0])}: the {name} is not a whole number.")
        return values.astype(np.int64)

    def labels(self) -> npt.NDArray[np.int8]:
        """The column label (n,): 0, 1, or -1 where the field is empty; LABELS has the words, known in any case."""
        fields = self._meant("label", LABELS, "a label must be 0 (normal), 1 (abnormal) or empty, not {!r}.")
        return np.array(fields, dtype=np.int8)

    def splits(self) -> npt.NDArray[np.str_]:
        """The column split (n,): train, validation or test; test everywhere where there is no such column.

        SPLITS has the names, known in any case.  Raises UserError naming the first line that has another: left out
        without a word, it would change every figure.
        """
        if "split" not in self.columns:
            return np.full(self.rows, "test")
        cure = "write train, validation or test, or leave the column split (or part) out."
        return np.array(self._meant("split", SPLITS, "the split {!r} is not known; " + cure), dtype=np.str_)

    def scores(self) -> dict[str, npt.NDArray[np.float64]]:
        """The column score and every score_<name>, (n,) each, finite."""
        names = [name for name in self.columns if name == "score" or name.startswith("score_")]
        return {name: self.numbers(name) for name in names}

    def _meant(self, name: str, words: Mapping[str, Any], complaint: str) -> list[Any]:
        """What each field of a column means by `words`, known in any case; complaint: with {!r} for one that is not."""
        fields = self.columns[name]
        meaning = {field: words.get(field.strip().lower()) for field in set(fields)}
        if None in meaning.values():
            index = next(index for index, field in enumerate(fields) if meaning[field] is None)
            raise UserError(f"{self._at(index)}: {complaint.format(fields[index])}")
        return [meaning[field] for field in fields]

    def _at(self, row: int) -> str:
        return f"{self.path}, line {self.lines[row]}"

    def _with_points(self, name: str) -> list[str]:
        """The fields of a column without blanks, with decimal points where all are meant with commas."""
        fields = [field.strip() for field in self.columns[name]]
        if not any(map(_COMMA, fields)):
            return fields
        commas = [index for index, field in enumerate(fields) if "," in field]
        pointed = [index for index, field in enumerate(fields) if "." in field]
        if pointed:
            raise UserError(
                f"{self._at(commas[0])}: the {name} {fields[commas[0]]!r} has a comma and that of line "
                f"{self.lines[pointed[0]]} a point; write all numbers with decimal points and nothing else."
            )
        if all(_THOUSANDS.fullmatch(fields[index]) for index in commas):
            raise UserError(
                f"{self._at(commas[0])}: the comma of the {name} {fields[commas[0]]!r} may be a decimal one or part "
                "thousands; write decimal points, and no thousands."
            )
        return [field.replace(",", ".") if _DECIMAL_COMMA.fullmatch(field) else field for field in fields]


def read_table(path: Path, needed: Sequence[str]) -> Table:
    """Read a table in UTF-8, or marked UTF-16, with a header, whose fields commas, semicolons or tabs part.

    A first line such as "sep=;", which Excel writes, is passed over.  The names of columns are known in any case;
    `part` is an older name of split; where `case` is needed and absent, `file` stands for it, as in the scores of new
    scans.  Blank lines are passed over.  Raises UserError where it is missing, is not text, lacks a `needed` column,
    has lines of unequal length, or a stray quote takes lines into a field.
    """
    try:
        with path.open("rb") as bytes_, TextIOWrapper(bytes_, newline="", encoding=_encoding(bytes_)) as handle:
            start = handle.readline()
            skipped = int(_SAID_MARK.fullmatch(start) is not None)
            start = handle.readline() if skipped else start
            handle.seek(0)
            for _ in range(skipped):
                handle.readline()
            read = csv.reader(handle, delimiter=_parted(start, needed))
            header, by_file = _header(next(read, []), needed)
            size = path.stat().st_size // 1_000_000
            with progress(f"read {path.name}", size, "MB", speaks=size >= WATCHED_SIZE) as bar:
                seen = [0]

                def advance() -> None:
                    now = bytes_.tell() // 1_000_000
                    bar.advance(now - seen[0])
                    seen[0] = now

                columns, lines, odd = _columns(path, read, header, advance, skipped)
    except FileNotFoundError as error:
        raise UserError(f"{path} is missing.") from error
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path} is not readable as a CSV table ({error}); save it as CSV in UTF-8.") from error
    missing = [name for name in needed if name not in header]
    if missing:
        raise UserError(
            f"{path} lacks the column(s) {', '.join(missing)}; its header must name {', '.join(needed)}, and names "
            f"{', '.join(name for name in header if name) or 'nothing'}."
        )
    named = [name for name in header if name]
    if len(set(named)) < len(named):
        twice = next(name for name in named if named.count(name) > 1)
        raise UserError(f"{path} names a column twice ({twice}, in any case).")
    if odd is not None:
        number, fields = odd
        comma = fields > len(header) and "," in start and ";" not in start
        cure = "; decimal commas need semicolons between the fields, or write decimal points" if comma else ""
        raise UserError(f"{path}, line {number}: {fields} fields where the header has {len(header)}{cure}.")
    return Table(path, dict(zip(header, columns, strict=True)), len(lines), lines, by_file)


def _columns(
    path: Path, read: Any, header: Sequence[str], advance: Callable[[], None], skipped: int
) -> tuple[list[list[str]], Sequence[int], tuple[int, int] | None]:
    """The columns of what a csv.reader reads, the line of the file on which each row ends, and the first odd row.

    That is the line and the number of fields of the first row which has not as many as the header.  Blank lines are
    left out.  advance: called now and then.  skipped: lines of the file that `read` did not see.  Raises UserError for
    a stray quote.
    """
    columns: list[list[str]] = [[] for _ in header]
    known_names = [at for at, name in enumerate(header) if name in _KNOWN or name.startswith("score_")]
    lines: list[int] = []
    block: list[list[str]] = []
    odd = None

    def take() -> None:
        for column, fields in zip(columns, zip(*block, strict=True), strict=True):
            known: dict[str, str] = {}
            column.extend(map(known.setdefault, fields, fields))  # a name that stands in many lines is held once
        block.clear()
        advance()

    for start, end, line in _rows(path, read, skipped):
        text = "".join(line)
        if odd is not None or not text.strip():
            continue
        if len(line) != len(header):
            odd = (start, len(line))
            continue
        if start < end or len(text) > _LONGEST:
            for at in known_names:
                if _holds_lines(line[at], read.dialect.delimiter, len(header)):
                    quote = f'a quote (") that opens there takes the table into it, up to line {end}: remove it.'
                    why = quote if start < end else f"at most {_LONGEST:,} are read."
                    raise UserError(f"{path}, line {start}: the {header[at]} has {len(line[at]):,} letters; {why}")
        block.append(line)
        lines.append(end)
        if len(block) == _AT_ONCE:
            take()
    if block:
        take()
    one_a_row = len(lines) > 0 and lines[-1] - lines[0] == len(lines) - 1
    return columns, range(lines[0], lines[-1] + 1) if one_a_row else tuple(lines), odd


def _rows(path: Path, read: Any, skipped: int) -> Iterator[tuple[int, int, list[str]]]:
    """Each row of a csv.reader, and the lines of the file on which it starts and ends; skipped: see `_columns`."""
    end = read.line_num + skipped
    try:
        for line in read:
            start, end = end + 1, read.line_num + skipped
            yield start, end, line
    except csv.Error as error:
        what = f'no row of a CSV table starts there ({error}); is a quote (") left open?'
        raise UserError(f"{path}, line {end + 1}: {what}") from error


def _holds_lines(field: str, mark: str, width: int) -> bool:
    """Whether a field holds whole lines of a table of `width` columns, or is too long for a name or a number."""
    return len(field) > _LONGEST or any(line.count(mark) >= width - 1 for line in field.splitlines()[1:])


def _encoding(content: BinaryIO) -> str:
    """Of a file of text, by its first bytes, which are read again."""
    mark = content.read(2)
    content.seek(0)
    return "utf-16" if mark in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) else "utf-8-sig"


def _parted(start: str, needed: Sequence[str]) -> str:
    """What parts the fields: comma, semicolon or tab, whichever finds most of the `needed` columns in the header."""

    def found(mark: str) -> int:
        names, _ = _header(next(csv.reader([start], delimiter=mark), []), needed)
        return len({*needed} & {*names})

    return max((",", ";", "\t"), key=found)


def _header(line: Sequence[str], needed: Sequence[str]) -> tuple[list[str], bool]:
    """The names of the columns as we know them, and whether `file` stands for the case."""
    header = [_known(name.strip()) for name in line]
    if "split" not in header:  # the name of older tables
        header = ["split" if name == "part" else name for name in header]
    by_file = "case" in needed and "case" not in header and "file" in header
    return ["case" if by_file and name == "file" else name for name in header], by_file


def _known(name: str) -> str:
    lower = name.lower()
    if lower.startswith("score_"):
        return lower[:6] + name[6:]
    return lower if lower in _KNOWN else name

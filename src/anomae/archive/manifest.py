"""The manifest: what is to be scored, a line a file, folder or DICOMweb study; read as a stream, never as a whole."""

import csv
import hashlib
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

from anomae.archive.statuses import NOT_THERE, status_of, why_for_good
from anomae.errors import MissingExtra, UnreadableScan, UserError
from anomae.extras import require
from anomae.volumes.headers import parsing
from anomae.volumes.patient_ids import is_missing

FILE, PATIENT = "file", "patient"
_ROWS = 4096  # of a Parquet manifest that are in memory at once


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the manifest.

    line: its number among the lines with content, from 0.  file: a path, which is absolute or goes out from the
    working folder, or a URL.  patient: a pseudonym, "" where the manifest has none.
    """

    line: int
    file: str
    patient: str = ""


@dataclass(frozen=True, slots=True)
class Manifest:
    """A CSV (UTF-8) or Parquet file with a column `file`, and `patient` where it is known; others are passed over.

    In Parquet, `file` is text, or bytes of UTF-8 as Spark writes it, and `patient` one of these or a number.
    file: a path (one that is not absolute goes out from the manifest's folder), a URL that fsspec opens, or the URL of
    a study or series on a DICOMweb server.  location: path or fsspec URL of the manifest.
    """

    location: str

    def entries(self) -> Iterator[Entry]:
        """All lines, in order.

        A patient that is missing, in whatever words (anomae.volumes.patient_ids.is_missing), is none.  Raises UserError
        where the manifest is missing or broken, a server does not give it, it has no column `file`, a line has no file,
        or a URL is none or holds a password.
        """
        for line, row in enumerate(self._rows()):
            file = str(row.get(FILE) or "")
            if not file:
                raise UserError(f"{self.location} has no file in line {line + 1} (without the heading); name one.")
            known = row.get(PATIENT)
            patient = "" if known is None else str(known)  # a patient may be called 0
            yield Entry(line, self._from_here(file, line), "" if is_missing(patient) else patient)

    def count(self) -> int:
        """How many lines there are, each looked at.  Raises UserError as `entries` does, and where there is none."""
        number = sum(1 for _ in self.entries())
        if not number:
            raise UserError(f"{self.location} lists nothing; give it a line for each file.")
        return number

    def _from_here(self, file: str, line: int) -> str:
        if is_url(file):
            try:
                password = urlsplit(file).password
            except ValueError as error:
                raise UserError(f"The URL in line {line + 1} of {self.location} is none ({error}); mend it.") from error
            if password:
                raise UserError(
                    f"The URL in line {line + 1} of {self.location} holds a password, which would stand in every "
                    "table; take it out and give it by the environment or the configuration of fsspec."
                )
            return file
        if Path(file).is_absolute():
            return file
        if is_url(self.location):
            return f"{self.location.rpartition('/')[0]}/{file}"
        return str(Path(self.location).parent / file)

    def _rows(self) -> Iterator[dict[str, Any]]:
        parquet = self.location.lower().endswith((".parquet", ".pq"))
        broken: tuple[type[Exception], ...] = (ValueError, csv.Error, *_arrow_errors(parquet))
        told: tuple[type[Exception], ...] = (OSError, UnreadableScan, *broken)
        try:
            anything = parsing(Path(self.location), "remote") if is_url(self.location) else nullcontext()
            with anything, self._opened("rb" if parquet else "r") as content:  # fsspec's systems raise what they like
                yield from self._parquet_rows(content) if parquet else self._csv_rows(content)
        except ImportError as error:  # fsspec and its parts say what to install
            raise MissingExtra(f"{self.location} cannot be opened: {error}") from error
        except told as error:
            cause = error.__cause__ if isinstance(error, UnreadableScan) else error
            kind = "a Parquet table" if parquet else "a CSV table in UTF-8"
            raise UserError(self._why_not(cause or error, kind, broken)) from error

    def _why_not(self, error: BaseException, kind: str, broken: tuple[type[Exception], ...]) -> str:
        """A sentence: whether it is missing, a server does not give it, or it is not of its `kind` (so `broken`)."""
        status = status_of(error)
        if status is not None and status not in NOT_THERE:
            advice = "try again later, or ask who runs the server"
            refused = f"{self.location} could not be fetched (status {status}); {advice}."
            return why_for_good(self.location, status) or refused
        cause = error.__cause__ if isinstance(error, FileNotFoundError) else error
        if status is None and isinstance(cause, _web_errors(self.location)):
            return (
                f"{self.location} could not be fetched ({type(cause).__name__}): the server gave no answer, or a part "
                "of one; look at the URL, or try again later."
            )
        if status in NOT_THERE or isinstance(error, FileNotFoundError):
            unsure = status is None and _web_errors(self.location)  # behind fsspec's caches the status is lost
            return f"{self.location} is missing{', or its server does not give it' if unsure else ''}."
        said = next(iter(str(error).splitlines()), "no reason given")  # Arrow adds lines of its own code
        if is_url(self.location) and not isinstance(error, broken) and type(error) is not OSError:  # as Arrow raises
            return (
                f"{self.location} could not be fetched ({type(error).__name__}: {said.removesuffix('.')}); look at the "
                "URL, and at what the environment or fsspec's configuration says of how to be let in."
            )
        return f"{self.location} is not readable as {kind} ({type(error).__name__}: {said})."

    def _opened(self, mode: str) -> AbstractContextManager[IO[Any]]:
        text = {} if "b" in mode else {"encoding": "utf-8-sig", "newline": ""}
        if not is_url(self.location):
            return Path(self.location).open(mode, **text)  # type: ignore[call-overload,no-any-return]
        opened: AbstractContextManager[IO[Any]] = require("fsspec", "cluster").open(self.location, mode, **text)
        return opened

    def _csv_rows(self, content: IO[str]) -> Iterator[dict[str, Any]]:
        rows = csv.DictReader(content)
        self._check_columns(rows.fieldnames or ())
        yield from rows

    def _parquet_rows(self, content: IO[bytes]) -> Iterator[dict[str, Any]]:
        table = require("pyarrow.parquet", "cluster").ParquetFile(content)
        with nullcontext(table) as opened:
            names = opened.schema_arrow.names
            self._check_columns(names)
            chosen = [name for name in (FILE, PATIENT) if name in names]
            for name in chosen:
                self._check_type(name, opened.schema_arrow.types[names.index(name)])
            for batch in opened.iter_batches(_ROWS, columns=chosen):
                for row in batch.to_pylist():
                    yield {name: cell.decode() if isinstance(cell, bytes) else cell for name, cell in row.items()}

    def _check_columns(self, names: Iterable[str]) -> None:
        if FILE not in names:
            raise UserError(f"{self.location} has no column {FILE!r}; it has: {', '.join(names) or 'none'}.")

    def _check_type(self, name: str, kind: Any) -> None:
        """Raises UserError where a column of this Arrow type names no files, or no patients."""
        types = require("pyarrow.types", "cluster")
        stored = kind.value_type if types.is_dictionary(kind) else kind
        text = (types.is_string, types.is_large_string, types.is_string_view, types.is_null)
        text_as_bytes = (types.is_binary, types.is_large_binary, types.is_binary_view)
        numbers = (types.is_integer, types.is_floating, types.is_decimal) if name == PATIENT else ()
        if not any(fits(stored) for fits in (*text, *text_as_bytes, *numbers)):
            wanted = "text or numbers" if numbers else "text"
            raise UserError(f"The column {name!r} of {self.location} is of type {kind}; write it as {wanted}.")


def _arrow_errors(parquet: bool) -> tuple[type[Exception], ...]:
    """What Arrow raises beside Python's own errors."""
    return (require("pyarrow", "cluster").ArrowException,) if parquet else ()


def _web_errors(location: str) -> tuple[type[Exception], ...]:
    """What is raised where a web server does not answer, or not to the end; nothing of what lies elsewhere."""
    if not location.partition("://")[0].endswith(("http", "https")):  # also such as simplecache::https
        return ()
    return (ConnectionError, TimeoutError, require("aiohttp", "cluster").ClientError)


def is_url(file: str) -> bool:
    """Whether it is a URL; a path else."""
    return "://" in file


def in_shards(entries: Iterable[Entry], size: int) -> Iterator[tuple[Entry, ...]]:
    """Runs of `size` entries, the last one shorter."""
    rest = iter(entries)
    while run := tuple(islice(rest, size)):
        yield run


def digest_of(entries: Iterable[Entry]) -> str:
    """A text that is equal for equal lines: files by name and patients, not by what the files hold."""
    seen = hashlib.blake2b(digest_size=16)
    for entry in entries:
        seen.update(f"{entry.line}\n{entry.file}\n{entry.patient}\n".encode(errors="surrogateescape"))
    return seen.hexdigest()

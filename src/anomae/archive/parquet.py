"""Parquet tables, written whole or not at all and joined in order.  Needs the extra `cluster`."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from anomae.errors import UserError
from anomae.extras import require
from anomae.files import written_whole

_ROWS = 16384  # of a table that are in memory at once


def write_parquet(path: Path, columns: Mapping[str, str], rows: Iterable[Mapping[str, Any]]) -> None:
    """Write rows, some thousands in memory at once; columns: name -> type as pyarrow calls it.

    A cell that a row lacks is null.  Bytes of file names that are no UTF-8 stand there escaped, as in anomae.files.
    """
    pyarrow, parquet = _modules()
    schema, rest = _schema(pyarrow, columns), iter(rows)
    with written_whole(path) as temporary, parquet.ParquetWriter(temporary, schema, compression="zstd") as written:
        while block := list(islice(rest, _ROWS)):
            try:
                table = pyarrow.Table.from_pylist(block, schema=schema)
            except UnicodeEncodeError:
                table = pyarrow.Table.from_pylist([_escaped(row) for row in block], schema=schema)
            written.write_table(table)


def join_parquet(path: Path, columns: Mapping[str, str], paths: Sequence[Path]) -> None:
    """Write the rows of all `paths`, in this order, as one table."""
    pyarrow, parquet = _modules()
    schema = _schema(pyarrow, columns)
    with written_whole(path) as temporary, parquet.ParquetWriter(temporary, schema, compression="zstd") as joined:
        for one in paths:
            joined.write_table(parquet.read_table(one, schema=schema))


def parquet_rows(path: Path, columns: Sequence[str]) -> Iterator[dict[str, Any]]:
    """The rows of a table, these columns alone, some thousands in memory at once.

    Raises UserError where it is missing or broken.
    """
    pyarrow, parquet = _modules()
    try:
        with parquet.ParquetFile(path) as table:
            for batch in table.iter_batches(columns=list(columns)):
                yield from batch.to_pylist()
    except (OSError, pyarrow.ArrowException) as error:
        why = "is missing" if isinstance(error, FileNotFoundError) else "is broken"
        raise UserError(f"{path} {why}; remove its folder and give the same command again.") from error


def _escaped(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: cell.encode("utf-8", "backslashreplace").decode() if isinstance(cell, str) else cell
        for name, cell in row.items()
    }


def _schema(pyarrow: Any, columns: Mapping[str, str]) -> Any:
    return pyarrow.schema([(name, pyarrow.type_for_alias(kind)) for name, kind in columns.items()])


def _modules() -> tuple[Any, Any]:
    return require("pyarrow", "cluster"), require("pyarrow.parquet", "cluster")

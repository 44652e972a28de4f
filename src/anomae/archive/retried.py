"""A shard whose failed lines were tried again: their new rows among the old rows of its other lines."""

import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence, Set
from heapq import merge
from operator import itemgetter
from pathlib import Path

from anomae.archive.parquet import parquet_rows, write_parquet
from anomae.archive.score_shard import map_bytes_in
from anomae.archive.tables import FAILED, PASSED_OVER, TABLES, UNREADABLE, Row, failed_row, told
from anomae.files import copy_file

_Scan = tuple[int, str]  # line and file


def failed_lines(shard: Path) -> frozenset[int]:
    """The lines of the manifest of which something failed.  Raises UserError where the table is broken."""
    return frozenset(row["line"] for row in _failures([shard]))


def write_over(
    folder: Path, shard: Path, parts: Sequence[Path], ended: Sequence[Row], tried: Set[int]
) -> tuple[dict[str, int], dict[int, Row]]:
    """Write the tables and maps of `shard` into `folder`, with the lines `tried` as `parts` and `ended` have them.

    parts: in the order of their lines.  ended: rows of files that ended their worker now, in that order too.  Maps of
    `parts` are moved, those of `shard` stay there as well; one that is there no more is passed over.  A line of which a
    scan was scored before and fails now keeps all that it had, but in the table `failed` the reason says so.  Returns
    what shard.json counts, and these lines, each with a row of what failed now.
    """
    failed = {(row["line"], row["file"]): row for row in [*_failures(parts), *ended]}
    kept = _kept(shard, parts, failed, tried)
    new = tried - kept.keys()
    for table, columns in TABLES.items():
        path = folder / f"{table}.parquet"
        before = (_of_now(row, failed, kept) for row in _rows([shard], table, list(columns)) if row["line"] not in new)
        now = (row for row in _rows(parts, table, list(columns)) if row["line"] in new)
        ends = [row for row in ended if table == "failed" and row["line"] in new]
        write_parquet(path, columns, merge(before, now, ends, key=itemgetter("line")))
    for source in (shard, *parts):
        for path in (source / "maps").glob("*"):
            if path.is_file() and (_line_of(path) in new) is (source != shard):
                _bring(path, folder / "maps" / path.name, move=source != shard)
    flags = [row["flag"] for row in _rows([folder], "scans", ("flag",))]
    counts = {
        "scans": len(flags),
        "slices": sum(1 for _ in _rows([folder], "slices", ("line",))),
        "flagged": flags.count(True),
        "failed": sum(1 for _ in _failures([folder])),
        "map_bytes": map_bytes_in(folder),
    }
    return counts, kept


def _kept(shard: Path, parts: Sequence[Path], failed: Mapping[_Scan, Row], tried: Collection[int]) -> dict[int, Row]:
    """Which of the lines `tried` would lose a scan by what came of them, and by which failure."""
    scored = {(row["line"], row["file"]) for row in _rows([shard], "scans", ("line", "file")) if row["line"] in tried}
    again = {row["line"] for row in _rows(parts, "scans", ("line",))}
    lost = {scan for scan in scored if scan[0] not in again or scan in failed}
    kept = {line: failed_row(line, file, "", UNREADABLE, "it is there no more") for line, file in sorted(lost)}
    for of_those_lost in (False, True):  # what failed of the line, and rather the scan that would be lost
        kept |= {
            scan[0]: row for scan, row in failed.items() if scan[0] in kept and (scan in lost or not of_those_lost)
        }
    return kept


def _of_now(row: Row, failed: Mapping[_Scan, Row], kept: Mapping[int, Row]) -> Row:
    """A row that stays; one of the table `failed` tells what is to be mended now, and not what was so before."""
    if row.get("kind") in (None, PASSED_OVER) or row["line"] not in kept:
        return row
    if again := failed.get((row["line"], row["file"])):
        return again
    return {**row, "reason": f"not scored anew, as this failed now: {told(kept[row['line']])}"}


def _failures(folders: Iterable[Path]) -> Iterator[Row]:
    for row in _rows(folders, "failed", list(FAILED)):
        if row["kind"] != PASSED_OVER:
            yield row


def _rows(folders: Iterable[Path], table: str, columns: Sequence[str]) -> Iterator[Row]:
    for folder in folders:
        yield from parquet_rows(folder / f"{table}.parquet", columns)


def _line_of(path: Path) -> int | None:
    """Of what a map is, by its name (anomae.archive.score_shard); None of what somebody else put there."""
    number = path.name.partition("-")[0]
    return int(number) if number.isdecimal() else None


def _bring(source: Path, target: Path, *, move: bool) -> None:
    target.parent.mkdir(exist_ok=True)
    if move:
        source.replace(target)
        return
    try:
        os.link(source, target)
    except OSError:  # a disk without links
        copy_file(source, target)

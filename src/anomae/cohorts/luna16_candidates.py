"""The candidate table of LUNA16 (candidates.csv, candidates_V2.csv): where to look, in which scan, nodule or not."""

import csv
import hashlib
from array import array
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from anomae.cohorts.case import UNKNOWN
from anomae.cohorts.source_folder import existing_file
from anomae.errors import UserError

COLUMNS = ("seriesuid", "coordX", "coordY", "coordZ", "class")
FILE_NAMES = ("candidates.csv", "candidates_V2.csv")


@dataclass(frozen=True, slots=True)
class Candidates:
    """All lines of the table in its order; line 0 is the first after the header, as the released lists count.

    scans: the seriesuids, in the order they first appear.  scan: (n,) int32, indices in `scans`.  places_mm: (n, 3)
    float64, world x, y, z (LPS).  labels: (n,) int8, 1 for a nodule; -1 where another line calls the very position of
    the scan the other way.
    """

    scans: tuple[str, ...]
    scan: npt.NDArray[np.int32]
    places_mm: npt.NDArray[np.float64]
    labels: npt.NDArray[np.int8]

    def rows_of(self, scan: str) -> npt.NDArray[np.int64]:
        """The rows that lie in the scan of this seriesuid, ascending."""
        if scan not in self.scans:
            return np.empty(0, dtype=np.int64)
        return np.flatnonzero(self.scan == self.scans.index(scan))

    def digest_of(self, rows: npt.NDArray[np.int64]) -> str:
        """BLAKE2b of these rows: their numbers, places and labels, however the file writes them."""
        digest = hashlib.blake2b(digest_size=16)
        for column in (rows, self.places_mm[rows], self.labels[rows]):
            digest.update(column.tobytes())
        return digest.hexdigest()

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read the table.  Raises UserError, with the line, where it is missing or not such a table."""
        scans: dict[str, int] = {}
        # Half a million lines: typed arrays keep them small, and a plain loop is faster than numpy's parsing of text.
        scan, positions, labels = array("i"), array("d"), array("i")
        with existing_file(path, "LUNA16's candidates").open(
            newline="", encoding="utf-8-sig", errors="replace"
        ) as handle:
            first = handle.readline()
            delimiter = next((mark for mark in ";\t" if mark in first), ",")
            lines = csv.reader(handle, delimiter=delimiter)
            try:
                header = next(csv.reader([first], delimiter=delimiter), [])
                order = _columns(path, header)
                for line in lines:
                    if len(line) != len(header):
                        raise ValueError(f"{len(line)} fields")
                    name, x, y, z, kind = (line[index].strip() for index in order)
                    if delimiter != ",":
                        x, y, z = (number.replace(",", ".") for number in (x, y, z))
                    scan.append(scans.setdefault(name, len(scans)))
                    positions.extend((float(x), float(y), float(z)))
                    labels.append(int(kind))
            except (ValueError, OverflowError, csv.Error) as error:
                raise UserError(
                    f"{path}, line {lines.line_num + 1}, does not fit {','.join(COLUMNS)} ({error})."
                ) from error
        places_mm, classes = np.array(positions).reshape(-1, 3), np.array(labels)
        if not np.isfinite(places_mm).all() or not np.isin(classes, (0, 1)).all():
            raise UserError(f"{path} has a position that is not a number, or a class other than 0 and 1.")
        whose = np.array(scan, dtype=np.int32)
        classes[_contradicted(whose, places_mm, classes)] = UNKNOWN
        return cls(tuple(scans), whose, places_mm, classes.astype(np.int8))


def _contradicted(
    scan: npt.NDArray[np.int32], positions_mm: npt.NDArray[np.float64], classes: npt.NDArray[Any]
) -> npt.NDArray[np.bool_]:
    """(n,): whether lines of the same scan and position have both classes."""
    order = np.lexsort((*positions_mm.T, scan))
    ordered = np.c_[scan, positions_mm][order]
    group = np.r_[0, np.cumsum((ordered[1:] != ordered[:-1]).any(axis=1))][: len(order)]
    nodules = np.bincount(group, classes[order])
    counts = np.bincount(group)
    both = np.empty(len(order), dtype=np.bool_)
    both[order] = ((nodules > 0) & (nodules < counts))[group]
    return both


def find_table(source: Path, name: str = "") -> tuple[Path, tuple[Path, ...]]:
    """The table in `source` or up to two folders below, and the other tables that were passed over.

    name: of its file; "": candidates.csv, else candidates_V2.csv.  Nearer to `source` comes first.  Where there is
    none, the path that it would have.  Raises UserError where two of one name lie equally near and differ.
    """
    names = (name,) if name else FILE_NAMES
    found = [
        sorted(path for path in source.glob(f"{depth}{each}") if path.is_file() and "__MACOSX" not in path.parts)
        for depth in ("", "*/", "*/*/")
        for each in names
    ]
    equally_near = next((paths for paths in found if paths), [])
    if not equally_near:
        return source / names[0], ()
    first, *others = equally_near
    if any(other.read_bytes() != first.read_bytes() for other in others):
        raise UserError(f"{first} and {others[0]} are two tables that differ; keep one, or give the folder above it.")
    passed_over = [path for paths in found for path in paths if path not in equally_near and path.name != first.name]
    return first, tuple(passed_over)


def read_candidates(path: Path) -> Candidates:
    """The table at `path`, read once in a process as long as the file does not change."""
    state = existing_file(path, "LUNA16's candidates").stat()
    return _read_once(path, state.st_mtime_ns, state.st_size)


def _columns(path: Path, header: list[str]) -> list[int]:
    """Where each of COLUMNS stands in the header, in any order and spelling (SeriesUID, series_uid, coordx)."""
    known = [name.strip().lower().replace("_", "").replace(" ", "") for name in header]
    wanted = [name.lower() for name in COLUMNS]
    if any(known.count(name) != 1 for name in wanted):
        raise UserError(f"{path} begins with {','.join(header[:8])!r}, not {','.join(COLUMNS)!r}.")
    return [known.index(name) for name in wanted]


@lru_cache(maxsize=1)
def _read_once(path: Path, changed_ns: int, size: int) -> Candidates:
    return Candidates.read(path)

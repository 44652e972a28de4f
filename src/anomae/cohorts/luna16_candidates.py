"""The candidate table of LUNA16 (candidates.csv, candidates_V2.csv): where to look, in which scan, nodule or not."""

import csv
from array import array
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt

from anomae.cohorts.source_folder import existing_file
from anomae.errors import UserError

COLUMNS = ("seriesuid", "coordX", "coordY", "coordZ", "class")
FILE_NAMES = ("candidates.csv", "candidates_V2.csv")


@dataclass(frozen=True, slots=True)
class Candidates:
    """All lines of the table in its order; line 0 is the first after the header, as the released lists count.

    scans: the seriesuids, in the order they first appear.  scan: (n,) int32, indices in `scans`.  places_mm: (n, 3)
    float64, world x, y, z (LPS).  labels: (n,) int8, 1 for a nodule.
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

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read the table.  Raises UserError, with the line, where it is missing or not such a table."""
        scans: dict[str, int] = {}
        # Half a million lines: typed arrays keep them small, and a plain loop is faster than numpy's parsing of text.
        scan, positions, labels = array("i"), array("d"), array("i")
        with existing_file(path, "LUNA16's candidates").open(
            newline="", encoding="utf-8-sig", errors="replace"
        ) as handle:
            lines = csv.reader(handle)
            try:
                header = next(lines, [])
                if tuple(header) != COLUMNS:
                    raise UserError(f"{path} begins with {','.join(header[:8])!r}, not {','.join(COLUMNS)!r}.")
                for name, x, y, z, kind in lines:
                    scan.append(scans.setdefault(name, len(scans)))
                    positions.extend((float(x), float(y), float(z)))
                    labels.append(int(kind))
            except (ValueError, OverflowError, csv.Error) as error:
                raise UserError(
                    f"{path}, line {lines.line_num}, does not fit {','.join(COLUMNS)} ({error})."
                ) from error
        places_mm, classes = np.array(positions).reshape(-1, 3), np.array(labels)
        if not np.isfinite(places_mm).all() or not np.isin(classes, (0, 1)).all():
            raise UserError(f"{path} has a position that is not a number, or a class other than 0 and 1.")
        return cls(tuple(scans), np.array(scan, dtype=np.int32), places_mm, classes.astype(np.int8))


def read_candidates(path: Path) -> Candidates:
    """The table at `path`, read once in a process as long as the file does not change."""
    state = existing_file(path, "LUNA16's candidates").stat()
    return _read_once(path, state.st_mtime_ns, state.st_size)


@lru_cache(maxsize=1)
def _read_once(path: Path, changed_ns: int, size: int) -> Candidates:
    return Candidates.read(path)

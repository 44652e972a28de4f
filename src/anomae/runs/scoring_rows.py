"""Rows of a store scored into a folder of a run, block by block: scores.csv, maps and reconstructions.

Each block is journalled: a scoring that was stopped goes on, and memory does not grow with the number of slices.
"""

import resource
import sys
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from anomae.arrays import GrowingArray
from anomae.detectors.protocol import Findings, FittedDetector, at_once, engine_of, with_neighbours
from anomae.detectors.registry import told_of
from anomae.files import append_json_line, read_json_lines, write_csv, write_json
from anomae.progress import progress
from anomae.runs.overlapped import read_ahead, worked_at_once, written_behind
from anomae.runs.scored_store import over_neighbours
from anomae.runs.tissue import tissue_of
from anomae.slices.store import SliceStore, grey
from anomae.statistics.neighbours import NEIGHBOURS
from anomae.statistics.pixels import COARSE_LEVELS, level_counts
from anomae.volumes.identity import NOT_KNOWN

BLOCK = 256
# What a detector is given, and where there is tissue
Block = tuple[tuple[npt.NDArray[np.float32], ...], npt.NDArray[np.bool_] | None]


def score_rows(
    detector: FittedDetector,
    store: SliceStore,
    rows: npt.NDArray[np.int64],
    folder: Path,
    split: str,
    *,
    maps: bool = False,
    levels: bool = False,
    tops: bool = False,
    made_of: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Write scores.csv and the arrays of these rows of `split`; returns what `finish` is to write.

    maps: maps.npy and reconstructions.npy.  levels: tissue_levels.npy, how much tissue there is at each level of the
    maps.  tops: map_tops.npy, the highest value of each map.  made_of: what the scores depend on beside the rows; a
    scoring that was stopped goes on only where it is the same.  Neighbours of a slice are of `rows` too.
    """
    began, engine = time.monotonic(), engine_of(detector)
    said = split if engine == "torch" else f"{split}, {engine}"  # two engines' scores are not mixed
    earlier = scored_before(folder, len(rows), said, maps or levels, made_of)
    (folder / "findings.json").unlink(missing_ok=True)
    found = GrowingFindings(folder, (store.channels, *store.image_size), earlier, maps, maps or levels, tops, made_of)
    chosen = store.select(rows)
    title = "score" if split == "test" else f"score, {split}"

    def read(start: int) -> Block:
        block = slice(start, start + BLOCK)
        images = chosen.read(block)
        tissue = tissue_of(store, rows[block], grey(images)) if levels else None
        return with_neighbours(detector, images, partial(chosen.neighbours, block)), tissue

    def inspect(block: Block) -> Findings:
        with told_of(detector.name, detector.name):
            return detector.inspect(*block[0])

    try:
        with progress(title, len(rows), "slices", found.rows) as bar, written_behind(found.append) as append:
            blocks = read_ahead(read, range(found.rows, len(rows), BLOCK))
            for (given, tissue), findings in worked_at_once(inspect, blocks, at_once(detector)):
                append(findings, said, len(rows), tissue)
                bar.advance(len(given[0]))
    finally:
        found.close()
    seconds, done = time.monotonic() - began, len(rows) - (earlier["rows"] if earlier else 0)
    write_scores(folder / "scores.csv", store, rows, found.names, found.scores)
    facts = {"detector": detector.name, "engine": engine, "map_name": detector.map_name, "split": split}
    speed = {"seconds": round(seconds, 3), "images_per_s": round(done / max(seconds, 1e-9), 2)}
    return {**facts, "images": len(rows), **speed}


def finish(folder: Path, facts: dict[str, Any]) -> None:
    """Write findings.json, which means that the scoring is whole."""
    write_json(folder / "findings.json", {**facts, "peak_memory_mb": _peak_memory_mb()})


class GrowingFindings:
    """Scores, maps and reconstructions as they grow on disk, and the journal that vouches for them."""

    def __init__(
        self,
        folder: Path,
        shape: tuple[int, int, int],
        earlier: dict[str, Any] | None,
        maps: bool,
        kept: bool,
        tops: bool = False,
        made_of: Mapping[str, Any] | None = None,
    ) -> None:
        """shape: (c, h, w) of an image."""
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.shape, self.maps, self.kept, self.tops = folder, shape, maps, kept, tops
        self.made_of = None if made_of is None else dict(made_of)
        self.rows = earlier["rows"] if earlier else 0
        self.names: list[str] = list(earlier["names"]) if earlier else []
        self.arrays: dict[str, GrowingArray] = {}
        if not earlier:
            (folder / "journal.jsonl").unlink(missing_ok=True)
            for name in ("scores.csv", "maps.npy", "reconstructions.npy", "tissue_levels.npy", "map_tops.npy"):
                (folder / name).unlink(missing_ok=True)
        else:
            for name in earlier["arrays"]:
                self._open(name)

    def append(self, findings: Findings, split: str, total: int, tissue: npt.NDArray[np.bool_] | None = None) -> None:
        """Write one block, then vouch for it.  tissue: (k, h, w), to count the levels of the maps in it."""
        if not self.names:
            self.names = ["score", *(f"score_{name}" for name in findings.other_scores)]
        columns = [findings.scores, *(findings.other_scores[name[6:]] for name in self.names[1:])]
        self._append("scores", np.stack([np.asarray(column, np.float64) for column in columns], axis=1))
        if self.maps and findings.maps is not None:
            self._append("maps", findings.maps)
        if self.maps and findings.reconstructions is not None:
            self._append("reconstructions", findings.reconstructions)
        if tissue is not None and findings.maps is not None:
            self._append("tissue_levels", level_counts(findings.maps, tissue))
        if self.tops and findings.maps is not None:
            self._append("map_tops", findings.maps.max(axis=(1, 2)))
        self.rows += len(findings.scores)
        line = {"rows": self.rows, "names": self.names, "arrays": list(self.arrays), "split": split, "total": total}
        append_json_line(self.folder / "journal.jsonl", {**line, "maps": self.kept, "made_of": self.made_of})

    def close(self) -> None:
        """Finish the arrays' files."""
        for array in self.arrays.values():
            array.close()

    @property
    def scores(self) -> npt.NDArray[np.float64]:
        """(n, columns), read back from disk."""
        read: npt.NDArray[np.float64] = np.load(self.folder / "scores.npy", allow_pickle=False)
        return read

    def _append(self, name: str, block: npt.NDArray[Any]) -> None:
        if name not in self.arrays:
            self._open(name)
        self.arrays[name].append(block)

    def _open(self, name: str) -> None:
        kinds: dict[str, tuple[tuple[int, ...], Any]] = {
            "scores": ((len(self.names),), np.float64),
            "tissue_levels": ((COARSE_LEVELS,), np.uint32),
            "map_tops": ((), np.float64),
            "maps": (self.shape[1:], np.float16),
            "reconstructions": (self.shape, np.float16),
        }
        shape, dtype = kinds[name]
        self.arrays[name] = GrowingArray(self.folder / f"{name}.npy", shape, dtype, self.rows)


def scored_before(
    folder: Path, total: int, split: str, maps: bool, made_of: Mapping[str, Any] | None = None
) -> dict[str, Any] | None:
    """The last line of an unfinished scoring of the same slices; None where there is none to go on from."""
    lines = read_json_lines(folder / "journal.jsonl")
    if not lines or (folder / "findings.json").exists():
        return None
    last = lines[-1]
    same = (last["total"], last["split"], last["maps"], last.get("made_of")) == (total, split, maps, made_of)
    return last if same else None


def write_scores(
    path: Path, store: SliceStore, rows: npt.NDArray[np.int64], names: list[str], scores: npt.NDArray[np.float64]
) -> None:
    """Write scores.csv; names, scores (n, columns): of these rows."""
    index, smoothed = store.index, over_neighbours(store, rows, scores[:, 0])
    if smoothed is not None:
        names, scores = [*names, NEIGHBOURS], np.column_stack([scores, smoothed])
    own = ("file_slice", "sop_instance_uid", "instance_number")
    columns = ("row", "case", "patient", "slice", "position_mm", "label", *own, *names)

    def lines() -> Any:
        for number, row in enumerate(rows):
            label, position = int(index.label[row]), float(index.position_mm[row])
            known = [
                int(row),
                index.case[row],
                index.patient[row],
                int(index.slice[row]),
                "" if np.isnan(position) else f"{position:.3f}",
                "" if label < 0 else label,
                *("" if (value := getattr(index, name)[row]) == NOT_KNOWN else value for name in own),
            ]
            yield [*known, *(repr(float(value)) for value in scores[number])]

    write_csv(path, columns, lines())


def _peak_memory_mb() -> float:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (1 << 20 if sys.platform == "darwin" else 1 << 10), 1)

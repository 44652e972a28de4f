"""The stage `score` on the store's test split: scores.csv, maps and reconstructions; memory stays bounded."""

import resource
import sys
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from anomae.arrays import GrowingArray
from anomae.detectors.protocol import Findings, FittedDetector, with_neighbours
from anomae.detectors.registry import load_detector
from anomae.errors import UserError
from anomae.files import append_json_line, read_json_lines, write_csv, write_json
from anomae.inference.fitted import engine_of
from anomae.locks import locked
from anomae.progress import progress
from anomae.runs.pretext import write_pretext
from anomae.runs.run import Run
from anomae.runs.scored_store import relative_positions_of
from anomae.runs.tissue import tissue_of
from anomae.slices.store import SliceStore, grey
from anomae.statistics.neighbours import NEIGHBOURS, has_neighbours, smoothed_over_neighbours
from anomae.statistics.pixels import COARSE_LEVELS, level_counts
from anomae.training.settings import DeviceSettings
from anomae.volumes.identity import NOT_KNOWN

BLOCK = 256
CALIBRATION_SPLIT = "validation"


def score(
    run: Path | str,
    *,
    split: str = "test",
    store: Path | None = None,
    device: DeviceSettings | None = None,
    maps: bool = True,
    calibration: bool = True,
    load: Callable[[Path, DeviceSettings | None], FittedDetector] | None = None,
) -> Path:
    """Score every slice of `split` of the run's store; returns the folder of the findings.

    Works in blocks of 256 slices, each journalled: a stopped scoring goes on, and memory does not grow with the slices.
    scores.csv has a column for every score of the detector and, of slices of scans, score_neighbours, smoothed over the
    neighbouring slices scored.  A detector that looks at neighbours gets those of the same split, whatever their label.
    maps: also write maps.npy, (n, h, w), and reconstructions.npy, (n, c, h, w), float16, ordered as scores.csv is.
    calibration: with the test split, score the normal validation slices too, into RUN/calibration: from them `evaluate`
    takes a threshold that has seen no abnormal image.  load: reads the fitted detector (see anomae.export.choice).
    Raises UserError where the run is not fitted, its store is gone or another process is writing the run.
    """
    opened_run = Run(Path(run))
    if not opened_run.is_fitted:
        raise UserError(f"{run} is not fitted yet; run `anomae fit` (again) to finish it.")
    opened = opened_run.open_store(store)
    rows = opened.rows(split)
    if not len(rows):
        raise UserError(f"The store {opened.folder} has no slice in its {split} split.")
    detector = (load or load_detector)(opened_run.fitted, device or _device_of(opened_run.facts()))
    with locked(opened_run.folder):
        facts = _score_rows(detector, opened, rows, opened_run.findings, split, maps, False)
        held_out = opened.rows(CALIBRATION_SPLIT, label=0)
        if calibration and split == "test" and len(held_out):
            of_normals = _score_rows(detector, opened, held_out, opened_run.calibration, CALIBRATION_SPLIT, False, maps)
            write_pretext(detector, opened, held_out, opened_run)
            _finish(opened_run.calibration, of_normals)
        _finish(opened_run.findings, facts)
    return opened_run.findings


def _device_of(facts: Mapping[str, Any]) -> DeviceSettings:
    """Where the run was fitted: scores repeat exactly on the same device in the same precision."""
    given = facts["settings"].get("device", {})
    return DeviceSettings.model_validate({key: given[key] for key in DeviceSettings.model_fields if key in given})


def _score_rows(
    detector: FittedDetector,
    store: SliceStore,
    rows: npt.NDArray[np.int64],
    folder: Path,
    split: str,
    maps: bool,
    levels: bool,
) -> dict[str, Any]:
    """Write scores.csv and the arrays of these rows; returns what findings.json is to say, not written yet."""
    began, engine = time.monotonic(), engine_of(detector)
    said = split if engine == "torch" else f"{split}, {engine}"  # two engines' scores are not mixed
    earlier = _scored_before(folder, len(rows), said, maps or levels)
    (folder / "findings.json").unlink(missing_ok=True)
    found = _Growing(folder, (store.channels, *store.image_size), earlier, maps, maps or levels)
    chosen = store.select(rows, among=store.rows(split))
    title = "score" if split == "test" else f"score, {split}"
    try:
        with progress(title, len(rows), "slices", found.rows) as bar:
            for start in range(found.rows, len(rows), BLOCK):
                here = rows[start : start + BLOCK]
                block = slice(start, start + BLOCK)
                images = chosen.read(block)
                given = with_neighbours(detector, images, partial(chosen.neighbours, block))
                tissue = tissue_of(store, here, grey(images)) if levels else None
                found.append(detector.inspect(*given), said, len(rows), tissue)
                bar.advance(len(images))
    finally:
        found.close()
    seconds, done = time.monotonic() - began, len(rows) - (earlier["rows"] if earlier else 0)
    _write_scores(folder / "scores.csv", store, rows, found.names, found.scores)
    facts = {"detector": detector.name, "engine": engine, "map_name": detector.map_name, "split": split}
    speed = {"seconds": round(seconds, 3), "images_per_s": round(done / max(seconds, 1e-9), 2)}
    return {**facts, "images": len(rows), **speed}


def _finish(folder: Path, facts: dict[str, Any]) -> None:
    write_json(folder / "findings.json", {**facts, "peak_memory_mb": _peak_memory_mb()})


class _Growing:
    """Scores, maps and reconstructions as they grow on disk, and the journal that vouches for them."""

    def __init__(
        self, folder: Path, shape: tuple[int, int, int], earlier: dict[str, Any] | None, maps: bool, kept: bool
    ) -> None:
        """shape: (c, h, w) of an image."""
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.shape, self.maps, self.kept = folder, shape, maps, kept
        self.rows = earlier["rows"] if earlier else 0
        self.names: list[str] = list(earlier["names"]) if earlier else []
        self.arrays: dict[str, GrowingArray] = {}
        if not earlier:
            (folder / "journal.jsonl").unlink(missing_ok=True)
            for name in ("scores.csv", "maps.npy", "reconstructions.npy", "tissue_levels.npy"):
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
        self.rows += len(findings.scores)
        line = {"rows": self.rows, "names": self.names, "arrays": list(self.arrays), "split": split, "total": total}
        append_json_line(self.folder / "journal.jsonl", {**line, "maps": self.kept})

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
            "maps": (self.shape[1:], np.float16),
            "reconstructions": (self.shape, np.float16),
        }
        shape, dtype = kinds[name]
        self.arrays[name] = GrowingArray(self.folder / f"{name}.npy", shape, dtype, self.rows)


def _scored_before(folder: Path, total: int, split: str, maps: bool) -> dict[str, Any] | None:
    """The last line of an unfinished scoring of the same slices; None where there is none to go on from."""
    lines = read_json_lines(folder / "journal.jsonl")
    if not lines or (folder / "findings.json").exists():
        return None
    last = lines[-1]
    same = (last["total"], last["split"], last["maps"]) == (total, split, maps)
    return last if same else None


def _write_scores(
    path: Path, store: SliceStore, rows: npt.NDArray[np.int64], names: list[str], scores: npt.NDArray[np.float64]
) -> None:
    index, smoothed = store.index, _over_neighbours(store, rows, scores[:, 0])
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


def _over_neighbours(
    store: SliceStore, rows: npt.NDArray[np.int64], scores: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64] | None:
    """The scores (n,) of these rows smoothed over neighbours; None where no slice has one.

    Only where slice numbers are positions in a scan: those of pictures and patches count something else.
    """
    inside = np.isfinite(relative_positions_of(store)[0][rows])
    case, number = store.index.case[rows[inside]], store.index.slice[rows[inside]]
    if not has_neighbours(case, number):
        return None
    smoothed = scores.copy()
    smoothed[inside] = smoothed_over_neighbours(scores[inside], case, number)
    return smoothed


def _peak_memory_mb() -> float:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (1 << 20 if sys.platform == "darwin" else 1 << 10), 1)

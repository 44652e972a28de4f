"""What a store tells the report about the scored slices: their columns, their positions, and the trivial baselines."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from anomae.arrays import map_array
from anomae.errors import UserError
from anomae.files import read_json
from anomae.progress import Progress
from anomae.runs.score_table import Table
from anomae.slices.store import SliceStore, grey
from anomae.statistics.neighbours import has_neighbours, smoothed_over_neighbours
from anomae.statistics.positions import relative_positions
from anomae.statistics.scored import ScoredSlices
from anomae.statistics.trivial_baselines import intensity_baselines, known_baselines, labelled_elsewhere
from anomae.volumes.orientation import axial_view
from anomae.volumes.pictures import picture_size
from anomae.volumes.volume import Grid

BLOCK = 64

Rows = npt.NDArray[np.int64]


def scored_rows(table: Table, store: SliceStore, split: str) -> Rows:
    """The rows of the store (n,) that the lines of scores.csv mean.

    Raises UserError where a line does not say the same as the store's index: the scores are then of other slices.
    """
    rows, index = table.whole_numbers("row"), store.index
    advice = "these are scores of another store; run `anomae score` again."
    if len(np.unique(rows)) < len(rows):
        raise UserError(f"{table.path} scores a row twice; run `anomae score` again.")
    if len(rows) and not (rows.min() >= 0 and rows.max() < len(index)):
        raise UserError(f"{table.path} names rows that {store.folder} does not have: {advice}")
    known = {"case": index.case[rows], "patient": index.patient[rows], "slice": index.slice[rows].astype(np.str_)}
    for name, expected in known.items():
        odd = np.flatnonzero(table.text(name) != expected)
        if len(odd):
            raise UserError(f"{table.path}, line {odd[0] + 2}: the {name} is not that of the store's row: {advice}")
    label = table.labels()
    odd = np.flatnonzero((label != index.label[rows]) & (label >= 0))
    if len(odd):
        raise UserError(f"{table.path}, line {odd[0] + 2}: the label is not that of the store's row: {advice}")
    odd = np.flatnonzero(index.split[rows] != split)
    if len(odd):
        raise UserError(
            f"{table.path}, line {odd[0] + 2}: this slice is not in the {split} split of the store: {advice}"
        )
    return rows


def relative_positions_of(store: SliceStore) -> tuple[npt.NDArray[np.float64], int]:
    """Position in the scan of every row of the store (n,), NaN for pictures and patches; and a scan's usual depth."""
    index = store.index
    path = store.folder / "cases.json"
    cases: dict[str, Any] = read_json(path) if path.exists() else {}
    extents = {}
    for name, facts in cases.items():
        if isinstance(facts, dict) and facts.get("grid"):
            grid = Grid.from_json(facts["grid"])
            extents[name] = (0, grid.shape[axial_view(grid).axes[0]] - 1)
    if store.numbered_in_order and len(index):
        # Empty ends may not be in the store: the longest scan says how long all of them are.
        extents = {str(case): (0, int(index.slice.max())) for case in np.unique(index.case)} | extents
    depth = int(np.median([last + 1 for _, last in extents.values()])) if extents else 0
    return relative_positions(index.case, index.slice, extents), depth


def slices_at(store: SliceStore, rows: Rows, relative: npt.NDArray[np.float64]) -> ScoredSlices:
    """The columns of the store's index at `rows`; relative: of every row of the store."""
    index = store.index
    return ScoredSlices(
        case=index.case[rows],
        patient=index.patient[rows],
        slice=index.slice[rows],
        label=index.label[rows],
        relative_position=relative[rows],
        empty=index.empty[rows],
        body_fraction=index.body_fraction[rows],
        site=index.site[rows],
        filled=index.filled[rows],
    )


def trivial_baselines_on(
    store: SliceStore,
    rows: Rows,
    slices: ScoredSlices,
    split: str,
    relative: npt.NDArray[np.float64],
    depth: int,
    bar: Progress,
) -> dict[str, npt.NDArray[np.float64]]:
    """Every trivial baseline that can be computed on these rows, (n,) each; images are read a block at a time.

    slices: the columns of `rows`.  relative: of every row of the store.
    """

    def batches() -> Iterator[npt.NDArray[np.float32]]:
        for images in store.select(rows).batches(BLOCK):
            yield grey(images)
            bar.advance(len(images))

    index = store.index
    elsewhere = labelled_elsewhere(index.split, index.label, split)
    learned = (relative[elsewhere], index.label[elsewhere]) if len(elsewhere) else None
    trivial_baselines = known_baselines(slices, relative[store.rows("train", label=0)], depth, learned)
    trivial_baselines |= intensity_baselines(batches())
    sizes = file_sizes(store, rows)
    return trivial_baselines if sizes is None else {**trivial_baselines, "file_size": sizes}


def file_sizes(store: SliceStore, rows: Rows) -> npt.NDArray[np.float64] | None:
    """Bytes of the picture that each row came from; None unless each is a picture of its own that is still there."""
    files = _picture_files(store, rows)
    return None if files is None else np.array([file.stat().st_size for file in files], dtype=np.float64)


def file_kinds(store: SliceStore, rows: Rows) -> npt.NDArray[np.str_] | None:
    """What kind of file each row came from, such as "jpg 512x512"; None where `file_sizes` is, or one cannot be read.

    A detector sees neither, but what a picture was before it was shrunk shows in its blur and its frame.
    """
    files = _picture_files(store, rows)
    if files is None:
        return None
    kinds = []
    for file in files:
        size = picture_size(file)
        if size is None:
            return None
        kinds.append(f"{file.suffix.lower().lstrip('.')} {size[0]}x{size[1]}")
    return np.array(kinds, dtype=np.str_)


def _picture_files(store: SliceStore, rows: Rows) -> list[Path] | None:
    path = store.folder / "cases.json"
    names = store.index.case[rows]
    if not path.exists() or len(np.unique(names)) < len(names):
        return None
    cases: dict[str, Any] = read_json(path)
    files = [Path(str((cases.get(str(name)) or {}).get("source", ""))) for name in names]
    return files if all(file.is_absolute() and file.is_file() for file in files) else None


def finding_array(folder: Path, name: str, shape: tuple[int, ...]) -> npt.NDArray[Any] | None:
    """A file of the findings, mapped; None where absent.  Raises UserError where it is not of this shape."""
    if not (folder / name).exists():
        return None
    mapped = map_array(folder / name)
    if mapped.shape != shape:
        raise UserError(
            f"{folder / name} has shape {mapped.shape} where the scores and the store need {shape}; run `anomae score` "
            "again."
        )
    return mapped


def over_neighbours(
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

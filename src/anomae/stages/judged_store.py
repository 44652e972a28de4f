"""What a store and the findings on it tell the report: columns, trivial rivals, pixel counts, pictures, provenance."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from anomae.arrays import map_array
from anomae.errors import UserError
from anomae.evaluation.floors import intensity_floors, known_floors
from anomae.evaluation.intervals import PatientBootstrap
from anomae.evaluation.pictures import Strip, choose_slices, pseudo_abnormal_strip, slice_strips
from anomae.evaluation.pixels import count_pixels, pixel_figures
from anomae.evaluation.positions import relative_positions
from anomae.evaluation.provenance import labelled_elsewhere
from anomae.evaluation.score_table import Table
from anomae.evaluation.scored import ScoredSlices
from anomae.files import read_json
from anomae.progress import Progress
from anomae.slices.store import SliceStore
from anomae.volumes.orientation import axial_view
from anomae.volumes.volume import Grid

BLOCK = 64
PICTURES = 6
# Cohorts whose slice numbers are places in a scan although no grid is known of them.
STACKS_WITHOUT_GRID = ("brats2020",)

Rows = npt.NDArray[np.int64]


def scored_rows(table: Table, store: SliceStore, part: str) -> Rows:
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
    odd = np.flatnonzero(index.part[rows] != part)
    if len(odd):
        raise UserError(f"{table.path}, line {odd[0] + 2}: this slice is not in the {part} part of the store: {advice}")
    return rows


def relative_positions_of(store: SliceStore) -> tuple[npt.NDArray[np.float64], int]:
    """Place in the scan of every row of the store (n,), NaN for pictures and patches; and a scan's usual depth."""
    index = store.index
    path = store.folder / "cases.json"
    cases: dict[str, Any] = read_json(path) if path.exists() else {}
    extents = {}
    for name, facts in cases.items():
        if isinstance(facts, dict) and facts.get("grid"):
            grid = Grid.from_json(facts["grid"])
            extents[name] = (0, grid.shape[axial_view(grid).axes[0]] - 1)
    if store.prepared.get("cohort") in STACKS_WITHOUT_GRID and len(index):
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
    )


def floors_on(
    store: SliceStore, rows: Rows, part: str, relative: npt.NDArray[np.float64], depth: int, bar: Progress
) -> dict[str, npt.NDArray[np.float64]]:
    """Every trivial rival that can be computed on these rows, (n,) each; images are read a block at a time."""

    def batches() -> Iterator[npt.NDArray[np.float32]]:
        for images in store.select(rows).batches(BLOCK):
            yield images
            bar.advance(len(images))

    index, slices = store.index, slices_at(store, rows, relative)
    elsewhere = labelled_elsewhere(index.part, index.label, part)
    learned = (relative[elsewhere], index.label[elsewhere]) if len(elsewhere) else None
    floors = known_floors(slices, relative[store.rows("train", label=0)], depth, learned)
    floors |= intensity_floors(batches())
    sizes = _file_sizes(store, rows)
    return floors if sizes is None else {**floors, "file_size": sizes}


def _file_sizes(store: SliceStore, rows: Rows) -> npt.NDArray[np.float64] | None:
    """Bytes of the picture that each row came from; None unless each is a picture of its own that is still there."""
    path = store.folder / "cases.json"
    names = store.index.case[rows]
    if not path.exists() or len(np.unique(names)) < len(names):
        return None
    cases: dict[str, Any] = read_json(path)
    sizes = []
    for name in names:
        source = Path(str((cases.get(str(name)) or {}).get("source", "")))
        if not source.is_absolute() or not source.is_file():
            return None
        sizes.append(source.stat().st_size)
    return np.array(sizes, dtype=np.float64)


def finding_array(folder: Path, name: str, store: SliceStore, lines: int) -> npt.NDArray[Any] | None:
    """A file of the findings (n, h, w), mapped; None where absent.  Raises UserError where it does not fit."""
    if not (folder / name).exists():
        return None
    mapped = map_array(folder / name)
    if mapped.shape != (lines, *store.image_size):
        raise UserError(
            f"{folder / name} has shape {mapped.shape} where {lines} scores of {store.image_size} images are: "
            "run `anomae score` again."
        )
    return mapped


def judge_pixels(
    store: SliceStore, rows: Rows, maps: npt.NDArray[Any] | None, places: Rows, resamples: int, seed: int, bar: Progress
) -> dict[str, Any] | None:
    """Pixel figures of the maps and of the images themselves; None where no mask or map is known.

    rows: (n,) of the store.  places: (n,), where in `maps` each of them stands.
    """
    known = np.flatnonzero(~np.isnan(store.index.lesion_fraction[rows]))
    if maps is None or not store.has_lesions or len(known) == 0:
        return None
    _, patient = np.unique(store.index.patient[rows[known]], return_inverse=True)
    if not (store.index.lesion_fraction[rows[known]] > 0).any():
        return None

    def batches(pixels: Callable[[Rows], npt.NDArray[Any]]) -> Iterator[tuple[npt.NDArray[Any], npt.NDArray[np.bool_]]]:
        for start in range(0, len(known), BLOCK):
            here = known[start : start + BLOCK]
            yield pixels(here), store.lesions(rows[here])
            bar.advance(len(here))

    stacks = {
        "map": lambda here: np.asarray(maps[places[here]]),
        "image_intensity": lambda here: store.select(rows[here]).read(slice(None)),
    }
    content: dict[str, Any] = {"slices": len(known)}
    for name, pixels in stacks.items():
        counts = count_pixels(batches(pixels), patient)
        content["lesion_share"] = float(counts.exact[1].sum() / counts.exact.sum())
        figures = pixel_figures(counts, PatientBootstrap(patient, min(resamples, 1000), seed))
        content[name] = {metric: estimate.interval().to_json() for metric, estimate in figures.items()}
    return content


def picture_strips(
    store: SliceStore,
    rows: Rows,
    places: Rows,
    scores: npt.NDArray[np.float64],
    maps: npt.NDArray[Any] | None,
    reconstructions: npt.NDArray[Any] | None,
) -> list[Strip]:
    """Pictures of the best found and the worst judged slices; `rows` and `places` as in `judge_pixels`."""
    index = store.index

    def stack(found: npt.NDArray[Any] | None) -> Callable[[list[int]], npt.NDArray[np.float32] | None]:
        return lambda chosen: None if found is None else np.asarray(found[places[chosen]], dtype=np.float32)

    return slice_strips(
        choose_slices(index.label[rows], scores, PICTURES),
        lambda place: f"score {scores[place]:.3g}; row {rows[place]}, slice {index.slice[rows[place]]}",
        lambda chosen: store.select(rows[chosen]).read(slice(None)),
        stack(reconstructions),
        stack(maps),
        lambda chosen: store.lesions(rows[chosen]) if store.has_lesions else None,
    )


def sample_strips(path: Path) -> list[Strip]:
    """The training samples of the classifier, where the run kept some."""
    if not path.exists():
        return []
    try:
        with np.load(path, allow_pickle=False) as archive:
            samples = {name: archive[name] for name in ("images", "reconstructions", "pseudo_abnormal")}
    except (OSError, ValueError, KeyError) as error:
        raise UserError(f"{path} is not readable ({error}); remove it to have a report without samples.") from error
    return [pseudo_abnormal_strip(samples, PICTURES)] if len(samples["images"]) else []

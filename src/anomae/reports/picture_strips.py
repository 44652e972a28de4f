"""The pictures of a report: the best found and the worst judged slices, and what the classifier learned from."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from anomae.errors import UserError
from anomae.reports.pictures import Strip, body_strip, choose_slices, pseudo_abnormal_strip, slice_strips
from anomae.slices.store import SliceStore

PICTURES = 6
Rows = npt.NDArray[np.int64]


def picture_strips(
    store: SliceStore,
    rows: Rows,
    indices: Rows,
    scores: npt.NDArray[np.float64],
    maps: npt.NDArray[Any] | None,
    reconstructions: npt.NDArray[Any] | None,
) -> list[Strip]:
    """Pictures of the best found and the worst judged slices, all on one intensity scale.

    rows: (n,) of the store.  indices: (n,), where in `maps` and `reconstructions` each of them stands.
    """
    index = store.index

    def stack(found: npt.NDArray[Any] | None) -> Callable[[list[int]], npt.NDArray[np.float32] | None]:
        return lambda chosen: None if found is None else np.asarray(found[indices[chosen]], dtype=np.float32)

    return slice_strips(
        choose_slices(index.label[rows], scores, PICTURES),
        lambda place: f"score {scores[place]:.3g}; row {rows[place]}, slice {index.slice[rows[place]]}",
        lambda chosen: store.select(rows[chosen]).pictures(slice(None)),
        stack(reconstructions),
        stack(maps),
        lambda chosen: store.lesions(rows[chosen]) if store.has_lesions else None,
    )


def preparation_strips(store: SliceStore, rows: Rows, relative: npt.NDArray[np.float64]) -> list[Strip]:
    """What the preparation left of a slice of each of some cases, the nearest to mid-scan; none for plain.

    rows: (n,) of the store.  relative: (n,) their places in the scan, NaN where unknown.  Cases are evenly spaced.
    """
    if not store.has_bodies or not len(rows):
        return []
    names, first = np.unique(store.index.case[rows], return_index=True)
    names = names[np.argsort(first)]
    off_middle = np.abs(np.nan_to_num(relative, nan=0.5) - 0.5)
    chosen = []
    for name in names[np.unique(np.linspace(0, len(names) - 1, PICTURES).astype(np.int64))]:
        own = np.flatnonzero(store.index.case[rows] == name)
        chosen.append(int(own[np.argmin(off_middle[own])]))
    these = rows[chosen]
    captions = [f"row {row}; slice {store.index.slice[row]}" for row in these]
    kind = str(store.prepared["settings"]["preparation"])
    return [body_strip(kind, store.select(these).pictures(slice(None)), store.bodies(these), captions)]


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

"""The pictures of a report: its clearest and its worst slices, and what the classifier learned from."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from anomae.arrays import BROKEN_ARRAY
from anomae.errors import UserError
from anomae.reports.pictures import Strip, body_strip, choose_slices, pseudo_abnormal_strip, slice_strips
from anomae.slices.store import SliceStore, grey

PICTURES = 6
Rows = npt.NDArray[np.int64]


def picture_strips(
    store: SliceStore,
    rows: Rows,
    indices: Rows,
    scores: npt.NDArray[np.float64],
    maps: npt.NDArray[Any] | None,
    reconstructions: npt.NDArray[Any] | None,
    map_name: str,
    threshold: float | None = None,
) -> list[Strip]:
    """Pictures of the clearest true positives and of the worst errors, all on one intensity scale.

    rows: (n,) of the store.  indices: (n,), where in `maps` (m, h, w) and `reconstructions` (m, c, h, w) each of them
    stands.  map_name: what the maps' numbers are.  threshold: of findings, which are outlined; None: of none.
    """
    index = store.index

    def heat(chosen: list[int]) -> npt.NDArray[np.float32] | None:
        return None if maps is None else np.asarray(maps[indices[chosen]], dtype=np.float32)

    def healthy(chosen: list[int]) -> npt.NDArray[np.float32] | None:
        return None if reconstructions is None else grey(np.asarray(reconstructions[indices[chosen]], dtype=np.float32))

    return slice_strips(
        choose_slices(index.label[rows], scores, PICTURES),
        lambda one: f"score {scores[one]:.3g}; row {rows[one]}{said_slice(store, rows[one])}",
        lambda chosen: store.select(rows[chosen]).pictures(slice(None)),
        healthy,
        heat,
        lambda chosen: store.lesions(rows[chosen]) if store.has_lesions else None,
        map_name,
        threshold=threshold,
        # A slice whose position in the world is known is seen from the feet; a picture may be any way.
        ignored=lambda chosen: ~store.judged(rows[chosen]) if store.has_ignored else None,
        sides=bool(len(rows)) and bool(np.isfinite(index.position_mm[rows]).all()),
    )


def said_slice(store: SliceStore, row: int) -> str:
    """ ", slice 12" of a row of the store; "" where there are no slices to tell apart, as of single pictures."""
    index = store.index
    alone = np.isnan(index.position_mm[row]) and np.count_nonzero(index.case == index.case[row]) == 1
    if store.prepared.get("order") == "none" or (alone and not store.numbered_in_order):
        return ""
    return f", slice {index.slice[row]}"


def preparation_strips(store: SliceStore, rows: Rows, relative: npt.NDArray[np.float64]) -> list[Strip]:
    """What the preparation left of a slice of each of some cases, the nearest to mid-scan; none for plain.

    rows: (n,) of the store.  relative: (n,) their positions in the scan, NaN where unknown.  Cases are evenly spaced.
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
    captions = [f"row {row}{said_slice(store, row)}" for row in these]
    kind = str(store.prepared["settings"]["preparation"])
    return [body_strip(kind, store.select(these).pictures(slice(None)), store.bodies(these), captions)]


def sample_strips(path: Path) -> list[Strip]:
    """The training samples of the classifier, where the run kept some."""
    if not path.exists():
        return []
    try:
        with np.load(path, allow_pickle=False) as archive:
            samples = {name: _pictures(archive[name]) for name in ("images", "reconstructions", "pseudo_abnormal")}
    except (*BROKEN_ARRAY, KeyError) as error:
        raise UserError(f"{path} is not readable ({error}); remove it to have a report without samples.") from error
    return [pseudo_abnormal_strip(samples, PICTURES)] if len(samples["images"]) else []


def _pictures(images: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """Kept images (k, c, h, w), or (k, h, w) of one channel, in grey: (k, h, w)."""
    stack = np.asarray(images, dtype=np.float32)
    return grey(stack) if stack.ndim == 4 else stack

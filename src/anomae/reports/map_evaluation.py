"""Maps judged against lesion masks, pixel by pixel and lesion by lesion, beside the image itself taken as a map."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from anomae.progress import Progress
from anomae.runs.tissue import tissue_of
from anomae.slices.store import SliceStore
from anomae.statistics.intervals import PatientBootstrap
from anomae.statistics.lesions import LesionCounts, aupro_estimate, figures_at_threshold
from anomae.statistics.pixels import (
    count_pixels,
    level_counts,
    level_value,
    map_threshold,
    pixel_figures,
)

BLOCK = 64
NO_MAP_THRESHOLD = (
    "No threshold for maps: there are no maps of held-out normal slices, so Dice at the operating point, lesions found "
    "and healthy tissue flagged cannot be given."
)
Rows = npt.NDArray[np.int64]
LevelCounts = tuple[npt.NDArray[np.uint32], npt.NDArray[np.str_]]


def evaluate_maps(
    store: SliceStore,
    rows: Rows,
    maps: npt.NDArray[Any] | None,
    indices: Rows,
    calibration: LevelCounts | None,
    resamples: int,
    seed: int,
    bar: Progress,
) -> dict[str, Any] | None:
    """Pixel and lesion figures of the maps and of the images themselves; None where no mask or map is known.

    rows: (n,) of the store.  indices: (n,), where in `maps` each of them stands.  calibration: pixels of held-out
    healthy tissue by level (m, 4096), and the patient of each of these slices (m,).
    """
    index = store.index
    known = np.flatnonzero(~np.isnan(index.lesion_fraction[rows]))
    if maps is None or not store.has_lesions or not (index.lesion_fraction[rows[known]] > 0).any():
        return None
    _, patient = np.unique(index.patient[rows[known]], return_inverse=True)
    thresholds = {
        "map": None if calibration is None else map_threshold(*calibration),
        "image_intensity": _image_threshold(store),
    }
    bootstrap = PatientBootstrap(patient, min(resamples, 1000), seed)
    content: dict[str, Any] = {"slices": len(known), "note": "" if calibration is not None else NO_MAP_THRESHOLD}
    for name, threshold in thresholds.items():
        counter = LesionCounts(int(patient.max()) + 1, threshold)

        def batches(
            name: str = name, counter: LesionCounts = counter
        ) -> Iterator[tuple[npt.NDArray[Any], npt.NDArray[np.bool_]]]:
            for start in range(0, len(known), BLOCK):
                here = known[start : start + BLOCK]
                images, lesions = store.select(rows[here]).pictures(slice(None)), store.lesions(rows[here])
                found = np.asarray(maps[indices[here]]) if name == "map" else images
                tissue = tissue_of(store, rows[here], images)
                counter.add(found, lesions, tissue, patient[start : start + BLOCK])
                yield found, lesions
                bar.advance(len(here))

        counts = count_pixels(batches(), patient)
        content["lesion_share"] = float(counts.exact[1].sum() / counts.exact.sum())
        figures = pixel_figures(counts, bootstrap) | {"aupro": aupro_estimate(counts, counter, bootstrap)}
        content[name] = {
            **{metric: estimate.interval().to_json() for metric, estimate in figures.items()},
            "at_threshold": None
            if threshold is None
            else {"threshold": level_value(threshold), **figures_at_threshold(counter, bootstrap)},
        }
    return content


def _image_threshold(store: SliceStore) -> int | None:
    """The threshold of the image itself as a map, from the normal validation slices of the store."""
    rows = store.rows("validation", label=0)
    if not len(rows):
        return None
    counts = []
    for start in range(0, len(rows), BLOCK):
        part = rows[start : start + BLOCK]
        images = store.select(part).pictures(slice(None))
        counts.append(level_counts(images, tissue_of(store, part, images)))
    return map_threshold(np.concatenate(counts), store.index.patient[rows])

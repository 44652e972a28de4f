"""Maps evaluated against lesion masks, pixel by pixel and lesion by lesion, beside the image itself taken as a map."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from anomae.progress import Progress
from anomae.reports.schema_maps import AtThreshold, Lesions, MapFigures, Pixel
from anomae.reports.schema_values import Share
from anomae.runs.calibration import LevelCounts
from anomae.runs.tissue import tissue_of
from anomae.slices.store import SliceStore
from anomae.statistics.intervals import PatientBootstrap
from anomae.statistics.lesions import LesionCounts, ThresholdFigures, aupro_estimate, figures_at_threshold
from anomae.statistics.pixels import (
    Batch,
    PixelCounts,
    count_pixels,
    level_counts,
    level_value,
    map_threshold,
    pixel_figures,
    pixel_levels,
)

BLOCK = 64
MOST_RESAMPLES = 1000  # of counts by pixel, which are large
NO_MAP_THRESHOLD = (
    "No threshold for maps: there are no maps of held-out normal slices, so Dice at the operating point, lesions "
    "detected and healthy tissue flagged cannot be given."
)
Rows = npt.NDArray[np.int64]


def evaluate_maps(
    store: SliceStore,
    rows: Rows,
    maps: npt.NDArray[Any] | None,
    indices: Rows,
    calibration: LevelCounts | None,
    bootstrap: PatientBootstrap,
    bar: Progress,
    map_name: str,
) -> Pixel | None:
    """Pixel and lesion figures of the maps and of the images themselves; None where no mask or map is known.

    rows: (n,) of the store.  indices: (n,), where in `maps` each of them stands.  calibration: pixels of held-out
    healthy tissue by level (m, 4096), and the patient of each of these slices (m,).  bootstrap: over the patients of
    these rows; at most 1,000 of its resamples are used.  map_name: what the maps' numbers are.
    """
    index = store.index
    known = np.flatnonzero(~np.isnan(index.lesion_fraction[rows]))
    if maps is None or not store.has_lesions or not (index.lesion_fraction[rows[known]] > 0).any():
        return None
    _, patient = np.unique(index.patient[rows[known]], return_inverse=True)
    own = bootstrap.of(patient, most=MOST_RESAMPLES)

    def evaluated(name: str, threshold: int | None) -> tuple[MapFigures, PixelCounts]:
        def batches(counter: LesionCounts | None = None) -> Iterator[Batch]:
            for start in range(0, len(known), BLOCK):
                here = known[start : start + BLOCK]
                lesions = store.lesions(rows[here])
                judged = store.judged(rows[here]) if store.has_ignored else None
                if counter is None and name == "map":  # the pictures are not needed yet
                    block = np.asarray(maps[indices[here]])
                else:
                    pictures = store.select(rows[here]).pictures(slice(None))
                    block = np.asarray(maps[indices[here]]) if name == "map" else pictures
                if counter is not None:
                    tissue = tissue_of(store, rows[here], pictures)
                    counter.add(block, lesions, tissue, patient[start : start + BLOCK], judged)
                    bar.advance(len(here))
                yield (block, lesions) if judged is None else (block, lesions, judged)

        patients = int(patient.max()) + 1
        levels = pixel_levels(batches(), patients)
        counter = LesionCounts(patients, levels, threshold)
        counts = count_pixels(batches(counter), patient, levels)
        figures = pixel_figures(counts, own) | {"aupro": aupro_estimate(counts, counter, own)}
        at = None if threshold is None else _at_threshold(threshold, figures_at_threshold(counter))
        shares = {metric: Share.of(estimate) for metric, estimate in figures.items()}
        return MapFigures.model_validate({**shares, "at_threshold": at}), counts

    of_map, counts = evaluated("map", None if calibration is None else map_threshold(*calibration))
    of_images, _ = evaluated("image_intensity", image_threshold(store))
    return Pixel(
        slices=len(known),
        lesion_share=float(counts.levels.exact[1].sum() / counts.levels.exact.sum()),
        note=" ".join([*([] if calibration is not None else [NO_MAP_THRESHOLD]), *_ignored_note(store, rows[known])]),
        map_name=map_name,
        map=of_map,
        image_intensity=of_images,
    )


def _ignored_note(store: SliceStore, rows: Rows) -> list[str]:
    if not store.has_ignored:
        return []
    ignored = sum(
        np.count_nonzero(~store.judged(rows[start : start + BLOCK])) for start in range(0, len(rows), BLOCK)
    ) / (len(rows) * store.image_size[0] * store.image_size[1])
    return [f"{100 * ignored:.1f} % of the pixels are not to be judged (ignore) and are in no figure of maps."]


def _at_threshold(threshold: int, figures: ThresholdFigures) -> AtThreshold:
    groups = {
        name: Lesions(
            lesions=group.lesions,
            smallest_px=group.smallest_px,
            largest_px=group.largest_px,
            detected=Share.of_known(group.detected),
            touched=Share.of_known(group.touched),
        )
        for name, group in figures.lesions.items()
    }
    return AtThreshold.model_validate(
        {
            "threshold": level_value(threshold),
            "dice": Share.of_known(figures.dice),
            "healthy_tissue_flagged": Share.of_known(figures.healthy_tissue_flagged),
            "lesions": groups,
        }
    )


def image_threshold(store: SliceStore) -> int | None:
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

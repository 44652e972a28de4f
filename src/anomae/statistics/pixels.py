"""How well maps point at lesions, pixel by pixel, from counts that do not grow with the number of slices."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from anomae.errors import UserError
from anomae.statistics.holders import holders
from anomae.statistics.intervals import Estimate, PatientBootstrap
from anomae.statistics.metrics import area_under_precision, area_under_roc

LEVELS = 1 << 16  # every float16 there is
MOST_CELLS = 1 << 23
COARSE_SHIFT = 4
COARSE_LEVELS = LEVELS >> COARSE_SHIFT
SKEWED = ("average_precision", "best_dice")  # see anomae.statistics.intervals.Estimate
MAP_SHARE = 0.01  # of the healthy tissue of held-out patients may lie above the threshold of maps


def float16_levels(values: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """The rank 0..65535 of each value among all float16 numbers: the order of the values, exactly as stored.

    Raises UserError where one is not finite (or too large for float16).
    """
    with np.errstate(over="ignore"):
        small = np.asarray(values, dtype=np.float16) + np.float16(0)  # -0.0 becomes 0.0
    if not np.isfinite(small).all():
        raise UserError("A map holds values that are not finite (or beyond 65504): it cannot be evaluated.")
    bits = small.view(np.uint16)
    return np.where(bits & 0x8000, ~bits, bits | 0x8000).astype(np.int64)


@dataclass(frozen=True, slots=True)
class PixelCounts:
    """Pixels by level: `exact` (2, 65536) over all slices, [normal, lesion]; `coarse` (patients, 2, levels)."""

    exact: npt.NDArray[np.int64]
    coarse: npt.NDArray[np.int64]


def count_pixels(batches: Iterable[tuple[npt.NDArray[Any], ...]], patient: npt.NDArray[np.int64]) -> PixelCounts:
    """Count the pixels of maps (k, h, w), given a batch at a time with lesion masks of that shape.

    A batch may have a third, of that shape: which pixels are judged; without it all are.
    patient: (n,), 0..p-1, of all slices in the order of the batches.
    """
    patients = int(patient.max()) + 1
    shift = 4
    while patients * 2 * (LEVELS >> shift) > MOST_CELLS and shift < 12:
        shift += 1
    levels = LEVELS >> shift
    exact = np.zeros((2, LEVELS), dtype=np.int64)
    coarse = np.zeros((patients, 2, levels), dtype=np.int64)
    done = 0
    for maps, lesions, *judged in batches:
        for row, (one, lesion) in enumerate(zip(float16_levels(maps), lesions, strict=True)):
            which = one.ravel() + LEVELS * lesion.ravel()
            which = which[judged[0][row].ravel()] if judged else which
            counts = np.bincount(which, minlength=2 * LEVELS).reshape(2, LEVELS)
            exact += counts
            coarse[patient[done]] += counts.reshape(2, levels, -1).sum(axis=2)
            done += 1
    return PixelCounts(exact, coarse)


def tissue_masks(images: npt.NDArray[Any], body_fraction: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    """Where tissue is in prepared images (k, h, w): the share `body_fraction` (k,) of pixels that is brightest.

    The preparation counted what is brighter than a level of the raw scan; which pixels these were is found again here,
    up to what resampling smoothed.  Where the share is unknown (NaN), everything brighter than the darkest.
    """
    flat = images.reshape(len(images), -1)
    masks = np.zeros(flat.shape, dtype=np.bool_)
    for row, (image, share) in enumerate(zip(flat, body_fraction, strict=True)):
        count = image.size if np.isnan(share) else round(float(share) * image.size)
        if count:
            edge = np.partition(image, image.size - count)[image.size - count]
            masks[row] = (image >= edge) & (image > image.min())
    return masks.reshape(images.shape)


def level_counts(maps: npt.NDArray[Any], tissue: npt.NDArray[np.bool_]) -> npt.NDArray[np.uint32]:
    """Pixels of the maps (k, h, w) within `tissue` by coarse level, (k, 4096)."""
    coarse = float16_levels(maps) >> COARSE_SHIFT
    return np.stack(
        [
            np.bincount(one[where], minlength=COARSE_LEVELS).astype(np.uint32)
            for one, where in zip(coarse, tissue, strict=True)
        ]
    )


def map_threshold(
    counts: npt.NDArray[np.uint32], patient: npt.NDArray[np.str_], share: float = MAP_SHARE
) -> int | None:
    """The level above which `share` of a patient's healthy tissue lies, or less, patients counting alike.

    counts: (m, 4096) as `level_counts` gives them, of normal slices of held-out patients (m,).  An estimate: no
    bound holds for it.  None where there is no tissue.
    """
    names, index = np.unique(patient, return_inverse=True)
    summed = np.zeros((len(names), counts.shape[1]))
    np.add.at(summed, index, counts)
    summed = summed[summed.sum(axis=1) > 0]
    if not len(summed):
        return None
    falling = np.mean(np.cumsum(summed[:, ::-1], axis=1) / summed.sum(axis=1, keepdims=True), axis=0)[::-1]
    lowest = int(np.argmax(np.append(falling, 0.0) <= share + 1e-12))  # the lowest coarse level that is flagged
    return (lowest << COARSE_SHIFT) - 1


def level_value(level: int) -> float:
    """The largest float16 number of this rank or below: the inverse of `float16_levels`."""
    bits = level & 0x7FFF if level & 0x8000 else ~level & 0xFFFF
    return float(np.array([bits], dtype=np.uint16).view(np.float16)[0])


def pixel_figures(counts: PixelCounts, bootstrap: PatientBootstrap) -> dict[str, Estimate]:
    """auroc, average_precision and best_dice over all pixels, each exact, with resamples from the coarse counts.

    bootstrap: over the patients 0..p-1 of `count_pixels`.  Raises UserError where there is no lesion or only lesion.
    """
    totals = counts.exact.sum(axis=1)
    if not totals.all():
        raise UserError("No lesion pixel, or nothing but lesion: maps cannot be evaluated.")
    metrics = {"auroc": area_under_roc, "average_precision": area_under_precision, "best_dice": best_dice}
    tp, fp = _falling(counts.exact[None])
    value = {name: float(metric(tp, fp)[0]) for name, metric in metrics.items()}
    samples: dict[str, list[npt.NDArray[np.float64]]] = {name: [np.empty(0)] for name in metrics}
    flat = counts.coarse.reshape(len(counts.coarse), -1).astype(np.float64)
    for times in bootstrap.draws(flat.shape[1]):
        tp, fp = _falling((times @ flat).reshape(len(times), 2, -1))
        for name, metric in metrics.items():
            samples[name].append(metric(tp, fp))
    normal, lesion = counts.coarse.sum(axis=2).T
    groups = holders("lesions", lesion), holders("pixels outside lesions", normal)
    return {
        name: Estimate(value[name], np.concatenate(parts), groups, skewed=name in SKEWED)
        for name, parts in samples.items()
    }


def best_dice(tp: npt.NDArray[np.float64], fp: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The highest Dice (r,) over all thresholds, from true and false positives (r, u).

    The threshold is chosen on the tested labels themselves, so this is an upper bound.
    """
    lesion = tp[:, -1:]
    dice = 2 * tp / np.maximum(tp + fp + lesion, 1)
    return np.where(lesion[:, 0] > 0, dice.max(axis=1), np.nan)


def _falling(counts: npt.NDArray[Any]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """True and false positives (r, u) from the highest level down, of counts (r, 2, levels)."""
    cumulated = np.cumsum(counts[:, :, ::-1], axis=2, dtype=np.float64)
    return cumulated[:, 1], cumulated[:, 0]

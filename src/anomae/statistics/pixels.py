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
MOST_CELLS = 1 << 23  # of the table patients x 2 x steps
MOST_STEPS, FEWEST_STEPS = 4096, 16
FIRST_FLAGGED = 0.3  # of the normal pixels
COARSE_SHIFT = 4
COARSE_LEVELS = LEVELS >> COARSE_SHIFT
Batch = tuple[npt.NDArray[Any], ...]
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
class PixelLevels:
    """Pixels of all slices by level, and the steps by which patients are counted.

    exact: (2, 65536), [normal, lesion].  step: (65536,), 0..steps-1, never falling: of each level.
    """

    exact: npt.NDArray[np.int64]
    step: npt.NDArray[np.int64]

    @property
    def steps(self) -> int:
        """How many there are."""
        return int(self.step[-1]) + 1


@dataclass(frozen=True, slots=True)
class PixelCounts:
    """Pixels of all slices by level, and those of each patient by step: `coarse` (patients, 2, steps)."""

    levels: PixelLevels
    coarse: npt.NDArray[np.int64]


def pixel_levels(batches: Iterable[Batch], patients: int) -> PixelLevels:
    """Go through maps (k, h, w) a first time, given as to `count_pixels`, so that their levels are known beforehand."""
    exact = np.zeros(2 * LEVELS, dtype=np.int64)
    for maps, lesions, *judged in batches:
        which = float16_levels(maps) + LEVELS * lesions
        exact += np.bincount(which[judged[0]] if judged else which.ravel(), minlength=2 * LEVELS)
    return PixelLevels(exact.reshape(2, LEVELS), _steps(exact.reshape(2, LEVELS), patients))


def _steps(exact: npt.NDArray[np.int64], patients: int) -> npt.NDArray[np.int64]:
    """The step (65536,) of each level: every level that occurs has its own, or as many as memory allows.

    Then steps hold about equal parts of three things together: lesion pixels, normal pixels, and those normal pixels
    that are flagged first, where AUPRO and average precision are decided.
    """
    most = int(np.clip(MOST_CELLS // (2 * patients), FEWEST_STEPS, MOST_STEPS))
    occurs = exact.any(axis=0)
    if np.count_nonzero(occurs) <= most:
        return np.maximum(np.cumsum(occurs, dtype=np.int64) - 1, 0)
    normal, lesion = exact.astype(np.float64)
    above = normal.sum() - np.cumsum(normal)
    first = np.where(above < FIRST_FLAGGED * normal.sum(), normal, 0.0)
    part = np.sum([kind / max(kind.sum(), 1.0) for kind in (lesion, normal, first)], axis=0)
    part /= part.sum()
    step = np.minimum((np.cumsum(part) - part / 2) * most, most - 1).astype(np.int64)
    return np.cumsum(np.diff(step, prepend=step[:1]) > 0, dtype=np.int64)


def count_pixels(batches: Iterable[Batch], patient: npt.NDArray[np.int64], levels: PixelLevels) -> PixelCounts:
    """Count the pixels of maps (k, h, w), given a batch at a time with lesion masks of that shape.

    A batch may have a third, of that shape: which pixels are judged; without it all are.
    patient: (n,), 0..p-1, of all slices in the order of the batches.  levels: of these same batches.
    """
    coarse = np.zeros((int(patient.max()) + 1, 2, levels.steps), dtype=np.int64)
    done = 0
    for maps, lesions, *judged in batches:
        for row, (one, lesion) in enumerate(zip(float16_levels(maps), lesions, strict=True)):
            which = levels.step[one] + levels.steps * lesion
            which = which[judged[0][row]] if judged else which.ravel()
            coarse[patient[done]] += np.bincount(which, minlength=2 * levels.steps).reshape(2, -1)
            done += 1
    return PixelCounts(levels, coarse)


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

    By what steps of several levels make of the figure itself, resamples are moved (`moved`).
    bootstrap: over the patients 0..p-1 of `count_pixels`.  Raises UserError where there is no lesion or only lesion.
    """
    totals = counts.levels.exact.sum(axis=1)
    if not totals.all():
        raise UserError("No lesion pixel, or nothing but lesion: maps cannot be evaluated.")
    metrics = {"auroc": area_under_roc, "average_precision": area_under_precision, "best_dice": best_dice}
    exact, stepped = _falling(counts.levels.exact[None]), _falling(counts.coarse.sum(axis=0, keepdims=True))
    value = {name: float(metric(*exact)[0]) for name, metric in metrics.items()}
    coarse = {name: float(metric(*stepped)[0]) for name, metric in metrics.items()}
    samples: dict[str, list[npt.NDArray[np.float64]]] = {name: [np.empty(0)] for name in metrics}
    flat = counts.coarse.reshape(len(counts.coarse), -1).astype(np.float64)
    for times in bootstrap.draws(flat.shape[1]):
        tp, fp = _falling((times @ flat).reshape(len(times), 2, -1))
        for name, metric in metrics.items():
            samples[name].append(metric(tp, fp))
    normal, lesion = counts.coarse.sum(axis=2).T
    groups = holders("lesions", lesion), holders("pixels outside lesions", normal)
    return {
        name: Estimate(
            value[name], moved(np.concatenate(parts), coarse[name], value[name]), groups, skewed=name in SKEWED
        )
        for name, parts in samples.items()
    }


def moved(resampled: npt.NDArray[np.float64], coarse: float, value: float) -> npt.NDArray[np.float64]:
    """Resamples (r,) of shares, by as much as the figure itself differs where levels share a step."""
    return np.clip(resampled + (value - coarse), 0.0, 1.0)


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

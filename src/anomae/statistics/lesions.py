"""How much of each lesion a map covers: AUPRO, lesions detected by size, Dice and healthy tissue at a fixed threshold.

A lesion is a connected piece of the mask in one slice (8 neighbours, two-dimensional): the same tumour in two
neighbouring slices counts twice.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from anomae.statistics.holders import holders
from anomae.statistics.intervals import Estimate, Interval, PatientBootstrap
from anomae.statistics.pixels import LEVELS, PixelCounts, PixelLevels, float16_levels, moved
from anomae.statistics.ratios import ratio

FPR_LIMIT = 0.3
SIZES = ("small", "middle", "large")


class LesionCounts:
    """Fed a batch at a time; what is held does not grow with the number of slices, but for four numbers a lesion."""

    def __init__(self, patients: int, levels: PixelLevels, threshold: int | None = None) -> None:
        """patients: how many there are, 0..p-1.  levels: of the pixels of all that will be added.

        threshold: the level (of `float16_levels`) above which is flagged.
        """
        self.levels, self.threshold = levels, threshold
        self.overlap = np.zeros(LEVELS)  # summed over lesions: the share of the lesion's pixels at each level
        self.coarse = np.zeros((patients, levels.steps))
        self.number = np.zeros(patients)
        self.flags = np.zeros((patients, 4))  # flagged lesion, flagged elsewhere, flagged healthy tissue, the latter
        self.lesion_pixels = np.zeros(patients)
        self.lesions: list[tuple[int, int, float]] = []  # patient, pixels, share flagged

    def add(
        self,
        maps: npt.NDArray[Any],
        lesions: npt.NDArray[np.bool_],
        tissue: npt.NDArray[np.bool_] | None,
        patient: npt.NDArray[np.int64],
        judged: npt.NDArray[np.bool_] | None = None,
    ) -> None:
        """Count maps, lesion masks and tissue masks, (k, h, w) each, of patients (k,).

        judged: (k, h, w), pixels that count, those of lesions among them; None: all.
        """
        from scipy.ndimage import label

        for index, (one, lesion) in enumerate(zip(float16_levels(maps), lesions, strict=True)):
            who = int(patient[index])
            if self.threshold is not None:
                flagged = one > self.threshold if judged is None else (one > self.threshold) & judged[index]
                healthy = ~lesion if tissue is None else tissue[index] & ~lesion
                healthy = healthy if judged is None else healthy & judged[index]
                self.flags[who] += [
                    np.count_nonzero(flagged & lesion),
                    np.count_nonzero(flagged & ~lesion),
                    np.count_nonzero(flagged & healthy),
                    np.count_nonzero(healthy),
                ]
                self.lesion_pixels[who] += np.count_nonzero(lesion)
            if not lesion.any():
                continue
            pieces, count = label(lesion, structure=np.ones((3, 3), dtype=np.int8))
            self.number[who] += count
            for piece in range(1, count + 1):
                inside = one[pieces == piece]
                self.overlap += np.bincount(inside, minlength=LEVELS) / len(inside)
                self.coarse[who] += np.bincount(self.levels.step[inside], minlength=self.levels.steps) / len(inside)
                flagged_share = float(np.mean(inside > self.threshold)) if self.threshold is not None else 0.0
                self.lesions.append((who, len(inside), flagged_share))


def aupro(
    normal: npt.NDArray[Any], overlap: npt.NDArray[np.float64], lesions: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Area under the per-region overlap curve up to a false-positive rate of 0.3, over 0.3; (r,), NaN without lesions.

    normal: (r, levels), pixels outside all lesions.  overlap: (r, levels), as in `LesionCounts`.  lesions: (r,).
    Source: Bergmann et al., IJCV 129 (2021), and anomalib's definition: overlap averaged over regions against the
    false-positive rate over all pixels outside regions, straight between thresholds.
    """
    fp = np.cumsum(normal[:, ::-1], axis=1, dtype=np.float64)
    covered = np.cumsum(overlap[:, ::-1], axis=1)
    out = np.full(len(normal), np.nan)
    for row in range(len(normal)):
        if lesions[row] > 0 and fp[row, -1] > 0:
            rate = np.append(0.0, fp[row] / fp[row, -1])
            share = np.append(0.0, covered[row] / lesions[row])
            end = int(np.searchsorted(rate, FPR_LIMIT, side="right"))
            across = np.append(rate[:end], FPR_LIMIT)
            up = np.append(share[:end], np.interp(FPR_LIMIT, rate[end - 1 : end + 1], share[end - 1 : end + 1]))
            out[row] = min(np.trapezoid(up, across) / FPR_LIMIT, 1.0)
    return out


def aupro_estimate(pixels: PixelCounts, counts: LesionCounts, bootstrap: PatientBootstrap) -> Estimate:
    """AUPRO, exact; resamples from the coarse counts are `moved`.  bootstrap: over the patients 0..p-1."""
    value = float(aupro(pixels.levels.exact[:1], counts.overlap[None], counts.number.sum(keepdims=True))[0])
    normal, once = pixels.coarse[:, 0].astype(np.float64), np.ones((1, len(counts.number)))
    coarse = float(aupro(once @ normal, once @ counts.coarse, once @ counts.number)[0])
    samples = [
        aupro(times @ normal, times @ counts.coarse, times @ counts.number)
        for times in bootstrap.draws(normal.shape[1])
    ]
    groups = holders("lesions", counts.number), holders("pixels outside lesions", normal.sum(axis=1))
    return Estimate(value, moved(np.concatenate(samples) if samples else np.empty(0), coarse, value), groups)


@dataclass(frozen=True, slots=True)
class LesionGroup:
    """Lesions of one size: how many, pixels of the smallest and largest, shares detected and touched (see below)."""

    lesions: int
    smallest_px: int
    largest_px: int
    detected: Interval | None
    touched: Interval | None


@dataclass(frozen=True, slots=True)
class ThresholdFigures:
    """A map at one threshold.  lesions: "all", "small", "middle", "large" -> those there are."""

    dice: Interval | None
    healthy_tissue_flagged: Interval | None
    lesions: dict[str, LesionGroup]


def figures_at_threshold(counts: LesionCounts) -> ThresholdFigures:
    """Dice, healthy tissue flagged, and lesions detected by size, at the threshold that `counts` was given.

    A lesion is detected where at least half of its pixels are flagged; touched where any is.
    """
    inside, elsewhere, healthy_flagged, healthy = counts.flags.T
    who = np.array([lesion[0] for lesion in counts.lesions], dtype=np.int64)
    size = np.array([lesion[1] for lesion in counts.lesions], dtype=np.float64)
    share = np.array([lesion[2] for lesion in counts.lesions])
    edges = np.quantile(size, (1 / 3, 2 / 3)) if len(size) else np.zeros(2)
    band = np.searchsorted(edges, size, side="left")

    def of(hit: npt.NDArray[np.bool_], here: npt.NDArray[np.bool_]) -> Interval | None:
        over, under = (np.bincount(who[chosen], minlength=len(counts.number)) for chosen in (here & hit, here))
        return ratio(over.astype(np.float64), under.astype(np.float64))

    groups = {}
    for name, here in [("all", band >= 0), *((name, band == index) for index, name in enumerate(SIZES))]:
        if here.any():
            ends = int(size[here].min()), int(size[here].max())
            groups[name] = LesionGroup(int(here.sum()), *ends, of(share >= 0.5, here), of(share > 0, here))
    return ThresholdFigures(
        ratio(
            2 * inside,
            inside + elsewhere + counts.lesion_pixels,
            (holders("lesions", counts.lesion_pixels),),
        ),
        ratio(healthy_flagged, healthy),
        groups,
    )

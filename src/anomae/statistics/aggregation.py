"""From slices to whole scans and whole patients."""

import numpy as np
import numpy.typing as npt

from anomae.statistics.scored import ScoredSlices

WAYS = {"max": 1, "mean_of_top_3": 3}


def mean_of_highest(
    group: npt.NDArray[np.int64], scores: npt.NDArray[np.float64], highest: int
) -> npt.NDArray[np.float64]:
    """The mean of the `highest` highest scores (or of all, where there are fewer) of each group 0..g-1: (g,)."""
    order = np.lexsort((-scores, group))
    sizes = np.bincount(group)
    rank = np.arange(len(group)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    kept = order[rank < highest]
    counts = np.bincount(group[kept])
    with np.errstate(over="ignore", invalid="ignore"):
        means = np.bincount(group[kept], weights=scores[kept]) / counts
    beyond = ~np.isfinite(means)
    if beyond.any():  # the sum, not the mean, is past the largest number there is
        steps = int(counts.max()).bit_length()  # powers of two: nothing is rounded but the sum
        small = np.bincount(group[kept], weights=np.ldexp(scores[kept], -steps))[beyond] / counts[beyond]
        most = np.ldexp(np.finfo(np.float64).max, -steps)
        means[beyond] = np.ldexp(np.clip(small, -most, most), steps)
    return np.asarray(means, dtype=np.float64)


def aggregated(
    slices: ScoredSlices, level: str, scores: npt.NDArray[np.float64]
) -> tuple[npt.NDArray[np.str_], npt.NDArray[np.int8], dict[str, npt.NDArray[np.float64]]]:
    """Patient, label and scores (g,) of each "patient" or "case" (`level`): abnormal where any slice of it is.

    scores: (n,) of the slices.  Its scores are named as in WAYS; `slices`, the number of its slices, is a
    trivial baseline, since the maximum of more slices is higher by chance alone.
    """
    _, first, group = np.unique(getattr(slices, level), return_index=True, return_inverse=True)
    label = np.zeros(len(first), dtype=np.int8)
    np.maximum.at(label, group, slices.label)
    columns = {way: mean_of_highest(group, scores, highest) for way, highest in WAYS.items()}
    columns["slices"] = np.bincount(group).astype(np.float64)
    return slices.patient[first], label, columns

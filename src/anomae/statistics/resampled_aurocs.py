"""AUROC of every resample of patients, by pairs of patients or by ranks: two ways to the same figures."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from anomae.errors import UserError
from anomae.progress import Progress
from anomae.statistics.metrics import Ranked
from anomae.statistics.own_pairs import own_pairs
from anomae.statistics.pairs import PatientPairs
from anomae.statistics.patient_draws import AT_ONCE, PatientDraws
from anomae.statistics.resampled_ranks import MOST_LEVELS, ResampledRanks

Pairs = tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]


@dataclass(frozen=True, slots=True)
class Sampled:
    """AUROC of all pairs, of those of different patients alone, and of each resample (r,), as in `own_pairs`."""

    value: float
    centre: float
    resampled: npt.NDArray[np.float64]


def by_patient_pairs(
    draws: PatientDraws,
    labels: npt.NDArray[np.bool_],
    scores: npt.NDArray[np.float64],
    patient: npt.NDArray[np.int64],
    band: npt.NDArray[np.int64],
    bar: Progress,
) -> Sampled:
    """AUROC, and that of each resample, NaN where a class was not drawn.

    labels, scores, patient (0..p-1), band: (n,); only slices of one band are compared, those below 0 left out.
    Raises UserError where a score is not finite or no pair is left.
    """
    pairs, samples = PatientPairs(labels, scores, patient, band), [np.empty(0)]
    own = own_pairs(labels, scores, patient, band, draws.patients)
    for drawn in draws.batches(int(np.clip(2_000_000 // max(draws.patients, 1), 1, 256))):
        times = drawn.astype(np.float64)
        samples.append(own.taken_out_of(pairs.auroc(times), pairs.possible(times), times))
        bar.advance(len(times))
    once = np.ones((1, draws.patients))
    whole = pairs.auroc(once)
    centre = own.taken_out_of(whole, pairs.possible(once), once)
    return Sampled(float(whole[0]), float(centre[0]), np.concatenate(samples))


def by_ranks(
    draws: PatientDraws,
    labels: npt.NDArray[np.bool_],
    scores: npt.NDArray[np.float64],
    patient: npt.NDArray[np.int64],
    band: npt.NDArray[np.int64],
    bar: Progress,
) -> Sampled:
    """The same figure as by pairs of patients; cheaper where there are nearly as many patients as slices."""
    parts, whole = [], []
    bands = np.unique(band[band >= 0])
    most = max(MOST_LEVELS // max(len(bands), 1), 4096)  # of each band, so that ten cost little more than one
    for one in bands:
        inside = np.flatnonzero(band == one)
        if 0 < np.count_nonzero(labels[inside]) < len(inside):
            ranked = Ranked(labels[inside], scores[inside])
            parts.append(ResampledRanks(ranked, patient[inside], draws.patients, most))
            whole.append(_pairs(ranked))
    if not parts:
        raise UserError("No abnormal and normal slice to compare.")
    own, samples = own_pairs(labels, scores, patient, band, draws.patients), [np.empty(0)]
    for times in draws.batches(AT_ONCE):
        samples.append(own.taken_out_of(*_within([table.pairs(times) for table in parts]), times))
        bar.advance(len(times))
    value, possible = _within(whole)
    centre = own.taken_out_of(value, possible, np.ones((1, draws.patients)))
    return Sampled(float(value[0]), float(centre[0]), np.concatenate(samples))


def _pairs(ranked: Ranked) -> Pairs:
    """Twice the pairs won, and all pairs, (1,) each, of all slices."""
    tp, fp = (counts[0] for counts in ranked.counts())
    before = np.append(0.0, tp[:-1])
    return np.array([(before + tp) @ np.diff(fp, prepend=0.0)]), tp[-1:] * fp[-1:]


def _within(parts: Sequence[Pairs]) -> Pairs:
    """AUROC over the pairs within each part (NaN: none) and these, (k,); of each, twice the pairs won and all pairs."""
    won, possible = np.zeros((2, len(parts[0][0])))
    for twice, pairs in parts:
        area = np.divide(twice, 2 * pairs, out=np.zeros(len(pairs)), where=pairs > 0)
        won, possible = won + area * pairs, possible + pairs
    out = np.full(len(won), np.nan)
    np.divide(won, possible, out=out, where=possible > 0)
    return out, possible

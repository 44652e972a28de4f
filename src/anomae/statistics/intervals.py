"""How sure a figure is: 95 % intervals from resampling whole patients, the same resamples for all."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from anomae.progress import Progress, progress
from anomae.statistics.holders import (
    FEWEST_PATIENTS,
    NORMAL_QUANTILE,
    Holders,
    fewest_of,
    slice_holders,
    stretch,
    why_no_interval,
)
from anomae.statistics.metric_specs import METRICS, MetricSpec
from anomae.statistics.metrics import Ranked
from anomae.statistics.pairs import worth_pairing
from anomae.statistics.patient_draws import PatientDraws
from anomae.statistics.rare import clopper_pearson, is_rare, worth
from anomae.statistics.resampled_aurocs import by_patient_pairs, by_ranks
from anomae.statistics.resampled_metrics import ResampledMetrics
from anomae.statistics.resampled_ranks import ResampledRanks

WATCHED_ROWS = 100_000  # from so many slices on, resampling takes long enough to say how far it is


def three_places(figure: float) -> str:
    """A figure to three decimal places, never "-0.000"."""
    return f"{round(figure, 3) + 0.0:.3f}"


@dataclass(frozen=True, slots=True)
class Interval:
    """A figure with its 95 % interval; low and high are None where there are too few patients to tell: `why`."""

    value: float
    low: float | None = None
    high: float | None = None
    why: str = field(default="", compare=False)

    def __str__(self) -> str:
        """Such as "0.830 [0.790, 0.870]"."""
        if self.low is None or self.high is None:
            return three_places(self.value)
        return f"{three_places(self.value)} [{three_places(self.low)}, {three_places(self.high)}]"

    def to_json(self) -> dict[str, float | None]:
        """{"value", "low", "high"}."""
        return {"value": self.value, "low": self.low, "high": self.high}


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure on all slices, and the same figure on each of r resamples: (r,), NaN where one class was not drawn.

    groups: the patients that hold what the figure needs; none: not counted.  lowest: the least that it can be, the
    most is 1.  leaning: a difference of figures near 0 or 1, of which the lower one has the longer tail: its resamples
    lean away from no difference, and their percentiles alone hold the truth 91 times in 100.  skewed: a figure whose
    resamples lie above it as it lies above the truth, such as pixel average precision: percentiles alone hold the truth
    86 times in 100 with forty abnormal patients that differ much.  centre: what the interval lies about, if not the
    figure itself: an AUROC of the pairs of different patients alone (`anomae.statistics.own_pairs`).  beside: another
    way to the same figure, whose interval is covered too (not in means and differences).
    """

    value: float
    resampled: npt.NDArray[np.float64]
    groups: tuple[Holders, ...] = ()
    lowest: float = 0.0
    leaning: bool = False
    skewed: bool = False
    centre: float | None = None
    beside: "Estimate | None" = None

    @property
    def middle(self) -> float:
        """What the interval lies about: the resamples, which lie about the figure, are moved there."""
        return self.value if self.centre is None else self.centre

    @property
    def left_out(self) -> int:
        """Resamples without a figure, since one class was not drawn."""
        return int(np.count_nonzero(~np.isfinite(self.resampled)))

    def interval(self) -> Interval:
        """From the 2.5th and 97.5th percentile of the resamples, where at least half of them gave a figure.

        None where fewer than five patients hold a class; stretched about its middle where few do (`stretch`).  Where
        what it misses, or has at all, is worth fewer than five patients, it reaches as far at least as that of a
        binomial share (`rare`); where it is `leaning`, as 1.96 standard deviations of the resamples above and below.
        Where it is `skewed`, both arms are as long as the longer one, and stretched however many patients there are.
        The figure itself always lies inside.
        """
        why, usable = why_no_interval(self.groups), self.resampled[np.isfinite(self.resampled)]
        if why or len(usable) < max(2, len(self.resampled) / 2):
            return Interval(self.value, why=why or "too few patients for an interval")
        middle = self.middle
        if middle != self.value:
            usable = np.clip(usable + (middle - self.value), self.lowest, 1.0)
        low, high = (float(end) for end in np.percentile(usable, (2.5, 97.5)))
        wider = stretch(self.groups, np.inf if self.skewed else None)
        if self.skewed:
            arm = max(middle - low, high - middle)
            low, high = max(self.lowest, middle - arm), min(1.0, middle + arm)
        if wider > 1:
            low = max(self.lowest, min(low, middle - wider * (middle - low)))
            high = min(1.0, max(high, middle + wider * (high - middle)))
        effective = min((group.effective for group in self.groups), default=0.0)
        if self.lowest == 0 and self.rare:
            slices = worth(middle, float(usable.var(ddof=1)), effective, fewest_of(self.groups) - 1)
            least, most = clopper_pearson(middle, slices)
            low, high = min(low, least), max(high, most)
        if self.leaning:
            reach = NORMAL_QUANTILE * float(usable.std(ddof=1))
            low = max(self.lowest, min(low, middle - reach))
            high = min(1.0, max(high, middle + reach))
        other = self.beside.interval() if self.beside else Interval(self.value)
        ends = [end for end in (low, high, self.value, other.low, other.high) if end is not None]
        return Interval(self.value, min(ends), max(ends))

    @property
    def rare(self) -> bool:
        """Whether the figure, or what it misses, is worth fewer than five of the patients."""
        return bool(self.groups) and is_rare(self.middle, min(group.effective for group in self.groups))


def mean_estimate(estimates: Sequence[Estimate]) -> Estimate:
    """The mean of figures of the same resamples, resample by resample."""
    value = float(np.mean([estimate.value for estimate in estimates]))
    resampled = np.mean([estimate.resampled for estimate in estimates], axis=0)
    groups = tuple(group for estimate in estimates for group in estimate.groups)
    lowest = min(estimate.lowest for estimate in estimates)
    leaning, skewed = (any(getattr(one, name) for one in estimates) for name in ("leaning", "skewed"))
    centre = float(np.mean([estimate.middle for estimate in estimates]))
    return Estimate(value, resampled, groups, lowest, leaning, skewed, centre)


def paired_difference(one: Estimate, other: Estimate) -> Interval:
    """`one` minus `other` with its interval, from the same resamples of patients (so what they share cancels)."""
    return difference_estimate(one, other).interval()


def difference_estimate(one: Estimate, other: Estimate) -> Estimate:
    """`one` minus `other`, resample by resample."""
    resampled = one.resampled - other.resampled
    groups, leaning = (*one.groups, *other.groups), one.rare or other.rare
    skewed = one.skewed or other.skewed
    centre = one.middle - other.middle
    return Estimate(one.value - other.value, resampled, groups, -1.0, leaning, skewed, centre)


class PatientBootstrap:
    """Resamples of the patients of n slices, drawn with replacement: slices of one patient come and go together.

    The same patients, count and seed give the same resamples, whatever is asked of them: differences are paired.
    """

    def __init__(self, patients: npt.ArrayLike, resamples: int = 2000, seed: int = 0) -> None:
        """patients: (n,), the unit that each slice belongs to.  Fewer than five give no intervals."""
        names, index = np.unique(np.asarray(patients), return_inverse=True)
        self.patient = index.astype(np.int64)
        self.patients, self.seed, self.wanted = len(names), seed, resamples
        self.resamples = resamples if self.patients >= FEWEST_PATIENTS else 0
        self._draws = PatientDraws(self.patients, self.resamples, seed)

    def of(self, patients: npt.ArrayLike, most: int | None = None) -> "PatientBootstrap":
        """The same for other slices of these patients (m,): as many resamples, or `most`, from the same seed."""
        return PatientBootstrap(patients, self.wanted if most is None else min(self.wanted, most), self.seed)

    def draws(self, rows: int) -> Iterator[npt.NDArray[np.float64]]:
        """How often each patient is drawn, (k, patients) at a time; k is small where `rows` is large."""
        size = int(np.clip(2_000_000 // max(rows, self.patients, 1), 1, 256))
        return (times.astype(np.float64) for times in self._draws.batches(size))

    def metrics(
        self,
        labels: npt.ArrayLike,
        columns: Mapping[str, npt.ArrayLike],
        metrics: Mapping[str, MetricSpec] = METRICS,
    ) -> dict[str, dict[str, Estimate]]:
        """Estimates by column and metric, for every score column (n,) at once."""
        scored = {
            name: ResampledMetrics(labels, scores, self.patient, self.patients) for name, scores in columns.items()
        }
        held = slice_holders(labels, self.patient)
        groups = {
            metric: tuple(replace(group, needed=needed) for group, needed in zip(held, spec.needs, strict=True))
            for metric, spec in metrics.items()
        }
        samples: dict[tuple[str, str], list[npt.NDArray[np.float64]]] = {}
        others: dict[tuple[str, str], list[npt.NDArray[np.float64]]] = {}
        with self._watched("metrics of resamples", len(self.patient), 1) as bar:
            for times in self.draws(max((score.rows for score in scored.values()), default=1)):
                for name, score in scored.items():
                    counts = score.table.counts(times)
                    for metric, spec in metrics.items():
                        samples.setdefault((name, metric), []).append(score.figure(spec, counts, times))
                        if (other := score.beside(spec, counts, times)) is not None:
                            others.setdefault((name, metric), []).append(other)
                bar.advance(len(times))
        found: dict[str, dict[str, Estimate]] = {name: {} for name in columns}
        once = np.ones((1, self.patients))
        for name, score in scored.items():
            for metric, spec in metrics.items():
                value, centre = spec.function(*score.whole)[0], score.figure(spec, score.whole, once)[0]
                resampled = np.concatenate([np.empty(0), *samples.get((name, metric), [])])
                beside = None
                if (name, metric) in others and (
                    among := score.beside(spec, score.table.counts(once), once)
                ) is not None:
                    beside = Estimate(float(among[0]), np.concatenate(others[name, metric]), groups[metric])
                found[name][metric] = Estimate(
                    float(value), resampled, groups[metric], centre=float(centre), beside=beside
                )
        return found

    def aurocs(
        self,
        labels: npt.ArrayLike,
        columns: Mapping[str, npt.ArrayLike],
        rows: npt.NDArray[np.int64] | None = None,
        bands: npt.NDArray[np.int64] | None = None,
    ) -> dict[str, Estimate]:
        """AUROC by column, for every score column (n,) at once.

        rows: only these slices.  bands: (n,), only pairs of slices of one band are compared (and every pair counts
        alike, so a band counts by its pairs); slices with a band below 0 are left out.
        Raises UserError where no pair of an abnormal and a normal slice is left.
        """
        kept = np.arange(len(self.patient)) if rows is None else np.asarray(rows)
        truth = np.asarray(labels)[kept].astype(np.bool_)
        patient = self.patient[kept]
        band = np.zeros(len(kept), dtype=np.int64) if bands is None else np.asarray(bands)[kept]
        sampled = by_patient_pairs if worth_pairing(truth, patient) else by_ranks
        with self._watched("AUROC of resamples", len(kept), len(columns)) as bar:
            found = {
                name: sampled(self._draws, truth, np.asarray(scores, dtype=np.float64)[kept], patient, band, bar)
                for name, scores in columns.items()
            }
        compared = np.isin(band, np.intersect1d(band[truth & (band >= 0)], band[~truth]))
        groups = slice_holders(truth[compared], patient[compared])
        return {name: Estimate(one.value, one.resampled, groups, centre=one.centre) for name, one in found.items()}

    def _watched(self, title: str, rows: int, columns: int) -> AbstractContextManager[Progress]:
        return progress(title, self.resamples * columns, "resamples", speaks=rows >= WATCHED_ROWS)

    def curves(
        self, labels: npt.ArrayLike, scores: npt.ArrayLike, grid: npt.NDArray[np.float64]
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """The pointwise 95 % bands of sensitivity at false-positive rates, and of precision at recalls, in `grid` (g,).

        Each (2, g): low, high; NaN where there are too few patients.
        """
        ranked, groups = Ranked(labels, scores), slice_holders(labels, self.patient)
        table = ResampledRanks(ranked, self.patient, self.patients)
        curves = []
        with self._watched("curves of resamples", len(self.patient), 1) as bar:
            for times in self.draws(table.levels):
                for tp, fp in zip(*table.counts(times), strict=True):
                    if tp[-1] > 0 and fp[-1] > 0:
                        curves.append(_curves(tp, fp, grid))
                bar.advance(len(times))
        if len(curves) < 2 or why_no_interval(groups):
            nothing = np.full((2, len(grid)), np.nan)
            return nothing, nothing
        low, high = np.percentile(curves, (2.5, 97.5), axis=0)  # (2, g) each: sensitivity, precision
        wider = stretch(groups)
        if wider > 1:
            tp, fp = ranked.counts()
            value = np.asarray(_curves(tp[0], fp[0], grid))
            low = np.maximum(0.0, np.minimum(low, value - wider * (value - low)))
            high = np.minimum(1.0, np.maximum(high, value + wider * (high - value)))
        return np.stack([low[0], high[0]]), np.stack([low[1], high[1]])


def _curves(
    tp: npt.NDArray[np.float64], fp: npt.NDArray[np.float64], grid: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Sensitivity at false-positive rates, and precision at recalls, in `grid`; (2, g), of counts (u,)."""
    sensitivity = np.interp(grid, np.append(0, fp) / fp[-1], np.append(0, tp) / tp[-1])
    at = np.searchsorted(tp, grid * tp[-1])
    return np.stack([sensitivity, tp[at] / np.maximum(tp[at] + fp[at], 1)])

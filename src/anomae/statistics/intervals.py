"""How sure a figure is: 95 % percentile intervals from resampling whole patients, the same resamples for all."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from anomae.errors import UserError
from anomae.seeds import generator
from anomae.statistics.metric_specs import METRICS, MetricSpec
from anomae.statistics.metrics import Ranked, area_under_roc
from anomae.statistics.pairs import PatientPairs, worth_pairing

FEWEST_PATIENTS = 3  # for an interval at all


def three_places(figure: float) -> str:
    """A figure to three decimal places, never "-0.000"."""
    return f"{round(figure, 3) + 0.0:.3f}"


@dataclass(frozen=True, slots=True)
class Interval:
    """A figure with its 95 % interval; low and high are None where there are too few patients to tell."""

    value: float
    low: float | None = None
    high: float | None = None

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
    """A figure on all slices, and the same figure on each of r resamples: (r,), NaN where one class was not drawn."""

    value: float
    resampled: npt.NDArray[np.float64]

    def interval(self) -> Interval:
        """The 2.5th and 97.5th percentile of the resamples, where at least half of them gave a figure."""
        usable = self.resampled[np.isfinite(self.resampled)]
        if len(usable) < max(2, len(self.resampled) / 2):
            return Interval(self.value)
        low, high = np.percentile(usable, (2.5, 97.5))
        return Interval(self.value, float(low), float(high))


def mean_estimate(estimates: Sequence[Estimate]) -> Estimate:
    """The mean of figures of the same resamples, resample by resample."""
    value = float(np.mean([estimate.value for estimate in estimates]))
    return Estimate(value, np.mean([estimate.resampled for estimate in estimates], axis=0))


def paired_difference(one: Estimate, other: Estimate) -> Interval:
    """`one` minus `other` with its interval, from the same resamples of patients (so what they share cancels)."""
    return Estimate(one.value - other.value, one.resampled - other.resampled).interval()


class PatientBootstrap:
    """Resamples of the patients of n slices, drawn with replacement: slices of one patient come and go together.

    The same patients, count and seed give the same resamples, whatever is asked of them: differences are paired.
    """

    def __init__(self, patients: npt.ArrayLike, resamples: int = 2000, seed: int = 0) -> None:
        """patients: (n,), the unit that each slice belongs to.  Fewer than three give no intervals."""
        names, index = np.unique(np.asarray(patients), return_inverse=True)
        self.patient = index.astype(np.int64)
        self.patients, self.seed, self.wanted = len(names), seed, resamples
        self.resamples = resamples if self.patients >= FEWEST_PATIENTS else 0

    def of(self, patients: npt.ArrayLike, most: int | None = None) -> "PatientBootstrap":
        """The same for other slices of these patients (m,): as many resamples, or `most`, from the same seed."""
        return PatientBootstrap(patients, self.wanted if most is None else min(self.wanted, most), self.seed)

    def draws(self, rows: int) -> Iterator[npt.NDArray[np.float64]]:
        """How often each patient is drawn, (k, patients) at a time; k is small where `rows` is large."""
        rng = generator(self.seed, "bootstrap", self.patients)
        size = int(np.clip(2_000_000 // max(rows, self.patients, 1), 1, 256))
        for start in range(0, self.resamples, size):
            count = min(size, self.resamples - start)
            drawn = rng.integers(0, self.patients, (count, self.patients))
            drawn += np.arange(count)[:, None] * self.patients
            times = np.bincount(drawn.ravel(), minlength=count * self.patients)
            yield times.reshape(count, self.patients).astype(np.float64)

    def metrics(
        self,
        labels: npt.ArrayLike,
        columns: Mapping[str, npt.ArrayLike],
        metrics: Mapping[str, MetricSpec] = METRICS,
    ) -> dict[str, dict[str, Estimate]]:
        """Estimates by column and metric, for every score column (n,) at once."""
        ranked = {name: Ranked(labels, scores) for name, scores in columns.items()}
        value = {name: ranks.counts() for name, ranks in ranked.items()}
        samples: dict[tuple[str, str], list[npt.NDArray[np.float64]]] = {}
        for times in self.draws(len(self.patient)):
            for name, ranks in ranked.items():
                counts = ranks.counts(times[:, self.patient])
                for metric, spec in metrics.items():
                    samples.setdefault((name, metric), []).append(spec.function(*counts))
        return {
            name: {
                metric: Estimate(float(spec.function(*value[name])[0]), _joined(samples.get((name, metric))))
                for metric, spec in metrics.items()
            }
            for name in columns
        }

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
        truth = np.asarray(labels)[kept]
        patient = self.patient[kept]
        band = np.zeros(len(kept), dtype=np.int64) if bands is None else np.asarray(bands)[kept]
        pairing = _by_patient_pairs if worth_pairing(truth, patient) else _by_ranks
        found = {
            name: pairing(self, truth, np.asarray(scores, dtype=np.float64)[kept], patient, band)
            for name, scores in columns.items()
        }
        if len(np.unique(patient)) >= FEWEST_PATIENTS:
            return found
        return {name: Estimate(estimate.value, np.full(self.resamples, np.nan)) for name, estimate in found.items()}

    def curves(
        self, labels: npt.ArrayLike, scores: npt.ArrayLike, grid: npt.NDArray[np.float64]
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """The pointwise 95 % bands of sensitivity at false-positive rates, and of precision at recalls, in `grid` (g,).

        Each (2, g): low, high; NaN where there are too few patients.
        """
        ranked = Ranked(labels, scores)
        roc, precision = [], []
        for times in self.draws(len(self.patient)):
            for tp, fp in zip(*ranked.counts(times[:, self.patient]), strict=True):
                if tp[-1] > 0 and fp[-1] > 0:
                    roc.append(np.interp(grid, np.append(0, fp) / fp[-1], np.append(0, tp) / tp[-1]))
                    at = np.searchsorted(tp, grid * tp[-1])
                    precision.append(tp[at] / np.maximum(tp[at] + fp[at], 1))
        if len(roc) < 2:
            nothing = np.full((2, len(grid)), np.nan)
            return nothing, nothing
        return np.percentile(roc, (2.5, 97.5), axis=0), np.percentile(precision, (2.5, 97.5), axis=0)


def _by_patient_pairs(
    bootstrap: PatientBootstrap,
    labels: npt.NDArray[np.bool_],
    scores: npt.NDArray[np.float64],
    patient: npt.NDArray[np.int64],
    band: npt.NDArray[np.int64],
) -> Estimate:
    pairs = PatientPairs(labels, scores, patient, band)
    samples = [pairs.auroc(times) for times in bootstrap.draws(1)]
    return Estimate(float(pairs.auroc(np.ones((1, bootstrap.patients)))[0]), _joined(samples))


def _by_ranks(
    bootstrap: PatientBootstrap,
    labels: npt.NDArray[np.bool_],
    scores: npt.NDArray[np.float64],
    patient: npt.NDArray[np.int64],
    band: npt.NDArray[np.int64],
) -> Estimate:
    """The same figure as by pairs of patients; cheaper where there are nearly as many patients as slices."""
    parts = []
    for one in np.unique(band[band >= 0]):
        inside = np.flatnonzero(band == one)
        if 0 < np.count_nonzero(labels[inside]) < len(inside):
            parts.append((Ranked(labels[inside], scores[inside]), patient[inside]))
    if not parts:
        raise UserError("No abnormal and normal slice to compare.")

    def auroc(times: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        won, possible = np.zeros(len(times)), np.zeros(len(times))
        for ranked, who in parts:
            tp, fp = ranked.counts(times[:, who])
            pairs = tp[:, -1] * fp[:, -1]
            won += np.nan_to_num(area_under_roc(tp, fp)) * pairs
            possible += pairs
        out = np.full(len(won), np.nan)
        np.divide(won, possible, out=out, where=possible > 0)
        return out

    samples = [auroc(times) for times in bootstrap.draws(len(labels))]
    return Estimate(float(auroc(np.ones((1, bootstrap.patients)))[0]), _joined(samples))


def _joined(samples: list[npt.NDArray[np.float64]] | None) -> npt.NDArray[np.float64]:
    return np.concatenate(samples) if samples else np.empty(0)

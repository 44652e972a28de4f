"""Scores of several runs on the same slices, pooled over folds and evaluated beside every baseline."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from anomae.errors import UserError
from anomae.statistics.aggregation import mean_of_highest
from anomae.statistics.intervals import Estimate, PatientBootstrap, paired_difference
from anomae.statistics.scored import ScoredSlices
from anomae.statistics.strata import matching_bands, strata
from anomae.statistics.trivial_baselines import TRIVIAL_BASELINES

Columns = Mapping[str, npt.NDArray[np.float64]]
STRATA = ("all", "mid", "position")
_MOST_POWER = 400  # of two; the squares of larger scores leave the range of numbers


class PooledEvaluation:
    """Evaluates score columns on n slices with one set of resamples of patients, so that all differences are paired.

    Strata: `all`, `mid` (middle slices) and `position` (pairs within the same tenth of the scan), those that hold both
    classes.
    """

    def __init__(
        self, slices: ScoredSlices, trivial_baselines: Columns, *, resamples: int = 2000, seed: int = 0
    ) -> None:
        """slices: n of both classes.  trivial_baselines: (n,) each.  Raises UserError for one class."""
        if not slices.both_classes:
            raise UserError("The tested slices hold one class only, so nothing can be evaluated.")
        self.slices, self.bootstrap = slices, PatientBootstrap(slices.patient, resamples, seed)
        self._where: dict[str, dict[str, npt.NDArray[np.int64]]] = {"all": {}}
        middle = strata(slices).get("mid")
        if middle is not None and slices.take(middle).both_classes:
            self._where["mid"] = {"rows": middle}
        bands = matching_bands(slices).get("position")
        if bands is not None and len(_shared(bands, slices.label)):
            self._where["position"] = {"bands": bands}
        self._trivial_baselines = self._aurocs(trivial_baselines)

    def _aurocs(self, columns: Columns) -> dict[str, dict[str, Estimate]]:
        """Stratum -> column -> AUROC."""
        return {name: self.bootstrap.aurocs(self.slices.label, columns, **where) for name, where in self._where.items()}

    def counts(self) -> dict[str, dict[str, int]]:
        """Normal and abnormal slices and patients of each stratum; of `position`, those in a band of both classes."""
        found = {}
        for name, where in self._where.items():
            indices = where.get("rows", np.arange(len(self.slices)))
            if "bands" in where:
                indices = np.flatnonzero(np.isin(where["bands"], _shared(where["bands"], self.slices.label)))
            split = self.slices.take(indices)
            abnormal = int(np.count_nonzero(split.label))
            patients = len(np.unique(split.patient))
            found[name] = {"normal": len(split) - abnormal, "abnormal": abnormal, "patients": patients}
        return found

    def baselines(self) -> dict[str, dict[str, Any]]:
        """Trivial baseline -> title, uses_labels, and its AUROC with interval by stratum; the best on all first."""
        order = sorted(self._trivial_baselines["all"], key=lambda name: -self._trivial_baselines["all"][name].value)
        return {
            name: {
                "title": TRIVIAL_BASELINES[name].title,
                "uses_labels": TRIVIAL_BASELINES[name].uses_labels,
                "strata": {
                    stratum: aurocs[name].interval().to_json() for stratum, aurocs in self._trivial_baselines.items()
                },
            }
            for name in order
        }

    def best_baselines(self) -> dict[str, str | None]:
        """Stratum -> the best trivial baseline there that saw no label."""
        free = [name for name in self._trivial_baselines["all"] if not TRIVIAL_BASELINES[name].uses_labels]
        return {
            stratum: max(free, key=lambda name: aurocs[name].value, default=None)
            for stratum, aurocs in self._trivial_baselines.items()
        }

    def figures(self, scores: Columns) -> dict[str, dict[str, Any]]:
        """Score -> stratum -> its AUROC, its gain over the best baseline, and its difference to every baseline.

        scores: (n,) each, higher is more anomalous.  Each figure is {"value", "low", "high"}, with the paired 95 %
        interval by patient; the gain is None where there is no baseline.
        """
        aurocs, best = self._aurocs(scores), self.best_baselines()
        return {
            name: {stratum: self._beside(stratum, aurocs[stratum][name], best[stratum]) for stratum in aurocs}
            for name in scores
        }

    def _beside(self, stratum: str, score: Estimate, best: str | None) -> dict[str, Any]:
        trivial_baselines = self._trivial_baselines[stratum]
        differences = {
            name: paired_difference(score, trivial_baseline).to_json()
            for name, trivial_baseline in trivial_baselines.items()
        }
        return {
            "auroc": score.interval().to_json(),
            "gain": None if best is None else differences[best],
            "differences": differences,
        }


def spread(values: Sequence[float | None]) -> dict[str, Any]:
    """The values, and mean, least and most of those that are known; None where none is."""
    known = [value for value in values if value is not None]
    return {
        "values": list(values),
        "mean": float(np.mean(known)) if known else None,
        "min": min(known, default=None),
        "max": max(known, default=None),
    }


def standardised(scores: npt.NDArray[np.float64], healthy: npt.NDArray[np.float64]) -> npt.NDArray[np.float64] | None:
    """Scores (n,) in standard deviations above the mean of held-out healthy ones (m,); None where these are all alike.

    The deviation is that of the m values themselves (divided by m); no label of a tested slice is looked at.
    Raises UserError where a score is so many deviations away that no number holds it.
    """
    finite, (_, power) = np.isfinite(scores).all(), np.frexp(np.abs(healthy).max(initial=0.0))
    with np.errstate(over="ignore"):
        if abs(int(power)) > _MOST_POWER:  # their squares would be infinite or 0: a power of two is taken from all
            scores, healthy = np.ldexp(scores, -power), np.ldexp(healthy, -power)
        deviation = float(healthy.std())
        if not deviation > 0:
            return None
        found = (scores - healthy.mean()) / deviation
    if finite and not np.isfinite(found).all():
        raise UserError("A score is too far from the held-out healthy ones to be told in their standard deviations.")
    return np.asarray(found, dtype=np.float64)


def mean_of_scores(columns: Sequence[Columns]) -> dict[str, npt.NDArray[np.float64]]:
    """Of standardised scores of several fits on the same slices: the mean of each column that all of them have."""
    shared = [name for name in columns[0] if all(name in other for other in columns)]
    return {name: _mean([own[name] for own in columns]) for name in shared}


def _mean(columns: Sequence[npt.NDArray[np.float64]]) -> npt.NDArray[np.float64]:
    """Column by column, finite where all are: also where their sum is past the largest number there is."""
    with np.errstate(over="ignore", invalid="ignore"):
        means: npt.NDArray[np.float64] = np.mean(columns, axis=0, dtype=np.float64)
    beyond = np.flatnonzero(~np.isfinite(means) & np.isfinite(columns).all(axis=0))
    if len(beyond):
        every = np.concatenate([column[beyond] for column in columns])
        means[beyond] = mean_of_highest(np.tile(np.arange(len(beyond)), len(columns)), every, len(columns))
    return means


def _shared(bands: npt.NDArray[np.int64], label: npt.NDArray[np.int8]) -> npt.NDArray[np.int64]:
    """The bands that hold a slice of each class."""
    return np.intersect1d(bands[(label == 1) & (bands >= 0)], bands[label == 0])

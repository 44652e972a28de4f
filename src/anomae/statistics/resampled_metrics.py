"""The metrics of one score, of all slices and of resamples of patients."""

import numpy as np
import numpy.typing as npt

from anomae.statistics.metric_specs import MetricSpec
from anomae.statistics.metrics import Counts, Ranked
from anomae.statistics.own_pairs import own_pairs
from anomae.statistics.precision_among_others import PrecisionAmongOthers
from anomae.statistics.resampled_ranks import ResampledRanks

Figures = npt.NDArray[np.float64]


class ResampledMetrics:
    """A score ranked once, with what patients who hold both classes have to themselves."""

    def __init__(
        self, labels: npt.ArrayLike, scores: npt.ArrayLike, patient: npt.NDArray[np.int64], patients: int
    ) -> None:
        """labels, scores, patient (0..patients-1): (n,).  Raises UserError as `checked` does."""
        ranked, truth = Ranked(labels, scores), np.asarray(labels).astype(np.bool_)
        self.whole = ranked.counts()
        self.table = ResampledRanks(ranked, patient, patients)
        one_band = np.zeros(len(patient), dtype=np.int64)
        self._pairs = own_pairs(truth, np.asarray(scores, dtype=np.float64), patient, one_band, patients)
        self._others = PrecisionAmongOthers(truth, self.table.level, patient, patients)
        self.rows = max(self.table.levels, len(self._others.level))  # that one resample takes

    def figure(self, spec: MetricSpec, counts: tuple[Counts, Counts], times: Figures) -> Figures:
        """The metric (k,) of counts (k, u) where patients are drawn `times` (k, p), without a patient's own pairs."""
        found, (tp, fp) = spec.function(*counts), counts
        return self._pairs.taken_out_of(found, tp[:, -1] * fp[:, -1], times) if spec.by_pairs else found

    def beside(self, spec: MetricSpec, counts: tuple[Counts, Counts], times: Figures) -> Figures | None:
        """Average precision among others (k,), from counts of `table`; None of other metrics, and if it is the same."""
        return self._others.figure(*counts, times) if spec.by_precision and len(self._others.level) else None

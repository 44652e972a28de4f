"""The metrics of a resample are those of the drawn patients, less what a patient has to himself."""

import numpy as np
import pytest

from anomae.statistics.metric_specs import METRICS
from anomae.statistics.metrics import Ranked
from anomae.statistics.resampled_metrics import ResampledMetrics


@pytest.mark.parametrize("mixed", [False, True])
def test_only_patients_with_both_classes_make_a_difference(mixed):
    rng = np.random.default_rng(0)
    patient = rng.integers(0, 12, 200)
    label = rng.random(200) < 0.4 if mixed else patient < 5
    scores = np.round(rng.normal(size=200) + label, 1)
    score, times = ResampledMetrics(label, scores, patient, 12), rng.integers(0, 3, (6, 12)).astype(np.float64)
    counts, plain = score.table.counts(times), Ranked(label, scores).counts(times[:, patient])
    for name, spec in METRICS.items():
        same = np.array_equal(score.figure(spec, counts, times), spec.function(*plain))
        assert same == (not mixed or name != "auroc")
        assert (score.beside(spec, counts, times) is None) == (not mixed or name != "average_precision")

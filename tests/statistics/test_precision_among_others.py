"""Average precision among the slices of other patients: counted slice by slice, and nothing where none holds both."""

import numpy as np

from anomae.statistics.intervals import PatientBootstrap
from anomae.statistics.metric_specs import METRICS
from anomae.statistics.metrics import Ranked, area_under_precision, average_precision
from anomae.statistics.precision_among_others import PrecisionAmongOthers
from anomae.statistics.resampled_ranks import ResampledRanks

PRECISION = {"average_precision": METRICS["average_precision"]}


def made_up(slices: int = 60):
    rng = np.random.default_rng(0)
    label, patient = rng.random(slices) < 0.4, rng.integers(0, 7, slices)
    label[patient == 3] = False
    label[patient == 4] = True
    return label, np.round(rng.normal(size=slices) + label, 1), patient


def plainly(label, scores, patient, times):
    """Slice by slice."""
    both = np.intersect1d(patient[label], patient[~label])
    weight, total = times[patient].astype(float), 0.0
    for one in np.flatnonzero(label):
        reached, others = scores >= scores[one], patient != patient[one]
        tp, fp = ((weight * reached)[which].sum() for which in (label, ~label))
        if patient[one] in both:
            rates = []
            for which in (label, ~label):
                among = weight[which & others].sum()
                rates.append((weight * reached)[which & others].sum() * weight[which].sum() / max(among, 1))
            tp, fp = rates
        total += weight[one] * tp / max(tp + fp, 1e-300)
    return total / weight[label].sum()


def test_it_is_the_precision_among_the_slices_of_others():
    label, scores, patient = made_up()
    table = ResampledRanks(Ranked(label, scores), patient, 7)
    among = PrecisionAmongOthers(label, table.level, patient, 7)
    times = np.random.default_rng(1).multinomial(7, np.full(7, 1 / 7), 30).astype(np.float64)
    times = np.concatenate([np.ones((1, 7)), times[(times[:, [0, 1, 2]] > 0).sum(axis=1) > 1]])
    expected = [plainly(label, scores, patient, drawn) for drawn in times]
    np.testing.assert_allclose(among.figure(*table.counts(times), times), expected, atol=1e-12)


def test_where_no_patient_holds_both_classes_there_is_nothing_beside():
    label, scores, patient = made_up()
    label = patient < 3
    table = ResampledRanks(Ranked(label, scores), patient, 7)
    among, once = PrecisionAmongOthers(label, table.level, patient, 7), np.ones((1, 7))
    assert not len(among.level)
    assert among.figure(*table.counts(once), once) == area_under_precision(*table.counts(once))
    found = PatientBootstrap(patient, 20).metrics(label, {"a": scores}, PRECISION)["a"]["average_precision"]
    assert (found.beside, found.middle) == (None, found.value)


def test_where_each_patient_has_one_slice_of_each_class_the_truth_is_held():
    patients, held, rng = 40, 0, np.random.default_rng(9)
    many = np.tile([0, 1], 200_000)
    truth = average_precision(many, rng.normal(size=len(many)) + 0.2 * many)  # no two of one patient
    patient, labels = np.repeat(np.arange(patients), 2), np.tile([0, 1], patients)
    for seed in range(60):
        rng = np.random.default_rng(seed)
        scores = rng.normal(size=patients)[patient] + 0.05 * rng.normal(size=2 * patients) + 0.2 * labels
        estimate = PatientBootstrap(patient, 150, seed).metrics(labels, {"s": scores}, PRECISION)["s"]
        interval = estimate["average_precision"].interval()
        assert interval.low <= interval.value <= interval.high
        held += interval.low <= truth <= interval.high
    assert held >= 56  # of 60; none by the percentiles alone

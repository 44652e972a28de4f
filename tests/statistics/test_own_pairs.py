"""Pairs within one patient: counted rightly, and out of the way without a trace where there are none."""

import numpy as np
import pytest
from scipy.stats import norm

from anomae.statistics.intervals import PatientBootstrap
from anomae.statistics.metric_specs import METRICS
from anomae.statistics.metrics import auroc
from anomae.statistics.own_pairs import own_pairs
from anomae.statistics.pairs import PatientPairs


def made_up(patients: int = 9, slices: int = 120, seed: int = 0):
    rng = np.random.default_rng(seed)
    label, patient = rng.random(slices) < 0.4, rng.integers(0, patients, slices)
    return label, np.round(rng.normal(size=slices) + label, 1), patient


def test_they_are_the_pairs_of_each_patient_alone():
    label, scores, patient = made_up()
    label[patient == 3] = False
    own = own_pairs(label, scores, patient, np.zeros(len(label), dtype=np.int64), 10)
    for one in range(10):
        mine = patient == one
        pairs = np.count_nonzero(label[mine]) * np.count_nonzero(~label[mine])
        assert own.possible[one] == pairs
        assert own.won[one] == pytest.approx(auroc(label[mine], scores[mine]) * pairs if pairs else 0)
    assert own.possible[[3, 9]].tolist() == [0, 0]  # the one has no abnormal slice, the other no slice at all


@pytest.mark.parametrize(("patients", "part"), [(1, 0.0), (2, 0.25), (4, 0.75), (5, 1.0), (9, 1.0)])
def test_in_a_band_of_few_patients_a_part_is_left_out(patients, part):
    label, scores, patient = made_up(patients, 40 * patients)
    apart = np.repeat([0, 1], [len(label), 2])  # a second band, of one patient alone
    label, scores, patient = np.append(label, [True, False]), np.append(scores, [1, 0]), np.append(patient, [0, 0])
    whole = own_pairs(label, scores, patient, np.where(apart == 1, -1, 0), patients)
    both = own_pairs(label, scores, patient, apart, patients)
    np.testing.assert_array_equal(both.possible, whole.possible)
    first = (patient == 0) & (apart == 0)
    pairs = np.count_nonzero(label[first]) * np.count_nonzero(~label[first])
    assert whole.possible[0] == part * pairs


def test_where_no_patient_holds_both_classes_nothing_changes_to_the_bit():
    label, scores, patient = made_up()
    label = patient < 4
    own = own_pairs(label, scores, patient, np.zeros(len(label), dtype=np.int64), 9)
    whole = np.random.default_rng(1).random(5)
    assert own.taken_out_of(whole, np.arange(5.0), np.ones((5, 9))) is whole


def test_resamples_without_them_lie_about_the_figure():
    """Where every patient has one slice of each class, and their own pairs move resamples as far again."""
    rng, patients = np.random.default_rng(2), 12
    patient, label = np.repeat(np.arange(patients), 2), np.tile([False, True], patients)
    scores = rng.normal(size=patients)[patient] + 0.1 * label
    own = own_pairs(label, scores, patient, np.zeros(len(label), dtype=np.int64), patients)
    pairs, once = PatientPairs(label, scores, patient), np.ones((1, patients))
    times = rng.multinomial(patients, np.full(patients, 1 / patients), 20_000).astype(np.float64)
    whole, resampled = pairs.auroc(once)[0], pairs.auroc(times)
    centre = own.taken_out_of(pairs.auroc(once), pairs.possible(once), once)[0]
    without = own.taken_out_of(resampled, pairs.possible(times), times)
    assert whole - centre > 0.03  # that of different patients alone
    assert resampled.mean() - whole == pytest.approx(whole - centre, rel=0.15)
    assert without.mean() == pytest.approx(whole, abs=0.002)
    assert np.isnan(own.taken_out_of(np.ones(1), np.ones(1), np.eye(patients)[:1])).all()


@pytest.mark.parametrize("patients", [12, 40])
def test_where_each_patient_has_one_slice_of_each_class_the_truth_is_held(patients):
    """Patients' own effects cancel in all pairs but those of one patient, which resamples must not count."""
    truth, held = float(norm.cdf(0.2 / np.sqrt(2 * (1 + 0.05**2)))), {"aurocs": 0, "metrics": 0}
    patient, labels = np.repeat(np.arange(patients), 2), np.tile([0, 1], patients)
    for seed in range(100):
        rng = np.random.default_rng(seed)
        scores = rng.normal(size=patients)[patient] + 0.05 * rng.normal(size=2 * patients) + 0.2 * labels
        bootstrap = PatientBootstrap(patient, 200, seed)
        for name, estimate in (
            ("aurocs", bootstrap.aurocs(labels, {"s": scores})["s"]),
            ("metrics", bootstrap.metrics(labels, {"s": scores}, {"auroc": METRICS["auroc"]})["s"]["auroc"]),
        ):
            interval = estimate.interval()
            assert interval.value == pytest.approx(auroc(labels, scores))
            assert interval.low <= interval.value <= interval.high
            held[name] += interval.low <= truth <= interval.high
    assert min(held.values()) >= 95  # of 100; 60 and 26 with the pairs within patients

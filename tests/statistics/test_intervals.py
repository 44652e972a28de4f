"""Intervals: the two ways to count agree, resamples go by patient, and 95 % means 95 %."""

import numpy as np
import pytest

from anomae.errors import UserError
from anomae.statistics import intervals
from anomae.statistics.holders import Holders, holders, stretch
from anomae.statistics.intervals import (
    Estimate,
    Interval,
    PatientBootstrap,
    difference_estimate,
    mean_estimate,
    paired_difference,
)
from anomae.statistics.metrics import auroc


def made_up(patients: int = 30, each: int = 12, seed: int = 0, gain: float = 1.0):
    rng = np.random.default_rng(seed)
    patient = np.repeat([f"p{k}" for k in range(patients)], each)
    labels = (rng.random(len(patient)) < 0.4).astype(np.int8)
    scores = gain * labels + rng.normal(size=len(patient)) + np.repeat(rng.normal(size=patients), each)
    return patient, labels, np.round(scores, 1)


def test_both_ways_to_count_give_the_same_resamples(monkeypatch):
    patient, labels, scores = made_up()
    bands = np.random.default_rng(4).integers(-1, 3, len(labels))
    found = {}
    for way in (True, False):
        monkeypatch.setattr(intervals, "worth_pairing", lambda *_, way=way: way)
        bootstrap = PatientBootstrap(patient, 300)
        rows = np.arange(40, 300)
        found[way] = [
            bootstrap.aurocs(labels, {"score": scores})["score"],
            bootstrap.aurocs(labels, {"score": scores}, rows=rows, bands=bands)["score"],
        ]
    for one, other in zip(found[True], found[False], strict=True):
        assert one.value == pytest.approx(other.value, abs=1e-12)
        np.testing.assert_allclose(one.resampled, other.resampled, atol=1e-12)
    assert found[True][0].value == pytest.approx(auroc(labels, scores), abs=1e-12)
    expected = PatientBootstrap(patient, 300).metrics(labels, {"score": scores})["score"]["auroc"]
    np.testing.assert_allclose(found[True][0].resampled, expected.resampled, atol=1e-12)


def test_a_resample_is_the_figure_of_the_drawn_patients():
    patient, labels, scores = made_up(patients=16)
    labels[patient < "p12"] = 0  # no patient with both classes: p0, p1, p10 and p11 are normal, the others abnormal
    labels[patient >= "p12"] = 1
    bootstrap = PatientBootstrap(patient, 20, seed=3)
    found = bootstrap.aurocs(labels, {"score": scores})["score"]
    of_metrics = bootstrap.metrics(labels, {"score": scores})["score"]["auroc"]
    times = np.concatenate(list(bootstrap.draws(len(labels))))
    assert times.shape == (20, 16)
    assert (times.sum(axis=1) == 16).all()
    for estimate in (found, of_metrics):
        assert estimate.centre == estimate.value
        for row, drawn in enumerate(times.astype(int)):
            repeats = drawn[bootstrap.patient]
            one_class = len(np.unique(np.repeat(labels, repeats))) == 1
            expected = np.nan if one_class else auroc(np.repeat(labels, repeats), np.repeat(scores, repeats))
            assert estimate.resampled[row] == pytest.approx(expected, abs=1e-12, nan_ok=True)


def test_draws_depend_on_seed_and_patients_alone():
    patient, _, _ = made_up()
    one, same, other = (PatientBootstrap(patient, 500, seed) for seed in (1, 1, 2))
    first = np.concatenate(list(one.draws(10)))
    np.testing.assert_array_equal(first, np.concatenate(list(same.draws(3_000_000))))
    assert (first != np.concatenate(list(other.draws(10)))).any()


def test_slices_of_one_patient_are_not_independent():
    patient, labels, scores = made_up(patients=20, each=4)
    once = PatientBootstrap(patient, 500).aurocs(labels, {"s": scores})["s"].interval()
    # Ten copies of every slice bring nothing new, so the interval must not shrink.
    copies = [np.tile(column, 10) for column in (patient, labels, scores)]
    tenfold = PatientBootstrap(copies[0], 500).aurocs(copies[1], {"s": copies[2]})["s"].interval()
    assert (tenfold.low, tenfold.high) == pytest.approx((once.low, once.high), abs=1e-12)


def test_the_interval_covers_the_truth_about_95_times_in_100():
    truth = auroc(*made_up(patients=20_000, each=10, seed=99)[1:])
    covered = 0
    for seed in range(120):
        patient, labels, scores = made_up(patients=40, each=10, seed=seed)
        interval = PatientBootstrap(patient, 300, seed).aurocs(labels, {"s": scores})["s"].interval()
        assert interval.low is not None
        assert interval.high is not None
        covered += interval.low <= truth <= interval.high
    assert 105 <= covered <= 120


def test_a_paired_difference_is_narrower_than_its_parts():
    patient, labels, scores = made_up()
    better = scores + 0.1 * labels
    found = PatientBootstrap(patient, 400).aurocs(labels, {"a": better, "b": scores})
    difference = paired_difference(found["a"], found["b"])
    alone = found["a"].interval()
    assert difference.value == pytest.approx(found["a"].value - found["b"].value)
    assert difference.high - difference.low < 0.5 * (alone.high - alone.low)
    assert difference.low > 0
    assert paired_difference(found["a"], found["a"]) == Interval(0.0, 0.0, 0.0)


@pytest.mark.parametrize("patients", [1, 2, 4])
def test_too_few_patients_give_no_interval(patients):
    patient, labels, scores = made_up(patients=patients)
    bootstrap = PatientBootstrap(patient, 100)
    interval = bootstrap.aurocs(labels, {"s": scores})["s"].interval()
    assert (interval.low, interval.high) == (None, None)
    assert interval.value == pytest.approx(auroc(labels, scores))
    assert bootstrap.metrics(labels, {"s": scores})["s"]["average_precision"].interval().low is None
    assert np.isnan(bootstrap.curves(labels, scores, np.linspace(0, 1, 5))[0]).all()


@pytest.mark.parametrize("abnormal", [1, 3, 4])
def test_few_abnormal_patients_of_many_give_no_interval_anywhere(abnormal):
    patient, labels, scores = made_up(patients=50)
    labels[~np.isin(patient, [f"p{k}" for k in range(abnormal)])] = 0
    bootstrap = PatientBootstrap(patient, 200)
    why = f"too few patients with abnormal slices ({abnormal}): no interval"
    found = bootstrap.aurocs(labels, {"a": scores, "b": -scores})
    for interval in (
        found["a"].interval(),
        paired_difference(found["a"], found["b"]),
        mean_estimate([found["a"], found["b"]]).interval(),
        bootstrap.metrics(labels, {"a": scores})["a"]["fpr_at_95_tpr"].interval(),
        bootstrap.aurocs(labels, {"a": scores}, rows=np.arange(1, len(labels)))["a"].interval(),
        bootstrap.aurocs(labels, {"a": scores}, bands=np.arange(len(labels)) % 3)["a"].interval(),
    ):
        assert (interval.low, interval.high) == (None, None)
        assert interval.why.startswith("too few patients with abnormal slices")
    assert found["a"].interval().why == why
    swapped = bootstrap.aurocs(1 - labels, {"a": scores})["a"].interval()
    assert swapped.why == why.replace("abnormal", "normal")


@pytest.mark.parametrize(("patients", "wider"), [(6, True), (30, True), (60, True), (66, False)])
def test_few_patients_widen_the_interval_and_many_leave_it_to_the_percentiles(patients, wider):
    patient, labels, scores = made_up(patients=patients, each=60)
    estimate = PatientBootstrap(patient, 400).aurocs(labels, {"s": scores})["s"]
    moved = estimate.resampled + (estimate.centre - estimate.value)
    interval, plain = estimate.interval(), np.percentile(moved, (2.5, 97.5))
    if wider:
        assert interval.low < plain[0]
        assert interval.high > plain[1]  # of patients who hold both classes
        assert interval.low >= 0
        assert interval.high <= 1
    else:
        assert (interval.low, interval.high) == tuple(plain)


def test_few_patients_who_all_agree_are_not_certain():
    groups = (Holders("abnormal slices", 5, 5.0),)
    one = Estimate(1.0, np.ones(100), groups).interval()
    none = Estimate(0.0, np.zeros(100), groups).interval()
    assert (one.low, one.high) == (pytest.approx(0.025 ** (1 / 5)), 1.0)
    assert (none.low, none.high) == (0.0, pytest.approx(1 - 0.025 ** (1 / 5)))
    many = (Holders("abnormal slices", 50, 50.0),)
    assert Estimate(1.0, np.ones(100), many).interval() == Interval(1.0, pytest.approx(0.025 ** (1 / 50)), 1.0)


def test_a_difference_of_figures_near_one_reaches_as_far_back_as_it_spreads():
    """Its resamples lean away from no difference: here the lower of two figures near 1 has the longer tail."""
    rng = np.random.default_rng(0)
    groups = tuple(Holders(f"{kind} slices", 40, 40.0) for kind in ("abnormal", "normal"))
    higher = Estimate(0.99, 1 - rng.exponential(0.01, 2000), groups)
    lower = Estimate(0.96, 1 - rng.exponential(0.04, 2000), groups)
    middling = Estimate(0.7, rng.normal(0.7, 0.04, 2000), groups)
    for one, other, leaning in ((higher, lower, True), (middling, higher, True), (middling, middling, False)):
        difference = difference_estimate(one, other)
        assert difference.leaning is leaning
        interval, reach = difference.interval(), 1.96 * difference.resampled.std(ddof=1)
        low, high = np.percentile(difference.resampled, (2.5, 97.5))
        if leaning:
            low, high = min(low, difference.value - reach), max(high, difference.value + reach)
        assert (interval.low, interval.high) == (pytest.approx(low, abs=1e-5), pytest.approx(high, abs=1e-5))
        assert mean_estimate([middling, difference]).leaning is leaning
    interval = difference_estimate(higher, lower).interval()
    assert interval.low < np.percentile(higher.resampled - lower.resampled, 2.5)


def test_near_one_percentiles_alone_are_not_believed():
    groups = (Holders("abnormal slices", 50, 50.0), Holders("normal slices", 60, 60.0))
    resampled = np.random.default_rng(0).normal(0.98, 0.004, 400)
    low, high = np.percentile(resampled, (2.5, 97.5))
    near = Estimate(0.98, resampled, groups).interval()
    assert near.low < low - 0.005
    assert high < near.high <= 1
    far = Estimate(0.88, resampled - 0.1, groups).interval()
    assert (far.low, far.high) == pytest.approx((low - 0.1, high - 0.1))


def test_a_threshold_at_a_share_of_few_patients_has_no_interval():
    patient, labels, scores = made_up(patients=30)
    found = PatientBootstrap(patient, 100).metrics(labels, {"a": scores})["a"]
    printed = {name for name, estimate in found.items() if estimate.interval().low is not None}
    assert printed == {"auroc", "average_precision"}
    why = found["sensitivity_at_99_specificity"].interval().why
    assert why == "too few patients with normal slices (30, not 400): no interval"
    assert found["fpr_at_95_tpr"].interval().why == "too few patients with abnormal slices (29, not 80): no interval"


def test_resamples_without_a_class_are_counted():
    assert Estimate(0.7, np.array([np.nan, 0.6, 0.7, np.nan])).left_out == 2


def test_rows_of_two_patients_give_no_interval():
    patient, labels, scores = made_up()
    rows = np.flatnonzero(np.isin(patient, ["p1", "p2"]))
    interval = PatientBootstrap(patient, 100).aurocs(labels, {"s": scores}, rows=rows)["s"].interval()
    assert interval == Interval(pytest.approx(auroc(labels[rows], scores[rows])), None, None)


def test_mostly_one_class_gives_no_interval():
    assert Estimate(0.7, np.array([np.nan, np.nan, np.nan, 0.6, 0.7])).interval() == Interval(0.7)
    assert Estimate(0.7, np.array([np.nan, 0.6, 0.7, 0.8])).interval().low is not None


def test_figures_less_what_is_not_between_patients_add_up():
    one = Estimate(0.7, np.linspace(0.65, 0.75, 100), centre=0.65)
    other = Estimate(0.6, np.linspace(0.55, 0.6, 100))
    assert mean_estimate([one, other]).middle == pytest.approx((0.65 + 0.6) / 2)
    assert difference_estimate(one, other).middle == pytest.approx(0.05)
    assert difference_estimate(one, other).value == pytest.approx(0.1)
    interval = Estimate(0.71, np.linspace(0.66, 0.76, 101), centre=0.65).interval()  # moved with its centre, by 0.06
    assert (interval.low, interval.high) == (pytest.approx(0.6025), 0.71)  # and wide enough for the figure itself


def test_nothing_to_compare_is_refused():
    patient, labels, scores = made_up()
    with pytest.raises(UserError, match="No abnormal and normal"):
        PatientBootstrap(patient, 10).aurocs(labels, {"s": scores}, bands=labels.astype(np.int64))
    with pytest.raises(UserError, match="finite"):
        PatientBootstrap(patient, 10).aurocs(labels, {"s": np.full(len(labels), np.nan)})


def test_matched_auroc_is_that_of_each_band_weighted_by_its_pairs():
    patient, labels, scores = made_up()
    bands = np.arange(len(labels)) % 3
    won, pairs = 0.0, 0
    for band in range(3):
        here = bands == band
        count = int(labels[here].sum()) * int((1 - labels[here]).sum())
        won, pairs = won + auroc(labels[here], scores[here]) * count, pairs + count
    found = PatientBootstrap(patient, 10).aurocs(labels, {"s": scores}, bands=bands)["s"]
    assert found.value == pytest.approx(won / pairs)


def test_bands_lie_around_the_curves():
    patient, labels, scores = made_up()
    grid = np.linspace(0, 1, 21)
    roc, precision = PatientBootstrap(patient, 200).curves(labels, scores, grid)
    assert (roc[0] <= roc[1]).all()
    assert (np.diff(roc, axis=1) >= -1e-12).all()
    assert roc[0, -1] == roc[1, -1] == 1
    assert precision[0, -1] < labels.mean() < precision[1, -1]


def test_an_interval_reads_well():
    assert str(Interval(0.83, 0.7904, 0.87)) == "0.830 [0.790, 0.870]"
    assert str(Interval(0.83)) == "0.830"
    assert str(Interval(-0.0001)) == "0.000"
    assert Interval(0.5, 0.4, 0.6).to_json() == {"value": 0.5, "low": 0.4, "high": 0.6}


def test_a_skewed_figure_has_arms_of_one_length_stretched_however_many_patients_there_are():
    resampled = np.linspace(0.25, 0.45, 401)  # of a figure of 0.3: percentiles 0.255 and 0.445
    held = (holders("lesions", np.ones(40)), holders("pixels outside lesions", np.ones(50)))
    plain = Estimate(0.3, resampled, held).interval()
    skewed = Estimate(0.3, resampled, held, skewed=True).interval()
    assert (plain.low, plain.high) == pytest.approx((0.255, 0.445))
    arm = 0.145 * stretch(held, enough=np.inf)
    assert stretch(held) == 1 < stretch(held, enough=np.inf) < 1.06
    assert (skewed.low, skewed.high) == pytest.approx((0.3 - arm, 0.3 + arm))
    assert Estimate(0.1, resampled - 0.2, held, skewed=True).interval().low == 0  # never below what it can be
    one, other = Estimate(0.3, resampled, held, skewed=True), Estimate(0.2, resampled - 0.1, held)
    assert difference_estimate(one, other).skewed
    assert mean_estimate([other, one]).skewed
    assert not difference_estimate(other, other).skewed

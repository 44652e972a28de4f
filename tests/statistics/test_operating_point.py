"""The bound on false positives holds, in simulation and by hand, and where it cannot be had that is said."""

import numpy as np
import pytest

from anomae.errors import UserError
from anomae.reports.operating_point import operating_point
from anomae.statistics.intervals import PatientBootstrap
from anomae.statistics.metrics import balanced_accuracy
from anomae.statistics.operating_point import Calibration, patient_threshold, slice_threshold, threshold_sentence

from ..reports.test_assessment import made_up


def cohort(rng: np.random.Generator, patients: int) -> tuple[np.ndarray, np.ndarray]:
    """Slices that share much with their patient; patients with 1 to 40 of them, more where scores are high."""
    level = rng.normal(size=patients)
    sizes = np.clip(rng.poisson(5 + 12 * (level > 0.5)), 1, 40)
    patient = np.repeat(np.arange(patients), sizes)
    return level[patient] + 0.5 * rng.normal(size=len(patient)), patient.astype(np.str_)


@pytest.mark.parametrize(("patients", "bound"), [(19, 0.05), (10, 0.2), (30, 0.1), (4, 0.05)])
def test_the_bound_holds_for_finite_samples(patients, bound):
    rng = np.random.default_rng(3)
    slices, patients_flagged, bounds = [], [], set()
    for _ in range(1500):
        calibration, test = cohort(rng, patients), cohort(rng, 1)[0]
        by_slice, by_patient = slice_threshold(*calibration, bound), patient_threshold(*calibration, bound)
        slices.append(np.mean(test > by_slice.value))
        patients_flagged.append(test.max() > by_patient.value)
        bounds |= {by_slice.bound, by_patient.bound}
    assert len(bounds) == 1
    limit = bounds.pop()
    assert limit == max(bound, 1 / (patients + 1))
    for found in (slices, patients_flagged):
        assert np.mean(found) <= limit + 3 * np.std(found) / np.sqrt(len(found))
    # It does not hold by flagging nothing: the patient-wise bound is nearly used up.
    assert np.mean(patients_flagged) > limit - 1 / (patients + 1) - 0.03


def test_pooling_the_slices_would_break_the_bound():
    """Why patients weigh alike: patients with few slices, here the high ones, would count for too little."""
    rng = np.random.default_rng(4)
    weighed, pooled = [], []
    for _ in range(800):
        level = rng.normal(size=21)
        patient = np.repeat(np.arange(21), np.where(level > 0.8, 1, 30))
        scores = level[patient]
        old, new = patient < 20, scores[patient == 20]
        weighed.append(np.mean(new > slice_threshold(scores[old], patient[old].astype(np.str_), 0.1).value))
        pooled.append(np.mean(new > np.quantile(scores[old], 0.9)))
    assert np.mean(weighed) <= 0.1
    assert np.mean(pooled) > 0.15


def test_by_hand():
    scores, patient = np.array([1.0, 2, 3, 4, 9]), np.array(["a", "a", "b", "b", "c"])
    # Weights 1/8, 1/8, 1/8, 1/8, 1/4 and 1/4 at infinity: three quarters are reached at 9 only, a half at 4.
    assert slice_threshold(scores, patient, 0.25).value == 9
    assert slice_threshold(scores, patient, 0.5).value == 4
    assert slice_threshold(scores, patient, 0.6).value == 4
    assert slice_threshold(scores, patient, 0.625).value == 3
    assert patient_threshold(scores, patient, 0.5).value == 4
    assert patient_threshold(scores, patient, 0.75).value == 2


def test_too_few_patients_are_said():
    threshold = slice_threshold(np.arange(10.0), np.arange(10).astype(np.str_), 0.05)
    assert (threshold.reachable, threshold.needed, threshold.value) == (False, 19, 9.0)
    assert threshold.bound == pytest.approx(1 / 11)
    sentence = threshold_sentence(threshold, "slice of a new healthy patient")
    assert "A bound of 5 % per slice needs at least 19 calibration patients" in sentence
    assert "there are 10" in sentence
    assert "9.09 %" in sentence
    assert slice_threshold(np.arange(19.0), np.arange(19).astype(np.str_), 0.05).reachable
    assert not slice_threshold(np.arange(18.0), np.arange(18).astype(np.str_), 0.05).reachable


def test_nonsense_is_refused():
    one = np.array(["a"])
    for scores, patient, bound, words in (
        (np.ones(1), one, 1.0, "between 0 and 1"),
        (np.empty(0), one[:0], 0.1, "no calibration"),
        (np.array([np.nan]), one, 0.1, "not a finite"),
    ):
        with pytest.raises(UserError, match=words):
            slice_threshold(scores, patient, bound)


def test_what_is_achieved_is_counted_as_it_should_be():
    slices = made_up()
    score = slices.label + 0.6 * np.random.default_rng(1).normal(size=len(slices))
    rng = np.random.default_rng(5)
    calibration = Calibration(0.6 * rng.normal(size=800), np.repeat(np.arange(40), 20).astype(np.str_), "40 patients")
    found = operating_point(slices, score, calibration, "", PatientBootstrap(slices.patient, 200)).model_dump()
    by_slice, flagged = found["slice"], score > found["slice"]["threshold"]
    normal = slices.label == 0
    assert by_slice["specificity"]["value"] == pytest.approx(1 - flagged[normal].mean())
    assert by_slice["sensitivity"]["value"] == pytest.approx(flagged[~normal].mean())
    edge = np.nextafter(by_slice["threshold"], np.inf)
    assert by_slice["balanced_accuracy"]["value"] == pytest.approx(balanced_accuracy(slices.label, score, edge))
    shares = [flagged[(slices.patient == name) & normal].mean() for name in np.unique(slices.patient)]
    assert by_slice["false_positive_rate"]["value"] == pytest.approx(np.mean(shares))
    assert by_slice["false_positive_rate"]["low"] < np.mean(shares) < by_slice["false_positive_rate"]["high"]
    assert [(row["kind"], row["name"]) for row in by_slice["groups"]] == [("site", "A"), ("site", "B")]
    whole, alarm = found["patient"], score > found["patient"]["threshold"]
    ill = np.unique(slices.patient[~normal])
    healthy = np.setdiff1d(slices.patient, ill)
    assert whole["sensitivity"]["value"] == pytest.approx(np.mean([alarm[slices.patient == p].any() for p in ill]))
    quiet = [not alarm[slices.patient == p].any() for p in healthy]
    assert whole["specificity"]["value"] == pytest.approx(np.mean(quiet))
    assert whole["flagged_in_an_abnormal_slice"]["value"] <= whole["sensitivity"]["value"]


def test_no_calibration_is_a_sentence():
    slices = made_up()
    found = operating_point(slices, np.zeros(len(slices)), None, "None there.", PatientBootstrap(slices.patient, 100))
    assert (found.sentence, found.slice, found.patient) == ("None there.", None, None)


def test_a_bound_that_did_not_hold_is_said():
    slices = made_up()
    low = Calibration(np.linspace(0, 1, 400), np.repeat(np.arange(40), 10).astype(np.str_), "40 patients")
    found = operating_point(slices, np.full(len(slices), 2.0), low, "", PatientBootstrap(slices.patient, 100))
    said = " ".join(found.doubts)
    assert "The bound per slice did not hold on the tested slices: 100.0 % were flagged, and the bound is 5 %." in said
    assert "The bound per patient did not hold" in said
    quiet = operating_point(slices, np.full(len(slices), 0.5), low, "", PatientBootstrap(slices.patient, 100))
    assert "did not hold" not in " ".join(quiet.doubts)

"""Flags are by the thresholds of the report; where a bound cannot hold there is none, and why is said."""

from dataclasses import replace

import numpy as np
import pytest

from anomae.errors import UserError
from anomae.inference.decision import HealthyScores, decide, rules_of
from anomae.statistics.neighbours import smoothed_over_neighbours
from anomae.statistics.operating_point import patient_threshold, slice_threshold

RNG = np.random.default_rng(4)


def healthy(people=40, unit="patient", tops=True):
    person = np.sort(RNG.integers(0, people, people * 6))
    person[:people] = np.arange(people)
    scores = RNG.normal(size=len(person)) + person % 7 / 9
    return HealthyScores(scores, scores * 3 if tops else None, person, unit, "made up", ())


def test_thresholds_are_those_of_the_report():
    kept = healthy()
    names = kept.person.astype(np.str_)
    for bounds in ((0.05, 0.10), (0.2, 0.3)):
        rules = rules_of(kept, bounds=bounds)
        assert rules.slice.threshold == slice_threshold(kept.scores, names, bounds[0]).value
        assert rules.scan.threshold == patient_threshold(kept.scores, names, bounds[1]).value
        assert rules.finding.threshold == slice_threshold(kept.map_tops, names, bounds[0]).value
        assert (rules.slice.bound, rules.scan.bound) == bounds


def test_strictly_above_the_threshold_is_flagged():
    kept = healthy()
    rules = rules_of(kept)
    edge = rules.slice.threshold
    decision = decide(np.array([edge, np.nextafter(edge, 9), edge - 1]), rules, kept)
    assert decision.flags.tolist() == [False, True, False]
    top = rules.scan.threshold
    assert decide(np.array([top]), rules, kept).scan_flag is False
    assert decide(np.array([np.nextafter(top, 99), -5.0]), rules, kept).scan_flag is True


def test_shares_are_of_healthy_slices_that_score_lower():
    kept = healthy()
    scores = np.array([kept.scores.min() - 1, np.median(kept.scores), kept.scores.max(), kept.scores.max() + 1])
    decision = decide(scores, rules_of(kept), kept)
    for share, score in zip(decision.shares_below, scores, strict=True):
        assert share == np.mean(kept.scores < score)
    assert decision.calibration == "240 healthy slices of 40 patients"
    tops = [kept.scores[kept.person == one].max() for one in range(40)]
    assert decision.scan_share_below == np.mean(np.array(tops) < scores.max())
    assert decide(scores[1:2], rules_of(kept), kept).scan_share_below < 1


@pytest.mark.parametrize(("people", "slices", "scans"), [(9, False, True), (8, False, False), (19, True, True)])
def test_too_few_healthy_people_are_no_flag_and_why(people, slices, scans):
    kept = healthy(people, unit="file")
    decision = decide(np.array([99.0]), rules_of(kept), kept)
    assert (decision.flags is not None, decision.scan_flag is not None) == (slices, scans)
    if not slices:
        assert f"needs at least 19 calibration files, and there are {people}" in decision.rules.slice.sentence
    assert bool(decision.unflagged) == (not scans)
    assert ("Slices have no flag of their own. A bound of" in decision.slices_unflagged) == (scans and not slices)
    assert "No flag" not in decision.slices_unflagged
    assert decision.shares_below.tolist() == [1.0]


@pytest.mark.parametrize("kept", [None, healthy(40)])
def test_a_threshold_by_hand_stands_in_the_place_of_both(kept):
    rules = rules_of(kept, threshold=0.25)
    decision = decide(np.array([0.25, 0.26]), rules, kept)
    assert decision.flags.tolist() == [False, True]
    assert decision.scan_flag is True
    assert rules.slice.given
    assert rules.scan.given
    assert "by hand: no bound holds" in rules.scan.sentence
    assert (rules.finding.threshold, rules.finding.bound, rules.finding.given) == (rules.slice.threshold, None, True)
    assert "by hand" in rules.finding.sentence


def test_without_calibration_nothing_is_flagged():
    decision = decide(np.array([1.0]), rules_of(None), None)
    assert (decision.flags, decision.scan_flag, decision.shares_below, decision.scan_share_below) == (None,) * 4
    assert "keeps no scores of healthy people" in decision.unflagged


def test_nor_is_what_the_model_was_not_made_for():
    kept = healthy()
    decision = decide(np.array([99.0]), rules_of(kept, threshold=1), kept, unsuited="It is a lung.")
    assert (decision.flags, decision.scan_flag, decision.unflagged) == (None, None, "It is a lung.")


@pytest.mark.parametrize("kept", [healthy(), None])
@pytest.mark.parametrize("threshold", [float("nan"), float("inf"), -float("inf"), np.float64("nan")])
def test_a_threshold_by_hand_is_a_finite_number(kept, threshold):
    with pytest.raises(UserError, match=r"A threshold is a finite number, not -?(nan|inf);"):
        rules_of(kept, threshold=threshold)


@pytest.mark.parametrize("bounds", [(0.05, 1.0), (0.0, 0.1), (float("nan"), 0.1)])
def test_bounds_that_can_be_none_are_refused_whatever_the_model_keeps(bounds):
    for given in ({}, {"threshold": 0.5}):
        with pytest.raises(UserError, match="between 0 and 1"):
            rules_of(None, bounds=bounds, **given)


def test_no_map_is_no_finding_threshold():
    rules = rules_of(healthy(tops=False))
    assert rules.finding.threshold is None
    assert "draws no map" in rules.finding.sentence


@pytest.mark.parametrize("bounds", [(0, 0.1), (0.05, 1)])
def test_a_bound_that_is_none_is_refused(bounds):
    with pytest.raises(UserError, match="between 0 and 1"):
        rules_of(healthy(), bounds=bounds)


def test_findings_take_the_smallest_bound_that_few_people_allow_and_say_so():
    few = HealthyScores(np.array([0.1, 0.2, 0.3]), np.array([0.4, 0.6, 0.5]), np.arange(3), "patient", "made up")
    rules = rules_of(few)
    assert (rules.slice.threshold, rules.scan.threshold) == (None, None)
    assert (rules.finding.threshold, rules.finding.bound) == (0.6, 0.25)
    assert "needs at least 19" in rules.finding.sentence
    assert "at most 25 %" in rules.finding.sentence


def smoothed_too(kept):
    """Each person's scores are those of one slice upon the other."""
    case, number = kept.person, np.arange(len(kept.scores))
    return replace(kept, smoothed=smoothed_over_neighbours(kept.scores, case, number))


def test_smoothed_scores_are_judged_beside_those_of_healthy_people_smoothed_alike():
    kept = smoothed_too(healthy())
    rules, names = rules_of(kept, smoothed=True), kept.person.astype(np.str_)
    assert rules.slice.threshold == slice_threshold(kept.smoothed, names, 0.05).value
    assert rules.scan.threshold == patient_threshold(kept.smoothed, names, 0.10).value
    assert rules.finding == rules_of(kept).finding
    assert "smoothed" in rules.slice.sentence
    assert "smoothed" in rules.scan.sentence
    assert "smoothed" not in rules_of(kept).scan.sentence
    edge = rules.slice.threshold
    spike = np.array([edge - 4, edge + 2, edge - 4, edge + 1, edge + 1, edge + 1])
    decision = decide(spike, rules, kept, slices=np.array([2, 3, 4, 8, 9, 10]))
    assert decision.flags.tolist() == [False, False, False, True, True, True]
    np.testing.assert_allclose(decision.scores[:3], [edge - 2.5, edge - 1, edge - 2.5])
    assert decision.scan_score == decision.scores.max()
    for share, score in zip(decision.shares_below, decision.scores, strict=True):
        assert share == np.mean(kept.smoothed < score)
    alone = decide(spike, rules_of(kept), kept, slices=np.arange(6))
    assert alone.scores is spike
    assert alone.flags[1]


def test_without_smoothed_scores_of_healthy_people_no_smoothed_score_is_flagged_and_why():
    kept = healthy()
    decision = decide(np.array([99.0, 99.0]), rules_of(kept, smoothed=True), kept)
    assert (decision.flags, decision.scan_flag, decision.shares_below, decision.calibration) == (None, None, None, "")
    assert decision.unflagged.startswith("No flag by smoothed scores")
    by_hand = decide(np.array([0.0, 8.0, 0.0]), rules_of(kept, threshold=3, smoothed=True), kept)
    assert by_hand.flags.tolist() == [False, True, False]
    assert by_hand.scan_score == 4


def test_the_bound_holds_for_smoothed_scores_of_new_healthy_people():
    """Scores of one person's slices go together; over many calibrations the share of flagged people is the bound's."""
    rng, flagged, bound = np.random.default_rng(7), [], 0.2
    for _ in range(300):
        scores = rng.normal(size=(15, 12)) + rng.normal(size=(15, 1))
        person = np.repeat(np.arange(14), 12)
        kept = HealthyScores(scores[:14].ravel(), None, person, "patient", "made up", ())
        kept = smoothed_too(kept)
        rules = rules_of(kept, bounds=(0.2, bound), smoothed=True)
        flagged.append(decide(scores[14], rules, kept, slices=np.arange(12)).scan_flag)
    assert 0.08 < np.mean(flagged) < bound + 0.05

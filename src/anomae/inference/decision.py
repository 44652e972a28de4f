"""A decision about a scan: which slices are flagged, and whether it is, by thresholds from healthy people alone."""

import math
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np
import numpy.typing as npt

from anomae.errors import UserError
from anomae.statistics.healthy_scores import HealthyScores as HealthyScores
from anomae.statistics.neighbours import smoothed_over_neighbours
from anomae.statistics.operating_point import (
    PATIENT_BOUND,
    SLICE_BOUND,
    Threshold,
    check_bound,
    in_full,
    patient_threshold,
    slice_threshold,
    threshold_sentence,
)

Scores = npt.NDArray[np.float64]
# What brings thresholds to a model that keeps none: one that torch scores with, or in fp32; one in bf16 or int8.
FIT_AGAIN = "give `anomae fit STORE RUN` of its run again, with a store that has healthy slices in its validation split"
EXPORT_AGAIN = "export it again where the store of its run is at hand and has healthy slices in its validation split"
_NOT_SMOOTHED = (
    "No flag by smoothed scores: the model keeps none of healthy people, whose slices have no neighbours, or which an "
    "earlier version scored; give `anomae fit STORE RUN` of its run again, or flag without smoothing."
)


@dataclass(frozen=True, slots=True)
class Rule:
    """By what one kind of flag is raised: strictly above `threshold`.

    threshold: None where there is none, and `sentence` then says why.  bound: the probability with which something
    healthy is flagged at most; None where the threshold was given by hand.  given: whether it was.  sentence: all of
    this in words.
    """

    threshold: float | None
    bound: float | None
    given: bool
    sentence: str


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules for a slice (its score), a scan (its highest slice score) and a finding (the map's value).

    smoothed: scores of slices are judged smoothed over the neighbouring slices of their scan.
    """

    slice: Rule
    scan: Rule
    finding: Rule
    smoothed: bool = False


@dataclass(frozen=True, slots=True)
class Decision:
    """What was decided about one scan of k scored slices.

    rules: by which.  scores: (k,) those that were judged, smoothed where the rules say so.  flags: (k,) bool, or None
    where no slice is to be flagged: there is no threshold, or the scan is not one the model was made for. shares_below:
    (k,) the share of healthy calibration slices whose score is lower, 0..1; None without calibration. calibration:
    "1204 healthy slices of 31 patients", "" without.  scan_score: the highest slice score.  scan_flag: None where none
    is to be raised.  scan_share_below: the share of healthy patients whose highest slice is lower, 0..1; None without
    calibration.  unflagged: why the scan has no flag, "" where it has one.
    """

    rules: Rules
    scores: Scores
    flags: npt.NDArray[np.bool_] | None
    shares_below: Scores | None
    calibration: str
    scan_score: float
    scan_flag: bool | None
    unflagged: str
    scan_share_below: float | None = None

    @property
    def slices_unflagged(self) -> str:
        """Why the slices of a scan that has a flag have none of their own; "" elsewhere."""
        if self.flags is not None or self.scan_flag is None:
            return ""
        return f"Slices have no flag of their own. {self.rules.slice.sentence.removeprefix('No flag.').strip()}"


def check_limits(bounds: tuple[float, float], threshold: float | None) -> None:
    """Raises UserError where a bound does not lie between 0 and 1, or a threshold given by hand is not finite.

    Also where bounds are not two numbers, or a threshold is none, as a program may have them.
    """
    given: Any = bounds
    if not isinstance(given, tuple | list) or len(given) != 2 or not all(isinstance(each, Real) for each in given):
        raise UserError(f"bounds are two numbers, of a slice and of a patient, such as (0.05, 0.1), not {given!r}.")
    for bound in bounds:
        check_bound(bound)
    if threshold is not None and (not isinstance(threshold, Real) or not math.isfinite(threshold)):
        shown = threshold if isinstance(threshold, Real) else repr(threshold)
        raise UserError(f"A threshold is a finite number, not {shown}; leave it out for that from healthy people.")


def rules_of(
    healthy: HealthyScores | None,
    *,
    bounds: tuple[float, float] = (SLICE_BOUND, PATIENT_BOUND),
    threshold: float | None = None,
    smoothed: bool = False,
    advice: str = FIT_AGAIN,
) -> Rules:
    """The rules that a calibration allows.

    Too small a calibration for a bound gives no flag; findings then take the smallest bound that it allows.

    bounds: on the probability that a healthy slice, and a healthy patient's scan, is flagged.  threshold: given by
    hand, for scores of slices and so of scans, and for findings, whose map is in another unit with some detectors.
    smoothed: judge slices by their scores smoothed over neighbouring slices, beside those of healthy people smoothed
    likewise; findings are judged as ever.  advice: what brings scores of healthy people where there are none.  Raises
    UserError as `check_limits` does.
    """
    check_limits(bounds, threshold)
    if healthy is None or not len(healthy.scores):
        none = Rule(None, None, False, f"No flag: the model keeps no scores of healthy people; {advice}.")
        rules = [none] * 3
    else:
        judged = healthy.over_neighbours() if smoothed else healthy
        person, what = healthy.person.astype(np.str_), f"of a new healthy {healthy.unit}"
        tops = None if healthy.map_tops is None else slice_threshold(healthy.map_tops, person, bounds[0])
        if judged is None:
            rules = [Rule(None, None, False, _NOT_SMOOTHED)] * 2
        else:
            rules = [
                _rule(slice_threshold(judged.scores, person, bounds[0]), f"slice {what}", healthy.unit, smoothed),
                _rule(patient_threshold(judged.scores, person, bounds[1]), f"scan {what}", healthy.unit, smoothed),
            ]
        no_map = Rule(None, None, False, "No findings: this detector draws no map.")
        rules.append(no_map if tops is None else _finding_rule(tops, healthy.unit))
    if threshold is not None:
        by_hand = Rule(
            threshold,
            None,
            True,
            _said(f"Above {in_full(threshold)}, a threshold given by hand: no bound holds.", smoothed),
        )
        of_maps = f"Above {in_full(threshold)} of the map, the threshold of scores given by hand: no bound holds."
        rules = [by_hand, by_hand, Rule(threshold, None, True, of_maps)]
    of_slice, of_scan, of_finding = rules
    return Rules(of_slice, of_scan, of_finding, smoothed)


def decide(
    scores: Scores,
    rules: Rules,
    healthy: HealthyScores | None,
    *,
    slices: npt.NDArray[np.int64] | None = None,
    unsuited: str = "",
) -> Decision:
    """Decide about one scan from the scores (k,) of its slices.

    slices: (k,) their numbers; those that differ by one are neighbours.  None: they lie one upon the other.  unsuited:
    why the model was not made for this scan, in which case nothing is flagged; "" where it was, or where the user
    insists.
    """
    if rules.smoothed:
        scores = smoothed_over_neighbours(
            scores, np.zeros(len(scores)), np.arange(len(scores)) if slices is None else slices
        )
        healthy = None if healthy is None else healthy.over_neighbours()
    known = healthy is not None and len(healthy.scores) > 0
    top = float(scores.max())
    why_no_scan = unsuited or ("" if rules.scan.threshold is not None else rules.scan.sentence)
    return Decision(
        rules=rules,
        scores=scores,
        flags=None if unsuited or rules.slice.threshold is None else scores > rules.slice.threshold,
        shares_below=_shares_below(scores, healthy.scores) if healthy is not None and known else None,
        calibration=f"{len(healthy.scores)} healthy slices of {healthy.people} {healthy.unit}s"
        if healthy is not None and known
        else "",
        scan_score=top,
        scan_flag=None if why_no_scan or rules.scan.threshold is None else top > rules.scan.threshold,
        unflagged=why_no_scan,
        scan_share_below=float(np.mean(_highest_of_people(healthy) < top)) if healthy is not None and known else None,
    )


def _highest_of_people(healthy: HealthyScores) -> Scores:
    """The highest slice score of each, (p,)."""
    _, index = np.unique(healthy.person, return_inverse=True)
    highest = np.full(healthy.people, -np.inf)
    np.maximum.at(highest, index, healthy.scores)
    return highest


def _shares_below(scores: Scores, healthy: Scores) -> Scores:
    """The share of `healthy` strictly below each score: ties are no evidence."""
    return np.searchsorted(np.sort(healthy), scores, side="left") / len(healthy)


def _rule(threshold: Threshold, what: str, unit: str, smoothed: bool) -> Rule:
    """A calibration too small for the bound gives no flag, and its sentence says what it would take."""
    sentence = _said(threshold_sentence(threshold, what, f"{unit}s"), smoothed)
    if not threshold.reachable:
        return Rule(None, None, False, f"No flag. {sentence}")
    return Rule(threshold.value, threshold.bound, False, sentence)


def _said(sentence: str, smoothed: bool) -> str:
    return f"{sentence} Scores are smoothed over neighbouring slices." if smoothed else sentence


def _finding_rule(tops: Threshold, unit: str) -> Rule:
    """Where to look is no flag: too small a calibration gives the smallest bound that it allows, and says so."""
    return Rule(
        tops.value, tops.bound, False, threshold_sentence(tops, f"map of a healthy slice of a new {unit}", f"{unit}s")
    )

"""What the map of a run must exceed to be a finding, as new scans are judged."""

import numpy as np

from anomae.runs.healthy_file import read_healthy_scores
from anomae.runs.run import Run
from anomae.statistics.operating_point import SLICE_BOUND, Threshold, slice_threshold, threshold_sentence


def finding_threshold(run: Run) -> float | None:
    """The threshold at the usual bound; None where the run keeps no scores of healthy people, or draws no map."""
    threshold, _ = finding_rule(run, SLICE_BOUND)
    return None if threshold is None else threshold.value


def finding_rule(run: Run, bound: float) -> tuple[Threshold | None, str]:
    """The threshold at a bound on the probability that a healthy slice has a finding, or None; and why, in words.

    Too small a calibration for the bound gives the smallest that it allows, as anomae.inference.decision does.
    Raises UserError where the bound is none.
    """
    healthy = read_healthy_scores(run.fitted)
    if healthy is None:
        return None, (
            "No threshold for findings: the run keeps no scores of healthy people; give `anomae score` of it again, on "
            "a store that has healthy slices in its validation split."
        )
    if healthy.map_tops is None:
        return None, "No threshold for findings: this detector draws no map."
    threshold = slice_threshold(healthy.map_tops, healthy.person.astype(np.str_), bound)
    what = f"map of a healthy slice of a new {healthy.unit}"
    return threshold, threshold_sentence(threshold, what, f"{healthy.unit}s")

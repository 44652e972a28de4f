"""What the map of a run must exceed to be a finding, as new scans are judged."""

from dataclasses import replace

import numpy as np

from anomae.arrays import map_array
from anomae.files import read_json
from anomae.runs.healthy_file import is_reduced, read_healthy_scores
from anomae.runs.run import Run
from anomae.statistics.healthy_scores import HealthyScores
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
    healthy = _healthy_of(run)
    if healthy is None:
        return None, (
            "No threshold for findings: the run keeps no scores of healthy people; give `anomae fit STORE RUN` of it "
            "again, with a store that has healthy slices in its validation split."
        )
    if healthy.map_tops is None:
        return None, "No threshold for findings: this detector draws no map."
    threshold = slice_threshold(healthy.map_tops, healthy.person.astype(np.str_), bound)
    what = f"map of a healthy slice of a new {healthy.unit}"
    return threshold, threshold_sentence(threshold, what, f"{healthy.unit}s")


def _healthy_of(run: Run) -> HealthyScores | None:
    """Those beside the fitted detector, with the maps of the calibration where another model scored it and the store.

    A model exported in bf16 or int8 leaves what torch gave as it is; earlier versions left there what another such
    model gave, by the same name.  Raises UserError where the file of the maps is not whole.
    """
    healthy, tops = read_healthy_scores(run.fitted), run.calibration / "map_tops.npy"
    if healthy is None or not tops.exists() or not (run.calibration / "findings.json").exists():
        return healthy
    made_of = read_json(run.calibration / "findings.json").get("made_of") or {}
    computed_on = str(made_of.get("computed_on", healthy.computed_on))
    if computed_on == healthy.computed_on and not is_reduced(computed_on):
        return healthy
    found = np.array(map_array(tops), dtype=np.float64)
    return replace(healthy, map_tops=found) if found.shape == healthy.person.shape else healthy

"""What the map of a run must exceed to be a finding, for pictures of its slices."""

import numpy as np

from anomae.runs.healthy_file import read_healthy_scores
from anomae.runs.run import Run
from anomae.statistics.operating_point import SLICE_BOUND, slice_threshold


def finding_threshold(run: Run) -> float | None:
    """The threshold at the usual bound; None where the healthy slices of the run allow none, or it draws no map."""
    healthy = read_healthy_scores(run.fitted)
    if healthy is None or healthy.map_tops is None:
        return None
    threshold = slice_threshold(healthy.map_tops, healthy.person.astype(np.str_), SLICE_BOUND)
    return threshold.value if threshold.reachable else None

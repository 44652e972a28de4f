"""What an exported model in bf16 or int8 itself gives to healthy people: thresholds that it can reach.

Its scores are off torch's by more than a threshold bears: those of torch's fp32 may flag nothing of what it says.
"""

from pathlib import Path

from anomae.files import copy_file
from anomae.inference.exported.detector import ExportedDetector
from anomae.runs.calibrate import healthy_scores_of
from anomae.runs.calibration import CALIBRATION_SPLIT
from anomae.runs.run import Run
from anomae.runs.scoring_rows import finish, score_rows
from anomae.slices.store import SliceStore
from anomae.statistics.healthy_scores import HealthyScores


def own_calibration(exported: ExportedDetector, run: Path, store: SliceStore, into: Path) -> HealthyScores | None:
    """Score the normal validation slices of the run's store into the empty folder `into`/calibration, as a fit does.

    None where there are none.
    """
    rows = store.learnable(CALIBRATION_SPLIT)
    if not len(rows):
        return None
    own = Run(into)
    copy_file(run / "run.json", into / "run.json")  # what it says of the choice of a checkpoint makes doubts
    facts = score_rows(exported, store, rows, own.calibration, CALIBRATION_SPLIT, levels=True, tops=True)
    finish(own.calibration, {**facts, "made_of": {"computed_on": exported.engine}})
    return healthy_scores_of(own, store)

"""A study of a scan that was scored before, from what was kept of it: nothing is inspected again."""

from pathlib import Path

import numpy as np
import numpy.typing as npt

from anomae.cohorts.case import CaseSlices
from anomae.errors import UnreadableScan
from anomae.inference.finding import find_regions
from anomae.inference.score_volume import VolumeResult
from anomae.inference.study import Study
from anomae.inference.suitability import Suitability
from anomae.inference.tables import Judged
from anomae.volumes.volume import Volume


def earlier_study(
    case: CaseSlices,
    volume: Volume | None,
    judged: Judged,
    heat: npt.NDArray[np.float32] | None,
    *,
    detector: str,
    map_name: str,
    model: str,
) -> Study:
    """The scan with the scores, map and notes of its scoring, and what is decided about it now.

    case: its slices, read again; volume: likewise, None for a picture in colour.  judged: its journal line and the
    decision.  heat: its map (z, y, x).  Its prepared images are not there: `images` of the result has no pixels.
    Raises UnreadableScan where the scan has other slices than it had.
    """
    scan, threshold = judged.scan, judged.decision.rules.finding.threshold
    kept = np.flatnonzero(np.isin(case.slices, scan.slices))
    if len(kept) != len(scan.slices) or (heat is not None and heat.size != case.images[:, 0].size):
        raise UnreadableScan(f"{Path(scan.file)} is not what it was when it was scored; remove it from the results.")
    refused = bool(scan.unsuited) and not judged.forced
    result = VolumeResult(
        case=case,
        kept=kept,
        slices=case.slices[kept],
        positions_mm=case.positions_mm[kept],
        scores=np.array(scan.scores, dtype=np.float64),
        other_scores={},
        smoothed=None,
        empty=np.zeros(len(kept), dtype=np.bool_),
        images=np.zeros((len(kept), case.channels, 0, 0), dtype=np.float32),
        map=heat,
        map_name=map_name,
        notes=tuple(scan.notes),
    )
    return Study(
        name=scan.name,
        volume=volume,
        result=result,
        decision=judged.decision,
        regions=None
        if heat is None or threshold is None or refused
        else find_regions(heat, threshold, case.grid, np.asarray(case.slices, dtype=np.int64)),
        suitability=Suitability(tuple(scan.unsuited), scan.distance, scan.percentile, tuple(scan.doubts)),
        detector=detector,
        model=model,
        patient="" if scan.patient == scan.name else scan.patient,
    )

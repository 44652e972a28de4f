"""What is written of one inspected scan into the folder of a scoring: map, highest slices, and its line of the journal.

The findings of scans that were inspected earlier are looked for anew in their maps where the threshold is another now.
"""

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from anomae.inference.decision import Rules
from anomae.inference.finding import FoundRegions, find_regions
from anomae.inference.study import Study
from anomae.reports.ct_windows import window_of_ct, window_sentence
from anomae.reports.overlays import grey_range
from anomae.runs.scoring_folder import ScoredScan, ScoringFolder, further_columns
from anomae.runs.scoring_outputs import write_highest, write_map
from anomae.volumes.orientation import axial_view
from anomae.volumes.volume import Grid


def write_study(file: Path, study: Study, folder: ScoringFolder, overlays: int) -> ScoredScan:
    """Write the map and the highest slices of one scan; returns what its journal line says.

    file: as the user named it.  overlays: of how many of the highest slices.
    """
    result, name = study.result, study.name
    case, kept = result.case, result.kept
    highest = np.argsort(-result.scores, kind="stable")[:overlays]
    heat_top, said = None, tuple[str, ...]()
    if result.map is not None and result.axial_map is not None:
        flat = case.grid is None and len(result.map) == 1
        z, y, x = result.map.shape
        grid = None if flat else case.grid or Grid((z, y, x))
        said = write_map(folder.map_path(name, flat), result.map, grid, case.placement)
        if len(highest):
            heat = result.axial_map[kept[highest]]
            window = window_of_ct(case)
            heat_top = float(np.percentile(heat, 99.9))
            write_highest(
                folder.highest_path(name),
                case.images[kept[highest]],
                heat,
                black_and_white=grey_range(case.images) if window is None else window[1],
                slices=result.slices[highest],
                scores=result.scores[highest],
                spacing_mm=case.spacing_mm,
                count=len(case.images),
                sides=case.sides_known,
                window=window_sentence(window),
            )
    for old in folder.overlays(name):
        old.unlink()
    return ScoredScan(
        path=str(file.resolve()),
        file=str(file),
        stamp=folder.stamp(file),
        name=name,
        patient=study.patient or name,  # a file that names nobody is a patient of its own
        slices=result.slices.tolist(),
        positions_mm=[None if np.isnan(position) else float(position) for position in result.positions_mm],
        scores=result.scores.tolist(),
        further=further_columns(case, kept),
        pictured=len(highest),
        heat_top=heat_top,
        notes=[*result.notes, *said],
        grid=None if case.grid is None else case.grid.to_json(),
        unsuited=list(study.suitability.reasons),
        distance=study.suitability.distance,
        percentile=study.suitability.percentile,
        doubts=list(study.suitability.doubts),
        named=str(file.absolute()),
        **_found(study.regions, study.decision.rules.finding.threshold),
    )


def find_anew(folder: ScoringFolder, rules: Rules, force: bool) -> None:
    """Bring the findings of all scans of `folder` to the threshold of `rules`.

    force: those of scans too that the model was not made for.  A scan whose map is not there any more has none.
    """
    for scan in list(folder.scans.values()):
        wanted = None if scan.unsuited and not force else rules.finding.threshold
        if scan.finding_threshold == wanted:
            continue
        heat = None if wanted is None else folder.read_map(scan.name)
        regions = None
        if heat is not None and wanted is not None:
            grid = None if scan.grid is None else Grid.from_json(dict(scan.grid))
            count = heat.shape[0 if grid is None else axial_view(grid).axes[0]]
            regions = find_regions(heat, wanted, grid, np.arange(count, dtype=np.int64))
        found = _found(regions, wanted)
        if found["finding_threshold"] != scan.finding_threshold:
            folder.add(replace(scan, **found))


def _found(regions: FoundRegions | None, threshold: float | None) -> dict[str, Any]:
    """The entries of a journal line."""
    return {
        "findings": [] if regions is None else [asdict(one) for one in regions.findings],
        "left_out": 0 if regions is None else regions.left_out,
        "finding_threshold": None if regions is None else threshold,
    }

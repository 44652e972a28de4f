"""The rows of an archive's tables, typed, of one inspected scan each: the numbers of `anomae score`, to the bit."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from anomae.inference.study import Study
from anomae.inference.tables import threshold_by
from anomae.runs.scoring_folder import further_columns

Row = dict[str, Any]
# Column -> type, as pyarrow calls it.  A cell without a value is null.
SLICES = {
    "line": "int64",
    "file": "string",
    "name": "string",
    "patient": "string",
    "slice": "int32",
    "position_mm": "float64",
    "file_slice": "int64",
    "sop_instance_uid": "string",
    "instance_number": "int64",
    "score": "float64",
    "score_neighbours": "float64",
    "flag": "bool",
    "higher_than": "float64",
}
SCANS = {
    "line": "int64",
    "file": "string",
    "name": "string",
    "patient": "string",
    "slices": "int32",
    "score": "float64",
    "highest_slice": "int32",
    "threshold": "float64",
    "threshold_by": "string",
    "flag": "bool",
    "higher_than": "float64",
    "flagged_slices": "int32",
    "findings": "int32",
    "suited": "bool",
    "feature_distance": "float64",
    "feature_percentile": "float64",
    "reason": "string",
    "map": "string",
    "notes": "string",
}
FINDINGS = {
    "line": "int64",
    "file": "string",
    "name": "string",
    "patient": "string",
    "number": "int32",
    "first_slice": "int32",
    "last_slice": "int32",
    "voxels": "int64",
    "volume_mm3": "float64",
    "maximum": "float64",
    "mean": "float64",
    "threshold": "float64",
    **{f"{what}_{axis}_mm": "float64" for what in ("centroid", "peak") for axis in "xyz"},
}
FAILED = {"line": "int64", "file": "string", "patient": "string", "kind": "string", "reason": "string"}
TABLES: Mapping[str, Mapping[str, str]] = {"slices": SLICES, "scans": SCANS, "findings": FINDINGS, "failed": FAILED}

# What `kind` in the table `failed` may be.
UNREADABLE, KILLED, DEFECT, PASSED_OVER = "unreadable", "killed", "defect", "passed over"


@dataclass(frozen=True, slots=True)
class Named:
    """What a scan is called in tables: the line of the manifest, path or URL, the name of its outputs, patient."""

    line: int
    file: str
    name: str
    patient: str

    def row(self, **cells: Any) -> Row:
        """These columns, and `cells`."""
        return {"line": self.line, "file": self.file, "name": self.name, "patient": self.patient, **cells}


def rows_of(named: Named, study: Study, map_path: str | None, notes: tuple[str, ...]) -> dict[str, list[Row]]:
    """Table -> the rows of one scan.  map_path: of its map below the shard, None where none was written."""
    result, decision, regions = study.result, study.decision, study.regions
    if regions is not None and regions.left_out:
        notes = (*notes, f"{regions.left_out} further regions, of lower maximum, are not listed.")
    rule, top = decision.rules.scan, int(np.argmax(decision.scores))
    scan = named.row(
        slices=len(result.scores),
        score=decision.scan_score,
        highest_slice=int(result.slices[top]),
        threshold=rule.threshold,
        threshold_by=None if rule.threshold is None else threshold_by(rule, decision.rules.smoothed),
        flag=decision.scan_flag,
        higher_than=decision.scan_share_below,
        flagged_slices=None if decision.flags is None else int(decision.flags.sum()),
        findings=None if regions is None else len(regions.findings),
        suited=study.suitability.suited,
        feature_distance=study.suitability.distance,
        feature_percentile=study.suitability.percentile,
        reason=" ".join(
            [
                *([rule.sentence] if rule.given else []),
                *([decision.unflagged] if decision.unflagged else []),
                *study.suitability.doubts,
                *([decision.slices_unflagged] if decision.slices_unflagged else []),
            ]
        ),
        map=map_path,
        notes=" ".join(notes),
    )
    return {"slices": _slice_rows(named, study), "scans": [scan], "findings": _finding_rows(named, study)}


def failed_row(line: int, file: str, patient: str, kind: str, reason: str) -> Row:
    """A row of the table `failed`."""
    return {"line": line, "file": file, "patient": patient, "kind": kind, "reason": reason}


def told(row: Row) -> str:
    """What a row of the table `failed` says, with the file."""
    return str(row["reason"] if row["file"] in row["reason"] else f"{row['file']}: {row['reason']}")


def _slice_rows(named: Named, study: Study) -> list[Row]:
    result, decision = study.result, study.decision
    count = len(result.scores)
    further = further_columns(result.case, result.kept)
    columns = {
        "slice": result.slices.tolist(),
        "position_mm": [None if np.isnan(position) else position for position in result.positions_mm.tolist()],
        "score": result.scores.tolist(),
        "score_neighbours": None if result.smoothed is None else result.smoothed.tolist(),
        "flag": None if decision.flags is None else decision.flags.tolist(),
        "higher_than": None if decision.shares_below is None else decision.shares_below.tolist(),
        **{name: further.get(name) for name in ("file_slice", "sop_instance_uid", "instance_number")},
    }
    filled = {name: cells if cells is not None else [None] * count for name, cells in columns.items()}
    return [named.row(**{name: cells[index] for name, cells in filled.items()}) for index in range(count)]


def _finding_rows(named: Named, study: Study) -> list[Row]:
    threshold = study.decision.rules.finding.threshold
    rows = []
    for found in study.regions.findings if study.regions else ():
        sides = {
            f"{what}_{axis}_mm": None if mm is None else mm[number]
            for what, mm in (("centroid", found.centroid_mm), ("peak", found.peak_mm))
            for number, axis in enumerate("xyz")
        }
        rows.append(
            named.row(
                number=found.number,
                first_slice=found.slices[0],
                last_slice=found.slices[1],
                voxels=found.voxels,
                volume_mm3=found.volume_mm3,
                maximum=found.maximum,
                mean=found.mean,
                threshold=threshold,
                **sides,
            )
        )
    return rows

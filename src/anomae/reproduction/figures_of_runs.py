"""What finished runs tell a reproduction: figures, times, curves and pictures, read back from their folders."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from anomae.files import read_json
from anomae.reports.finding_threshold import finding_threshold
from anomae.reports.picture_strips import picture_strips, sample_strips
from anomae.reports.report import read_report
from anomae.reproduction.cells import Cell
from anomae.reproduction.planned_run import is_finished
from anomae.runs.findings import open_findings
from anomae.runs.run import Run
from anomae.runs.score_table import read_table
from anomae.statistics.metrics import roc_points

STRATA = ("all", "mid")
COUNTED = ("normal", "abnormal", "patients")


def figures_of(run: Path) -> dict[str, Any] | None:
    """What a run found and took; None: not finished, as `is_finished` has it.

    AUROC of every score and trivial baseline by stratum, minutes, steps, teacher, and mean AUROC of its pretext task.

    A stratum that holds all slices is not given twice.  Raises UserError where the report is of an older version.
    """
    if not (run / "report" / "report.json").exists():
        return None
    report = read_report(run / "report" / "report.json")
    if not is_finished(run):
        return None
    findings = read_json(Run(run).findings / "findings.json")
    strata = {name: part for name, part in report["strata"].items() if name in STRATA}
    if "mid" in strata and strata["mid"]["slices"] == strata["all"]["slices"]:
        del strata["mid"]
    last = {line["stage"]: line for line in Run(run).steps() if "stage" in line}
    fitted = read_json(Run(run).fitted / "settings.json")
    return {
        "scores": _by_score(strata),
        "trivial_baselines": {
            name: _best_trivial_baseline(part, report["trivial_baselines"]) for name, part in strata.items()
        },
        "counts": {
            name: {key: part[key] for key in ("normal", "abnormal", "patients")} for name, part in strata.items()
        },
        "minutes": (sum(line["seconds"] for line in last.values()) + findings["seconds"]) / 60,
        "steps": {stage: line["steps"] for stage, line in last.items()},
        "teacher": fitted.get("teacher", ""),
        "pretext": report["pretext"] and report["pretext"]["mean"],
    }


def _by_score(strata: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Score -> stratum -> AUROC with its interval."""
    names = {name for part in strata.values() for name in part["scores"]}
    return {name: {stratum: part["scores"].get(name) for stratum, part in strata.items()} for name in sorted(names)}


def _best_trivial_baseline(part: dict[str, Any], trivial_baselines: dict[str, Any]) -> dict[str, Any] | None:
    name = part["best_trivial_baseline"]
    return None if name is None else {"title": trivial_baselines[name]["title"], **part["trivial_baselines"][name]}


def roc_curves_of(cells: list[Cell], runs: Path) -> dict[str, tuple[npt.NDArray[Any], npt.NDArray[Any]]]:
    """Title -> false- and true-positive rates of the finished cells of Table 1 (paper Fig. 3)."""
    curves = {}
    for cell in cells:
        scores = Run(runs / cell.run).findings / "scores.csv"
        if cell.table == "table1" and (runs / cell.run / "report" / "report.json").exists():
            table = read_table(scores, ("label", "score"))
            labels, known = table.labels(), table.labels() >= 0
            if len(np.unique(labels[known])) == 2:
                fpr, tpr, _ = roc_points(labels[known], table.scores()["score"][known])
                curves[cell.title] = (fpr, tpr)
    return curves


def pictures_of(run: Path, store: Path) -> list[Any]:
    """Strips of the method's run: input, reconstruction, difference (Fig. 4) and training samples (Fig. 2).

    store: where the slices are now, which the run itself knows by where they were.
    """
    if not (run / "report" / "report.json").exists():
        return []
    found = open_findings(Run(run), store)
    labelled = np.flatnonzero(found.store.index.label[found.rows] >= 0)
    scores = found.scores["score"][labelled]
    arrays = (found.maps, found.reconstructions, found.map_name)
    return [
        *sample_strips(run / "samples" / "pseudo_abnormal.npz"),
        *picture_strips(found.store, found.rows[labelled], labelled, scores, *arrays, finding_threshold(Run(run))),
    ]

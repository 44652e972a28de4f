"""A run's findings opened for evaluation, and what identifies them: hashes of files, versions of packages."""

import hashlib
import platform
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import anomae
from anomae.errors import UserError
from anomae.files import read_json
from anomae.runs.run import Run
from anomae.runs.score_table import Table, read_table
from anomae.runs.scored_store import finding_array, scored_rows
from anomae.slices.store import SliceStore

VERSIONED = ("numpy", "scipy", "matplotlib", "pillow")


@dataclass(frozen=True, slots=True)
class ScoredRun:
    """facts: run.json.  findings: findings.json.  rows: of the store, (n,), in the order of `table` and the arrays.

    maps: (n, h, w).  reconstructions: (n, c, h, w)."""

    facts: dict[str, Any]
    findings: dict[str, Any]
    store: SliceStore
    split: str
    table: Table
    rows: npt.NDArray[np.int64]
    scores: dict[str, npt.NDArray[np.float64]]
    maps: npt.NDArray[Any] | None
    reconstructions: npt.NDArray[Any] | None

    @property
    def map_name(self) -> str:
        """What the maps' numbers are, with unit, such as "probability"; "map" where the run does not say."""
        return str(self.findings.get("map_name") or "map")


def open_findings(run: Run, store: Path | str | None = None) -> ScoredRun:
    """The finished findings of a run.  Raises UserError where there are none, or they are of other slices."""
    facts, folder = run.facts(), run.findings
    if not (folder / "findings.json").exists() or not (folder / "scores.csv").exists():
        raise UserError(f"{run.folder} has no finished findings; run `anomae score {run.folder}` first.")
    opened, findings = run.open_store(store), read_json(folder / "findings.json")
    split = str(findings.get("split", "test"))
    table = read_table(folder / "scores.csv", ("row", "case", "patient", "slice", "label", "score"))
    rows = scored_rows(table, opened, split)
    maps = finding_array(folder, "maps.npy", (len(rows), *opened.image_size))
    full = (len(rows), opened.channels, *opened.image_size)
    reconstructions = finding_array(folder, "reconstructions.npy", full)
    return ScoredRun(facts, findings, opened, split, table, rows, table.scores(), maps, reconstructions)


def file_hashes(run: Run, store: SliceStore) -> dict[str, str]:
    """SHA-256 of the tables that the figures rest on and of the fitted weights, by name."""
    files = [run.findings / "scores.csv", run.calibration / "scores.csv", store.folder / "index.csv"]
    files += sorted(run.fitted.rglob("*.safetensors")) if run.fitted.is_dir() else []
    paths = {file: file.relative_to(store.folder if file.name == "index.csv" else run.folder) for file in files}
    return {name.as_posix(): sha256(file) for file, name in paths.items() if file.exists()}


def sha256(file: Path) -> str:
    """The SHA-256 of a file, as `sha256sum` prints it."""
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def report_versions() -> dict[str, str]:
    """Versions of what made the report."""
    return {
        "anomae": anomae.__version__,
        "python": platform.python_version(),
        **{package: version(package) for package in VERSIONED},
    }

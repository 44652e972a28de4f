"""One study, whose images lie in a folder, is scored into a folder of its own, by the same stage as `anomae score`."""

import csv
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from anomae.detectors.protocol import FittedDetector
from anomae.errors import NotWritten, UserError
from anomae.files import read_json
from anomae.inference.decision import check_limits
from anomae.inference.fitted import fitted_folder, load_fitted
from anomae.inference.tables import standing
from anomae.runs.model_fingerprint import fingerprint
from anomae.stages.score_scans import score_scans
from anomae.statistics.operating_point import PATIENT_BOUND, SLICE_BOUND
from anomae.training.settings import DeviceSettings

KINDS = "seg,sr"
ENDINGS = tuple(f"-{kind}.dcm" for kind in KINDS.split(","))
LEAST_FREE_BYTES = 2**28  # of the disk, below which nothing is begun


@dataclass(frozen=True, slots=True)
class HowToScore:
    """A run, and the options of `anomae score` that hold for every study.

    Raises UserError where a bound or the threshold can be none: no study is to blame for it.
    """

    run: Path
    bounds: tuple[float, float] = (SLICE_BOUND, PATIENT_BOUND)
    threshold: float | None = None
    force: bool = False
    overlays: int = 8
    uid_root: str | None = None
    device: DeviceSettings | None = None
    load: Callable[[Path, DeviceSettings | None], FittedDetector] | None = None
    smoothed: bool = False

    def __post_init__(self) -> None:
        check_limits(self.bounds, self.threshold)


@dataclass
class Scorer:
    """Scores studies one after another; the detector is loaded once."""

    how: HowToScore
    _loaded: dict[Path, FittedDetector] = field(default_factory=dict)

    def fingerprint(self) -> str:
        """What tells its model from another.  Raises UserError where the run holds nothing fitted."""
        return fingerprint(fitted_folder(self.how.run))

    def score(self, images: Path, out: Path) -> Mapping[str, Any]:
        """Score the study whose images lie in `images` into `out`.

        Returns flag (the scan's with the highest score among those that have one; None: none has, and the score is the
        highest of those that the model was made for), score, scans, findings, reason (why there is no flag).  Raises
        UserError where not one of its scans could be scored, and NotWritten where the disk is full.
        """
        how = self.how
        check_room(out)
        try:
            score_scans(
                how.run,
                [images],
                out,
                overlays=how.overlays,
                bounds=how.bounds,
                threshold=how.threshold,
                smoothed=how.smoothed,
                force=how.force,
                dicom=KINDS,
                uid_root=how.uid_root,
                device=how.device,
                load=self._load,
            )
        except UserError:
            check_room(out)  # a full disk is no fault of the study
            if (out / "scoring.json").exists() and read_json(out / "scoring.json")["failed"]:
                raise NotWritten(out, "results of a scan were cut short") from None
            raise
        return _facts(out)

    def _load(self, folder: Path, device: DeviceSettings | None) -> FittedDetector:
        if folder not in self._loaded:
            self._loaded[folder] = (self.how.load or load_fitted)(folder, device)
        return self._loaded[folder]


def results_of(out: Path) -> list[Path]:
    """The DICOM results of a scored study, in a fixed order."""
    files = (out / "dicom").glob("*.dcm") if (out / "dicom").is_dir() else ()
    return sorted(file for file in files if file.name.endswith(ENDINGS))


def check_room(folder: Path) -> None:
    """Raises NotWritten where the disk of `folder`, which need not exist, is nearly full."""
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    free = shutil.disk_usage(there).free
    if free < LEAST_FREE_BYTES:
        raise NotWritten(folder, f"{free >> 20} MiB are free, and {LEAST_FREE_BYTES >> 20} MiB are kept so")


def _facts(out: Path) -> dict[str, Any]:
    summary = read_json(out / "scoring.json")
    with (out / "scans.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    flags = [None if row["flag"] == "" else row["flag"] == "1" for row in rows]
    standings = [
        standing(flag, suited=summary["forced"] or row["suited"] == "1") for flag, row in zip(flags, rows, strict=True)
    ]
    flagged = [row for own, row in zip(standings, rows, strict=True) if own == max(standings)]
    highest = max(flagged, key=lambda row: (row["flag"] == "1", float(row["score"])))
    return {
        "flag": None if highest["flag"] == "" else highest["flag"] == "1",
        "score": float(highest["score"]),
        "scans": len(rows),
        "findings": sum(int(row.get(name) or 0) for row in rows for name in ("findings", "findings_left_out")),
        "reason": highest["reason"] or "; ".join(summary["skipped"].values()),
    }

"""What is said of a whole archive once all shards are there: patients, failures, counts; shard after shard."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from anomae.archive.folder import ArchiveFolder
from anomae.archive.parquet import write_parquet
from anomae.archive.score_shard import facts_in
from anomae.archive.tables import FAILED, told
from anomae.files import write_csv
from anomae.inference.decision import Rules
from anomae.inference.tables import not_suited_sentence, standing

PATIENTS = {
    "patient": "string",
    "scans": "int64",
    "score": "float64",
    "threshold": "float64",
    "flag": "bool",
    "reason": "string",
}
_OF_SCANS = ("patient", "score", "flag", "suited", "reason")


@dataclass(slots=True)
class _Patient:
    """usable: how many of the `scans` have the highest standing (anomae.inference.tables.standing).

    score: the highest of these.  flag: whether any of them is flagged; None where none has a flag.  reason: of their
    first.
    """

    scans: int = 0
    standing: int = -1
    usable: int = 0
    score: float = float("-inf")
    flag: bool | None = None
    reason: str = ""

    def add(self, scan: dict[str, Any], *, forced: bool) -> None:
        self.scans += 1
        own = standing(scan["flag"], suited=forced or scan["suited"])
        if own > self.standing:
            self.standing, self.usable, self.score, self.reason = own, 0, float("-inf"), scan["reason"]
        if own == self.standing:
            self.usable += 1
            self.score = max(self.score, scan["score"])
        if scan["flag"] is not None:
            self.flag = bool(self.flag) or scan["flag"]


def write_summary(folder: ArchiveFolder, shards: int, rules: Rules, *, forced: bool) -> dict[str, Any]:
    """Write patients.parquet and failed.csv; returns the counts for archive.json.

    forced: whether scans count that the model was not made for.  In memory are the patients, some 300 bytes each.
    """
    counts: Counter[str] = Counter()
    for number in range(shards):
        facts = facts_in(folder.shard(number)) or {}
        counts.update({name: facts[name] for name in ("entries", "scans", "slices", "flagged", "map_bytes", "seconds")})
    patients: dict[str, _Patient] = {}
    undecided = 0
    for scan in folder.rows("scans", _OF_SCANS, shards):
        patients.setdefault(scan["patient"], _Patient()).add(scan, forced=forced)
        undecided += scan["flag"] is None
    write_parquet(folder.folder / "patients.parquet", PATIENTS, _patient_rows(patients, rules))
    failed: Counter[str] = Counter()
    first: list[str] = []
    write_csv(folder.folder / "failed.csv", list(FAILED), _failed_rows(folder, shards, failed, first))
    return {
        "files": counts["entries"],
        "scans": counts["scans"],
        "slices": counts["slices"],
        "patients": len(patients),
        "flagged": {
            "scans": counts["flagged"],
            "patients": sum(patient.flag is True for patient in patients.values()),
        },
        "without_flag": {"scans": undecided, "patients": sum(patient.flag is None for patient in patients.values())},
        "failed": dict(failed),
        "first_failure": first[0] if first else "",
        "worker_seconds": round(counts["seconds"], 3),
        "bytes": {"maps": counts["map_bytes"], "tables": _table_bytes(folder, shards)},
        "rules": {
            level: {"threshold": rule.threshold, "bound": rule.bound, "given": rule.given, "sentence": rule.sentence}
            for level, rule in (("slice", rules.slice), ("scan", rules.scan), ("finding", rules.finding))
        },
    }


def _patient_rows(patients: dict[str, _Patient], rules: Rules) -> Iterator[dict[str, Any]]:
    for name, patient in patients.items():
        decided = 0 if patient.flag is None else patient.usable
        left_out = patient.scans - patient.usable
        said = [] if decided else [patient.reason]
        if left_out and decided:
            said.append(f"{left_out} of {patient.scans} scans have no flag (scans.parquet says why).")
        elif left_out:
            said.append(not_suited_sentence(left_out, patient.scans, "scans.parquet"))
        if decided > 1 and rules.scan.bound is not None:
            most = min(1.0, rules.scan.bound * decided)
            said.append(
                f"The bound is for one scan: that any of {decided} scans of a healthy patient is flagged has a "
                f"probability of at most {100 * most:.3g} %."
            )
        yield {
            "patient": name,
            "scans": patient.scans,
            "score": patient.score,
            "threshold": rules.scan.threshold,
            "flag": patient.flag,
            "reason": " ".join(said),
        }


def _failed_rows(folder: ArchiveFolder, shards: int, kinds: Counter[str], first: list[str]) -> Iterator[list[Any]]:
    for row in folder.rows("failed", list(FAILED), shards):
        kinds[row["kind"]] += 1
        if not first:
            first.append(told(row))
        yield [row[name] for name in FAILED]


def _table_bytes(folder: ArchiveFolder, shards: int) -> int:
    paths: Iterator[Path] = (path for number in range(shards) for path in folder.shard(number).glob("*.parquet"))
    return sum(path.stat().st_size for path in paths)

"""The lines of the tables that say what was decided: of slices, scans, patients and findings; arrays in, rows out.

Flags are taken from the scores anew whenever tables are written, so a scan that was scored before a calibration, or
under other bounds, is flagged by the rules of now.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from anomae.inference.decision import Decision, HealthyScores, Rule, Rules, decide
from anomae.runs.scoring_folder import ScoredScan

BY_HAND, BY_CALIBRATION, SMOOTHED = "hand", "calibration", ", of smoothed scores"

SCAN_COLUMNS = (
    "file",
    "name",
    "patient",
    "slices",
    "score",
    "highest_slice",
    "threshold",
    "threshold_by",
    "flag",
    "higher_than",
    "flagged_slices",
    "findings",
    "findings_left_out",
    "suited",
    "feature_distance",
    "feature_percentile",
    "reason",
)
PATIENT_COLUMNS = ("patient", "scans", "score", "threshold", "threshold_by", "flag", "reason")
FINDING_COLUMNS = (
    "file",
    "name",
    "patient",
    "number",
    "first_slice",
    "last_slice",
    "voxels",
    "volume_mm3",
    "maximum",
    "mean",
    "threshold",
    *(f"centroid_{axis}_mm" for axis in "xyz"),
    *(f"peak_{axis}_mm" for axis in "xyz"),
)

Row = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Judged:
    """A scored scan with what is decided about it now."""

    scan: ScoredScan
    decision: Decision
    forced: bool

    @property
    def findings(self) -> Sequence[Mapping[str, Any]]:
        """Its findings; none where the model was not made for it."""
        return () if self.scan.unsuited and not self.forced else self.scan.findings

    @property
    def left_out(self) -> int:
        """How many more there are, of lower maximum, which are not listed."""
        return self.scan.left_out if self.findings else 0

    @property
    def standing(self) -> int:
        """See `standing`."""
        return standing(self.decision.scan_flag, suited=self.forced or not self.scan.unsuited)

    @property
    def reason(self) -> str:
        """Why it has no flag, or what is to be known of the flag it has, and what is doubted of its kind."""
        return " ".join(each for each in (self.own_reason, self.decision.slices_unflagged) if each)

    @property
    def own_reason(self) -> str:
        """The same without what holds for the slices of all scans."""
        rule, said = self.decision.rules.scan, self.decision.unflagged
        if self.decision.scan_flag is not None and self.scan.unsuited and self.forced:
            said = f"Flagged although the model was not made for it: {' '.join(self.scan.unsuited)}"
        return " ".join([*([rule.sentence] if rule.given else []), *([said] if said else []), *self.scan.doubts])


def standing(flag: bool | None, *, suited: bool) -> int:
    """How far a scan speaks for its patient: 2 with a flag, 1 without, 0 where the model was not made for it.

    Score and reason of a patient are those of the scans with the highest standing that there is.
    """
    return 2 if flag is not None else int(suited)


def judge(scans: Sequence[ScoredScan], rules: Rules, healthy: HealthyScores | None, force: bool) -> list[Judged]:
    """Decide about scored scans.  force: flag even those that the model was not made for."""
    judged = []
    for scan in scans:
        unsuited = "" if force else " ".join(scan.unsuited)
        scores, slices = np.array(scan.scores, dtype=np.float64), np.array(scan.slices, dtype=np.int64)
        judged.append(Judged(scan, decide(scores, rules, healthy, slices=slices, unsuited=unsuited), force))
    return judged


def slice_rows(decision: Decision) -> list[Row]:
    """Threshold, by whom, flag and share of healthy slices below, an entry a slice; "" where there is none."""
    flags: list[int | str] = [] if decision.flags is None else [int(flag) for flag in decision.flags]
    shares = [] if decision.shares_below is None else [f"{share:.6g}" for share in decision.shares_below.tolist()]
    count = max(len(flags), len(shares))
    columns = zip(flags or [""] * count, shares or [""] * count, strict=True)
    return [(*_threshold(decision.rules.slice, decision.rules.smoothed), flag, share) for flag, share in columns]


def scan_rows(judged: Sequence[Judged]) -> Iterator[Row]:
    """The lines of scans.csv."""
    for one in judged:
        scan, decision = one.scan, one.decision
        top = int(np.argmax(decision.scores))
        yield (
            scan.file,
            scan.name,
            scan.patient,
            len(scan.slices),
            repr(decision.scan_score),
            scan.slices[top],
            *_threshold(decision.rules.scan, decision.rules.smoothed),
            _flag(decision.scan_flag),
            "" if decision.scan_share_below is None else f"{decision.scan_share_below:.6g}",
            "" if decision.flags is None else int(decision.flags.sum()),
            "" if scan.finding_threshold is None else len(one.findings),
            "" if scan.finding_threshold is None else one.left_out,
            int(not scan.unsuited),
            "" if scan.distance is None else f"{scan.distance:.4g}",
            "" if scan.percentile is None else f"{scan.percentile:.4g}",
            one.reason,
        )


def patient_rows(judged: Sequence[Judged]) -> Iterator[Row]:
    """The lines of patients.csv: flagged is a patient of whom any scan is, of those that get a flag at all.

    Where none gets one, the score is the highest of the scans that the model was made for, if there are any.
    """
    scans: dict[str, list[Judged]] = {}
    for one in judged:
        scans.setdefault(one.scan.patient, []).append(one)
    for patient, own in scans.items():
        best = max(one.standing for one in own)
        usable = [one for one in own if one.standing == best]
        decided = [one for one in usable if one.decision.scan_flag is not None]
        rule = own[0].decision.rules.scan
        said = [] if decided else [usable[0].reason]
        if not decided and len(usable) < len(own):
            said.append(not_suited_sentence(len(own) - len(usable), len(own), "scans.csv"))
        if decided and len(decided) < len(own):
            said.append(f"{len(own) - len(decided)} of {len(own)} scans have no flag (scans.csv says why).")
        if len(decided) > 1 and rule.bound is not None:
            most = min(1.0, rule.bound * len(decided))
            said.append(
                f"The bound is for one scan: that any of {len(decided)} scans of a healthy patient is flagged has a "
                f"probability of at most {100 * most:.3g} %."
            )
        yield (
            patient,
            len(own),
            repr(max(one.decision.scan_score for one in usable)),
            *_threshold(rule, own[0].decision.rules.smoothed),
            _flag(any(one.decision.scan_flag for one in decided) if decided else None),
            " ".join(said),
        )


def finding_rows(judged: Sequence[Judged]) -> Iterator[Row]:
    """The lines of findings.csv, the highest finding of a scan first."""
    for one in judged:
        for found in one.findings:
            yield (
                one.scan.file,
                one.scan.name,
                one.scan.patient,
                found["number"],
                *found["slices"],
                found["voxels"],
                "" if found["volume_mm3"] is None else f"{found['volume_mm3']:.6g}",
                repr(found["maximum"]),
                repr(found["mean"]),
                repr(one.scan.finding_threshold),
                *(f"{side:.3f}" for side in found["centroid_mm"] or ()),
                *([""] * 3 if found["centroid_mm"] is None else ()),
                *(f"{side:.3f}" for side in found["peak_mm"] or ()),
                *([""] * 3 if found["peak_mm"] is None else ()),
            )


def decision_facts(
    judged: Sequence[Judged], rules: Rules, healthy: HealthyScores | None, bounds: tuple[float, float]
) -> dict[str, Any]:
    """What scoring.json says of the decisions: by which rules, from which calibration, and how many are flagged."""
    unsuited = {one.scan.file: list(one.scan.unsuited) for one in judged if one.scan.unsuited}
    patients = [row[PATIENT_COLUMNS.index("flag")] for row in patient_rows(judged)]
    return {
        "flagged": {
            "slices": sum(int(one.decision.flags.sum()) for one in judged if one.decision.flags is not None),
            "scans": sum(one.decision.scan_flag is True for one in judged),
            "patients": sum(flag == 1 for flag in patients),
        },
        "without_flag": {
            "scans": sum(one.decision.scan_flag is None for one in judged),
            "patients": sum(flag == "" for flag in patients),
        },
        "patients": len(patients),
        "findings": sum(len(one.findings) for one in judged),
        "findings_left_out": sum(one.left_out for one in judged),
        "unsuited": unsuited,
        "doubts": {one.scan.file: list(one.scan.doubts) for one in judged if one.scan.doubts},
        "rules": {
            level: {"threshold": rule.threshold, "bound": rule.bound, "given": rule.given, "sentence": rule.sentence}
            for level, rule in (("slice", rules.slice), ("scan", rules.scan), ("finding", rules.finding))
        },
        "smoothed": rules.smoothed,
        "bounds_asked": {"slice": bounds[0], "patient": bounds[1]},
        "forced": any(one.forced for one in judged),
        "calibration": None
        if healthy is None
        else {
            "source": healthy.source,
            "slices": len(healthy.scores),
            "unit": healthy.unit,
            "people": healthy.people,
            "doubts": list(healthy.doubts),
        },
    }


def not_suited_sentence(count: int, scans: int, table: str) -> str:
    """That a patient's score is without `count` of the scans."""
    return f"{count} of {scans} scans are not ones the model was made for and do not count ({table} says why)."


def threshold_by(rule: Rule, smoothed: bool) -> str:
    """From where the threshold of a slice or scan is, "calibration" or "hand", and whether it is of smoothed scores."""
    return (BY_HAND if rule.given else BY_CALIBRATION) + (SMOOTHED if smoothed else "")


def _threshold(rule: Rule, smoothed: bool) -> tuple[str, str]:
    return ("", "") if rule.threshold is None else (repr(rule.threshold), threshold_by(rule, smoothed))


def _flag(flag: bool | None) -> int | str:
    return "" if flag is None else int(flag)

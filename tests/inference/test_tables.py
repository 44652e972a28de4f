"""Whose scans speak for a patient: those with a flag, else those the model was made for; everywhere the same."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import pytest

from anomae.archive.summary import _Patient, _patient_rows
from anomae.archive.tables import Named, rows_of
from anomae.inference.decision import HealthyScores, decide, rules_of
from anomae.inference.tables import PATIENT_COLUMNS, Judged, patient_rows
from anomae.pacs.score_study import _facts

from ..pages.made_up import HEALTHY, head, judged_as, study_of

FEW = replace(HEALTHY, scores=HEALTHY.scores[:6], map_tops=None, person=HEALTHY.person[:6])  # too few for a flag
UNSUITED = "It is of another kind."


def scans_of(healthy: HealthyScores, told: list[tuple[float, bool]], forced: bool = False) -> list[Judged]:
    """Scans of one patient: the score of each, and whether the model was made for it."""
    base, rules = judged_as(study_of(head((9, 16, 16)), patient="p")), rules_of(healthy)
    made = []
    for number, (score, suited) in enumerate(told):
        reasons = () if suited else (UNSUITED,)
        scores = base.decision.scores * 0 + score
        decision = decide(scores, rules, healthy, unsuited="" if forced else " ".join(reasons))
        scan = replace(base.scan, file=f"{number}.nii", scores=scores.tolist(), unsuited=reasons)
        made.append(Judged(scan, decision, forced))
    return made


def patient(judged: list[Judged]) -> dict[str, object]:
    (row,) = patient_rows(judged)
    return dict(zip(PATIENT_COLUMNS, row, strict=True))


CASES = [
    (FEW, [(0.9, False), (0.2, True)], False, 0.2, 1),
    (FEW, [(0.2, True), (0.9, False), (0.3, True)], False, 0.3, 1),
    (FEW, [(0.9, False), (0.2, False)], False, 0.9, 0),
    (FEW, [(0.9, False), (0.2, True)], True, 0.9, 0),
    (HEALTHY, [(0.9, False), (0.05, True)], False, 0.05, 1),
    (HEALTHY, [(0.9, False), (0.05, True)], True, 0.9, 0),
]


@pytest.mark.parametrize(("healthy", "told", "forced", "score", "left_out"), CASES)
def test_a_scan_that_the_model_was_not_made_for_gives_no_patient_a_score(
    healthy: HealthyScores, told: list[tuple[float, bool]], forced: bool, score: float, left_out: int, tmp_path: Path
) -> None:
    judged = scans_of(healthy, told, forced)
    row = patient(judged)
    assert float(str(row["score"])) == score
    assert row["scans"] == len(told)
    assert (f"{left_out} of {len(told)} scans" in str(row["reason"])) is bool(left_out)
    if any(suited for _, suited in told):
        assert forced or UNSUITED not in str(row["reason"])
    archived = _Patient()
    for one in judged:
        flag, reason = one.decision.scan_flag, one.reason
        facts = {"flag": flag, "score": one.decision.scan_score, "suited": not one.scan.unsuited, "reason": reason}
        archived.add(facts, forced=forced)
    (other,) = _patient_rows({"p": archived}, judged[0].decision.rules)
    assert (other["score"], other["flag"]) == (score, {"": None, 1: True, 0: False}[row["flag"]])
    if not forced:
        assert str(other["reason"]).replace("parquet", "csv") == row["reason"]
    (tmp_path / "scoring.json").write_text(json.dumps({"forced": forced, "skipped": {}}))
    with (tmp_path / "scans.csv").open("w", newline="") as handle:
        table = csv.writer(handle)
        table.writerow(["flag", "score", "suited", "findings", "reason"])
        for one in judged:
            flag = one.decision.scan_flag
            cells = ["" if flag is None else int(flag), one.decision.scan_score, int(not one.scan.unsuited)]
            table.writerow([*cells, "", one.reason])
    of_study = _facts(tmp_path)
    assert (of_study["score"], of_study["flag"]) == (score, other["flag"])


@pytest.mark.parametrize("healthy", [HEALTHY, FEW])
def test_what_is_doubted_of_a_scan_stands_in_its_reason_in_an_archive_too(healthy: HealthyScores) -> None:
    study = study_of(head((9, 16, 16)), healthy=healthy)
    study = replace(study, suitability=replace(study.suitability, doubts=("It looks unlike.",)))
    judged = judged_as(study)
    judged = replace(judged, scan=replace(judged.scan, doubts=study.suitability.doubts))
    (row,) = rows_of(Named(1, "a.nii", "a", "p"), study, None, ())["scans"]
    assert row["reason"] == judged.reason
    assert judged.reason.endswith("It looks unlike.")

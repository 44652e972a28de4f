"""The section `findings` of a report: threshold of new scans, FROC, neighbours in scans only, ignored pixels."""

from dataclasses import replace

import numpy as np
import pytest

from anomae.errors import UserError
from anomae.files import write_json
from anomae.inference.decision import rules_of
from anomae.reports.finding_evaluation import evaluate_findings
from anomae.reports.finding_threshold import finding_rule
from anomae.runs.calibration import run_calibration
from anomae.runs.findings import open_findings
from anomae.runs.healthy_file import read_healthy_scores, write_healthy_scores
from anomae.runs.run import Run
from anomae.runs.scored_store import relative_positions_of
from anomae.slices.store import SliceStore
from anomae.stages import evaluate as stage
from anomae.stages.evaluate import evaluate
from anomae.statistics.healthy_scores import HealthyScores
from anomae.statistics.intervals import PatientBootstrap
from anomae.statistics.operating_point import slice_threshold
from anomae.statistics.pixels import level_counts

from ..stages.test_evaluate import DEPTH, SIDE, made_up_run


def calibrated(run, people: int = 19, top: float = 0.1):
    """Healthy people whose maps stay below `top`, and the maps' levels of the store's normal validation slices."""
    person = np.repeat(np.arange(people), 4)
    tops = np.linspace(0, top, len(person))
    (run / "fitted").mkdir(exist_ok=True)
    write_healthy_scores(run / "fitted", HealthyScores(tops, tops, person, "patient", "made up"))
    store = SliceStore(run.parent / "store")
    rows = store.rows("validation", label=0)
    index = store.index
    (run / "calibration").mkdir()
    images = store.select(rows).pictures(slice(None))
    np.save(run / "calibration" / "tissue_levels.npy", level_counts(images * 0.01, images > 0))
    lines = [f"{row},{index.case[row]},{index.patient[row]},{index.slice[row]},,0,0.1" for row in rows]
    table = "row,case,patient,slice,position_mm,label,score\n" + "\n".join(lines) + "\n"
    (run / "calibration" / "scores.csv").write_text(table)
    write_json(run / "calibration" / "findings.json", {})
    return run


def findings_of(run, bound: float = 0.05):
    """The section alone: the rest of a report takes seconds."""
    opened = Run(run)
    scored = open_findings(opened)
    store, rows = scored.store, scored.rows
    ordered = np.isfinite(relative_positions_of(store)[0][rows])
    _, _, levels = run_calibration(opened, store, store.index.patient[rows])
    bootstrap = PatientBootstrap(store.index.patient[rows], 100)
    indices = np.arange(len(rows))
    found = evaluate_findings(
        store, rows, scored.maps, indices, ordered, finding_rule(opened, bound), levels, bootstrap
    )
    return None if found is None else found.model_dump(mode="json")


def test_a_map_that_shows_the_lesions_finds_them_through_their_slices(tmp_path):
    run = calibrated(made_up_run(tmp_path))
    found = findings_of(run)
    assert found["unit"] == "scan"
    assert (found["scans"], found["healthy_scans"]) == (5, 1)
    assert found["lesions"] == 4  # one a patient, through four slices: not sixteen
    at = found["at_threshold"]
    assert at["threshold"] == pytest.approx(0.1, abs=0.01)
    assert at["bound"] == 0.05
    assert at["lesions"]["all"]["found"]["value"] == 1
    assert at["lesions"]["all"]["smallest"] == 4 * 25
    assert at["findings"] == 4
    assert at["false_per_scan"]["value"] == at["false_per_healthy_scan"]["value"] == 0
    assert at["false_per_scan"]["high"] > 0.5  # of five patients
    assert found["froc"]["mean"]["value"] == 1
    assert found["froc"]["curve"][-1]["recall"] == 1
    assert evaluate(run, resamples=100)["findings"] == found
    page = (run / "report" / "report.html").read_text(encoding="utf-8")
    assert "Findings against lesions" in page
    assert (run / "report" / "plots" / "froc.svg").exists()


def test_false_findings_are_counted_and_the_largest_map_decides_their_order(tmp_path):
    run = calibrated(made_up_run(tmp_path))
    maps = np.load(run / "findings" / "maps.npy")
    for scan in range(5):
        maps[scan * DEPTH + 2, 1:3, 1:3] = 2.0  # one false finding a scan, above everything else
    maps[0, SIDE - 2, SIDE - 2] = 0.2  # and one in a healthy scan, below every true one
    np.save(run / "findings" / "maps.npy", maps)
    found = findings_of(run)
    assert found["at_threshold"]["false_per_scan"]["value"] == pytest.approx(6 / 5)
    assert found["at_threshold"]["false_per_healthy_scan"]["value"] == 2
    sensitivity = {rate: share["value"] for rate, share in found["froc"]["sensitivity"].items()}
    assert sensitivity == {"1/8": 0, "1/4": 0, "1/2": 0, "1": 1, "2": 1, "4": 1, "8": 1}
    assert found["froc"]["most_false_per_scan"] == pytest.approx(6 / 5)


def test_too_few_healthy_people_are_said_and_the_curve_is_there(tmp_path):
    run = calibrated(made_up_run(tmp_path), people=9)
    found = findings_of(run)
    assert found["at_threshold"]["bound"] == 0.1
    assert "needs at least 19" in found["threshold_sentence"]
    assert found["froc"]["mean"]["value"] == 1
    assert findings_of(run, bound=0.2)["at_threshold"]["bound"] == 0.2


@pytest.mark.parametrize("people", [3, 30])
@pytest.mark.parametrize("bound", [0.05, 0.3])
def test_the_report_and_new_scans_have_one_threshold_for_findings(tmp_path, people, bound):
    run = calibrated(made_up_run(tmp_path), people=people)
    of_scans = rules_of(read_healthy_scores(run / "fitted"), bounds=(bound, 0.1)).finding
    threshold, sentence = finding_rule(Run(run), bound)
    assert (threshold.value, threshold.bound, sentence) == (of_scans.threshold, of_scans.bound, of_scans.sentence)


def test_maps_of_an_export_in_int8_are_judged_by_its_own(tmp_path):
    """Also where an earlier version left what another such export gave beside the detector; a cut file is named."""
    run, engine = calibrated(made_up_run(tmp_path)), "onnxruntime 1.32.0, int8"
    by_torch, file = read_healthy_scores(run / "fitted"), run / "calibration" / "map_tops.npy"
    np.save(file, by_torch.map_tops * 3)
    wanted = slice_threshold(by_torch.map_tops * 3, by_torch.person.astype(np.str_), 0.05)
    write_json(run / "calibration" / "findings.json", {"made_of": {"computed_on": engine}})
    for left in ("cpu fp32", engine):
        write_healthy_scores(run / "fitted", replace(by_torch, computed_on=left))
        assert finding_rule(Run(run), 0.05)[0] == wanted
    file.write_bytes(file.read_bytes()[:-9])
    with pytest.raises(UserError, match=r"map_tops\.npy is not a whole \.npy array"):
        finding_rule(Run(run), 0.05)


def test_pictures_outline_what_is_above_the_threshold_of_the_report(tmp_path, monkeypatch):
    run, outlined = calibrated(made_up_run(tmp_path)), []
    monkeypatch.setattr(stage, "picture_strips", lambda *given: outlined.append(given[-1]) or [])
    for bound in (0.05, 0.3):
        report = evaluate(run, bounds=(bound, 0.1), resamples=50)
        assert outlined.pop() == report["findings"]["at_threshold"]["threshold"]


def test_pictures_stand_alone(tmp_path):
    run = calibrated(made_up_run(tmp_path, stacks=False))
    found = findings_of(run)
    assert found["unit"] == "image"
    assert found["scans"] == 5 * DEPTH
    assert found["lesions"] == 16
    assert found["healthy_scans"] == 5 * DEPTH - 16
    assert found["at_threshold"]["lesions"]["all"]["largest"] == 25


def test_without_calibration_nothing_is_made_up_and_without_masks_there_is_no_section(tmp_path):
    found = findings_of(made_up_run(tmp_path / "one"))
    assert found["at_threshold"] is None
    assert found["froc"] is None
    assert "No FROC curve" in found["note"]
    assert "no scores of healthy people" in found["threshold_sentence"]
    run = made_up_run(tmp_path / "two", lesions=False)
    assert findings_of(run) is None


def test_ignored_pixels_are_in_no_finding(tmp_path):
    run = calibrated(made_up_run(tmp_path))
    maps = np.load(run / "findings" / "maps.npy")
    maps[:, 1:3, 1:3] = 2.0
    np.save(run / "findings" / "maps.npy", maps)
    assert findings_of(run)["at_threshold"]["false_per_scan"]["value"] == 1
    ignored = np.zeros((len(read_index(tmp_path)), SIDE, SIDE), dtype=np.bool_)
    ignored[:, 0:4, 0:4] = True
    np.save(tmp_path / "store" / "ignored.npy", np.packbits(ignored, axis=-1))
    assert findings_of(run)["at_threshold"]["false_per_scan"]["value"] == 0


def read_index(folder):
    return SliceStore(folder / "store").index

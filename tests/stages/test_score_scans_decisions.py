"""New scans are flagged by the thresholds of the report, with the fitted folder alone, and tables say so."""

import csv
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from anomae.cli import summaries
from anomae.detectors.protocol import Findings
from anomae.errors import UserError
from anomae.inference.finding import find_regions
from anomae.inference.fitted import load_model
from anomae.inference.inspect import inspect_volume
from anomae.inference.tables import judge
from anomae.pages.index_page import index_row
from anomae.reports.overlay_picture import threshold_of
from anomae.runs.healthy_file import NAME, read_healthy_scores, write_healthy_scores
from anomae.runs.scoring_folder import ScoredScan
from anomae.slices.settings import PrepareSettings
from anomae.slices.store import SliceStore, grey
from anomae.stages import score_scans as stage
from anomae.stages.evaluate import evaluate
from anomae.stages.fit import fit
from anomae.stages.prepare import prepare
from anomae.stages.score import score
from anomae.statistics.healthy_scores import HealthyScores
from anomae.volumes.read import read_volume
from anomae.volumes.volume import Grid
from anomae.volumes.write import write_volume

GRID = Grid((6, 24, 24), (3.0, 1.5, 1.5), (11.0, -7.0, 30.0))


def a_scan(path, seed, lesion=0.0):
    """Soft noise; a cube of 4 voxels a side that is brighter by `lesion`."""
    voxels = np.random.default_rng(seed).normal(100, 8, GRID.shape).astype(np.float32)
    voxels[2:5, 8:12, 10:14] += lesion
    write_volume(path, voxels, GRID)
    return path


@pytest.fixture(scope="module")
def fitted_run(tmp_path_factory):
    """Fitted on 12 healthy people and calibrated on 24; 3 healthy ones and 2 others are tested."""
    folder = tmp_path_factory.mktemp("decided")
    for number in range(41):
        split = "train" if number < 12 else "valid" if number < 36 else "test"
        kind = "ill" if number > 38 else "good"
        a_scan(folder / "scans" / split / kind / f"p{number:02d}.nii.gz", number, 80.0 * (kind == "ill"))
    settings = PrepareSettings.model_validate({"image_size": 16, "intensity": "window", "window_hu": (0, 300)})
    prepare("folder", folder / "scans", folder / "store", workers=0, settings=settings)
    fit(folder / "store", folder / "run", detector="mean-image")
    score(folder / "run")
    return folder / "run"


@pytest.fixture
def fitted(fitted_run, tmp_path):
    """A copy of the fitted folder alone."""
    shutil.copytree(fitted_run / "fitted", tmp_path / "model")
    return tmp_path / "model"


def score_scans(run, paths, out, **options):
    return stage.score_scans(run, paths, out, **{"overlays": 0, **options})


def table(out, name):
    with (out / f"{name}.csv").open(newline="") as handle:
        return list(csv.DictReader(handle))


def facts(out):
    return json.loads((out / "scoring.json").read_text())


def test_a_copy_of_the_fitted_folder_flags_by_the_thresholds_of_the_report(fitted_run, fitted, tmp_path):
    point = evaluate(fitted_run, resamples=100)["operating_point"]
    scans = [a_scan(tmp_path / "in" / "ill.nii.gz", 300, 90), a_scan(tmp_path / "in" / "well.nii.gz", 301)]
    out = score_scans(fitted, scans, tmp_path / "out")
    rows = table(out, "scores")
    healthy = read_healthy_scores(fitted)
    assert {float(row["threshold"]) for row in rows} == {point["slice"]["threshold"]}
    assert {row["threshold_by"] for row in rows} == {"calibration"}
    for row in rows:
        assert int(row["flag"]) == (float(row["score"]) > float(row["threshold"]))
        assert float(row["higher_than"]) == pytest.approx(np.mean(healthy.scores < float(row["score"])), rel=1e-5)
    ill, well = table(out, "scans")
    assert {float(row["threshold"]) for row in (ill, well)} == {point["patient"]["threshold"]}
    assert (ill["flag"], well["flag"], ill["suited"]) == ("1", "0", "1")
    assert ill["higher_than"] == "1"
    assert 2 <= int(ill["highest_slice"]) <= 4
    assert int(ill["flagged_slices"]) >= 3
    patients = {row["patient"]: row for row in table(out, "patients")}
    assert {name: row["flag"] for name, row in patients.items()} == {"ill": "1", "well": "0"}
    said = facts(out)
    assert said["flagged"] == {"slices": sum(row["flag"] == "1" for row in rows), "scans": 1, "patients": 1}
    assert said["calibration"]["source"] == point["calibration"]["source"]


def test_scans_labelled_as_a_whole_are_told_by_prepare_and_the_report(fitted_run):
    said = "2 abnormal scan(s) have no lesion mask: all their slices count as abnormal, those that show no lesion too"
    assert sum(note.startswith(said) for note in SliceStore(fitted_run.parent / "store").prepared["notes"]) == 1
    assert sum(warning.startswith(said) for warning in evaluate(fitted_run, resamples=100)["warnings"]) == 1


def test_the_bounds_are_settings_of_both(fitted_run, fitted, tmp_path):
    bounds = (0.2, 0.3)
    point = evaluate(fitted_run, bounds=bounds, resamples=100)["operating_point"]
    scan = a_scan(tmp_path / "scan.nii.gz", 1)
    out = score_scans(fitted, [scan], tmp_path / "out", bounds=bounds)
    assert float(table(out, "scores")[0]["threshold"]) == point["slice"]["threshold"]
    assert float(table(out, "scans")[0]["threshold"]) == point["patient"]["threshold"]


def test_findings_are_where_the_lesion_is(fitted, tmp_path):
    scan = a_scan(tmp_path / "ill.nii.gz", 300, 90)
    out = score_scans(fitted, [scan], tmp_path / "out")
    first = table(out, "findings")[0]
    middle = GRID.affine_lps() @ [11.5, 9.5, 3, 1]
    centroid = [float(first[f"centroid_{axis}_mm"]) for axis in "xyz"]
    assert np.abs(np.array(centroid) - middle[:3]).max() <= 3
    assert float(first["volume_mm3"]) == pytest.approx(int(first["voxels"]) * 6.75, rel=1e-5)
    assert int(table(out, "scans")[0]["findings"]) == len(table(out, "findings"))
    study = inspect_volume(read_volume(scan), load_model(fitted))
    assert study.decision.scan_flag
    assert [one.number for one in study.regions.findings] == [int(row["number"]) for row in table(out, "findings")]
    assert repr(study.regions.findings[0].maximum) == first["maximum"]
    assert float(first["threshold"]) == study.decision.rules.finding.threshold


def test_findings_that_are_not_listed_are_counted_beside_those_that_are(fitted, tmp_path, monkeypatch, capsys):
    scan = a_scan(tmp_path / "ill.nii.gz", 300, 90)
    volume = read_volume(scan)
    volume.voxels[1:4, 2:5, 18:22] += 70
    write_volume(scan, volume.voxels, GRID)
    every = score_scans(fitted, [scan], tmp_path / "every")
    found = len(table(every, "findings"))
    assert found > 1
    assert (table(every, "scans")[0]["findings_left_out"], facts(every)["findings_left_out"]) == ("0", 0)
    monkeypatch.setattr(find_regions, "__defaults__", (1,))
    out = score_scans(fitted, [scan], tmp_path / "out")
    (row,) = table(out, "scans")
    assert (row["findings"], int(row["findings_left_out"])) == ("1", found - 1)
    summaries.scored(out)
    assert f"findings: 1 and {found - 1} of lower maxima, which are not listed." in capsys.readouterr().out
    kept = ScoredScan(**json.loads((out / "journal.jsonl").read_text().splitlines()[-1]))
    (judged,) = judge([kept], load_model(fitted).rules(), read_healthy_scores(fitted), False)
    assert index_row(judged, "", "").findings == found


class Counting:
    """Passes on to a detector and counts."""

    def __init__(self, real):
        self.real, self.seen = real, 0
        self.name, self.map_name, self.description = real.name, real.map_name, ""

    def inspect(self, images):
        self.seen += len(images)
        return self.real.inspect(images)


def test_a_new_calibration_changes_flags_and_findings_but_scores_nothing_again(fitted, tmp_path):
    scans = [a_scan(tmp_path / "ill.nii.gz", 300, 90), a_scan(tmp_path / "well.nii.gz", 301)]
    score_scans(fitted, scans, tmp_path / "out")
    before = {name: table(tmp_path / "out", name) for name in ("scores", "findings")}
    kept = read_healthy_scores(fitted)
    higher = HealthyScores(kept.scores + 1, kept.map_tops * 1.4, kept.person, kept.unit, kept.source)
    write_healthy_scores(fitted, higher)
    counting = Counting(load_model(fitted).detector)
    out = score_scans(fitted, scans, tmp_path / "out", load=lambda *_: counting)
    assert counting.seen == 0
    whole = score_scans(fitted, scans, tmp_path / "whole")
    for name in ("scores", "scans", "patients", "findings"):
        assert table(out, name) == table(whole, name)
    assert {row["flag"] for row in table(out, "scans")} == {"0"}
    assert [row["score"] for row in table(out, "scores")] == [row["score"] for row in before["scores"]]
    assert len(table(out, "findings")) != len(before["findings"]) or table(out, "findings") != before["findings"]


def test_too_small_a_calibration_is_no_flag_and_the_reason(fitted, tmp_path):
    kept = read_healthy_scores(fitted)
    few = kept.person < 6
    tops = kept.map_tops[few]
    write_healthy_scores(fitted, HealthyScores(kept.scores[few], tops, kept.person[few], "patient", "few"))
    out = score_scans(fitted, [a_scan(tmp_path / "ill.nii.gz", 300, 90)], tmp_path / "out")
    row, patient = table(out, "scans")[0], table(out, "patients")[0]
    assert (row["flag"], row["threshold"], patient["flag"]) == ("", "", "")
    assert "needs at least 9 calibration patients, and there are 6" in row["reason"] == patient["reason"]
    assert {(line["flag"], line["threshold"]) for line in table(out, "scores")} == {("", "")}
    assert all(line["higher_than"] for line in table(out, "scores"))
    assert facts(out)["without_flag"] == {"scans": 1, "patients": 1}


def test_a_flagged_scan_whose_slices_have_no_flag_is_not_said_to_have_none(fitted, tmp_path):
    kept = read_healthy_scores(fitted)
    few = kept.person < 9  # enough for a bound of 10 % on scans, not for one of 5 % on slices
    write_healthy_scores(
        fitted, HealthyScores(kept.scores[few], kept.map_tops[few], kept.person[few], "patient", "few")
    )
    ill, other = a_scan(tmp_path / "ill.nii.gz", 300, 90), a_scan(tmp_path / "other.nii.gz", 300, 80)
    out = score_scans(fitted, [ill, other], tmp_path / "out")
    why = "Slices have no flag of their own. A bound of 5 % per slice needs at least 19 calibration patients"
    for row in table(out, "scans"):
        assert (row["flag"] != "", row["flagged_slices"]) == (True, "")
        assert why in row["reason"]
        assert "No flag" not in row["reason"]
    assert (out / "index.html").read_text(encoding="utf-8").count(why) == 1


def test_an_older_fitted_folder_says_what_to_do(fitted, tmp_path, watched, capsys):
    (fitted / NAME).unlink()
    (fitted / "reference.json").unlink()
    out = score_scans(fitted, [a_scan(tmp_path / "ill.nii.gz", 300, 90)], tmp_path / "out")
    assert "anomae fit STORE RUN" in table(out, "scans")[0]["reason"]
    said = " ".join(facts(out)["notes"])
    assert "flags nothing by itself" in said
    assert "no scan is refused" in said
    assert "flags nothing by itself" in capsys.readouterr().err


def test_a_threshold_by_hand_is_said_everywhere(fitted, tmp_path):
    scan = a_scan(tmp_path / "well.nii.gz", 301)
    out = score_scans(fitted, [scan], tmp_path / "out", threshold=0.0)
    assert {(row["threshold"], row["threshold_by"], row["flag"]) for row in table(out, "scores")} == {
        ("0.0", "hand", "1")
    }
    for name in ("scans", "patients"):
        row = table(out, name)[0]
        assert (row["threshold_by"], row["flag"]) == ("hand", "1")
    assert "given by hand" in table(out, "scans")[0]["reason"]
    assert facts(out)["rules"]["scan"]["given"] is True


def test_what_the_model_was_not_made_for_is_not_flagged_unless_forced(fitted, tmp_path):
    voxels = np.random.default_rng(0).normal(100, 8, (6, 24, 24)).astype(np.float32)
    write_volume(tmp_path / "in" / "huge.nii.gz", voxels, Grid(GRID.shape, (3.0, 9.0, 9.0)))
    a_scan(tmp_path / "in" / "ill.nii.gz", 300, 90)
    out = score_scans(fitted, [tmp_path / "in"], tmp_path / "out", overlays=1)
    huge, ill = table(out, "scans")
    drawn = {path.name.split("_")[0]: threshold_of(path) for path in (out / "overlays").iterdir()}
    assert drawn == {"huge": "none", "ill": table(out, "findings")[0]["threshold"]}
    assert (huge["flag"], huge["suited"], ill["flag"], ill["suited"]) == ("", "0", "1", "1")
    assert "Its pixels are 9 mm wide" in huge["reason"]
    assert {row["name"] for row in table(out, "findings")} == {"ill"}
    assert list(facts(out)["unsuited"]) == [huge["file"]]
    counting = Counting(load_model(fitted).detector)
    forced = score_scans(fitted, [tmp_path / "in"], out, overlays=1, force=True, load=lambda *_: counting)
    assert counting.seen == 0
    assert {threshold_of(path) for path in (out / "overlays").iterdir()} == {drawn["ill"]}
    huge = table(forced, "scans")[0]
    assert huge["flag"] in ("0", "1")
    assert huge["reason"].startswith("Flagged although the model was not made for it: Its pixels")
    assert huge["findings"] != ""
    assert facts(forced)["forced"] is True


def test_another_reference_is_compared_with_anew(fitted, tmp_path):
    scan = a_scan(tmp_path / "ill.nii.gz", 300, 90)
    score_scans(fitted, [scan], tmp_path / "out")
    path = fitted / "reference.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "pixel_mm": [20.0, 21.0]}))
    out = score_scans(fitted, [scan], tmp_path / "out")
    assert "those of the training scans 20 to 21" in table(out, "scans")[0]["reason"]


@pytest.mark.parametrize("threshold", [None, 0.001])
def test_what_is_doubted_of_a_scan_of_few_slices_is_in_the_tables_and_in_what_programs_read(
    fitted, tmp_path, threshold, capsys
):
    path = fitted / "reference.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "levels": [[0.0, 0.001]] * 3}))
    few = a_scan(tmp_path / "few.nii.gz", 300, 90)
    write_volume(few, read_volume(few).voxels[2:4], Grid((2, 24, 24), (3.0, 1.5, 1.5)))
    many = a_scan(tmp_path / "many.nii.gz", 301)
    out = score_scans(fitted, [few, many], tmp_path / "out", threshold=threshold)
    first, other = table(out, "scans")
    assert (first["suited"], first["flag"], other["suited"], other["flag"]) == ("1", "1", "0", "")
    assert first["reason"].endswith("see that it is of the kind that the model learned from.")
    assert first["reason"].startswith("Above 0.001, a threshold given by hand" if threshold else "Its darkest tissue")
    assert "so it is not refused for it" not in other["reason"]
    assert [*facts(out)["doubts"]] == [str(few)]
    assert [*facts(out)["unsuited"]] == [str(many)]
    assert first["reason"].endswith(" ".join(facts(out)["doubts"][str(few)]))
    capsys.readouterr()
    summaries.scored(out, as_json=True)
    assert json.loads(capsys.readouterr().out)["doubts"] == facts(out)["doubts"]
    kept = json.loads((out / "journal.jsonl").read_text().splitlines()[1])
    del kept["doubts"]  # as an earlier version wrote it
    assert ScoredScan(**kept).doubts == ()


def test_several_scans_of_one_patient_are_one_line_and_the_bound_is_said(fitted, tmp_path):
    for name, seed, lesion in (("a", 300, 90), ("b", 301, 0)):
        a_scan(tmp_path / "in" / f"sub-7_ses-{name}.nii.gz", seed, lesion)
    out = score_scans(fitted, [tmp_path / "in"], tmp_path / "out")
    (row,) = table(out, "patients")
    assert (row["scans"], row["flag"]) == ("2", "1")
    assert "any of 2 scans of a healthy patient is flagged has a probability of at most 20 %" in row["reason"]
    assert float(row["score"]) == max(float(one["score"]) for one in table(out, "scans"))


def test_no_map_is_no_finding(fitted, tmp_path):
    class Blind(Counting):
        def inspect(self, images):
            return Findings(grey(images).mean(axis=(1, 2), dtype=np.float64))

    blind = Blind(load_model(fitted).detector)
    out = score_scans(fitted, [a_scan(tmp_path / "a.nii.gz", 1)], tmp_path / "out", load=lambda *_: blind)
    assert table(out, "scans")[0]["findings"] == ""
    assert table(out, "findings") == []


def test_a_bound_that_is_none_is_refused_before_anything_is_scored(fitted, tmp_path):
    with pytest.raises(UserError, match="between 0 and 1"):
        score_scans(fitted, [a_scan(tmp_path / "a.nii.gz", 1)], tmp_path / "out", bounds=(0.0, 0.1))
    assert not (tmp_path / "out").exists()


def test_json_is_all_that_is_printed(fitted, tmp_path):
    scan = a_scan(tmp_path / "ill.nii.gz", 300, 90)
    words = ["score", fitted, scan, "--out", tmp_path / "out", "--json", "--overlays", "0"]
    done = subprocess.run(
        [sys.executable, "-m", "anomae", *map(str, words)], capture_output=True, encoding="utf-8", check=False
    )
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["flagged"]["scans"] == 1
    assert Path(said["files"]["scans"]).exists()
    refused = [sys.executable, "-m", "anomae", "score", str(fitted), "--force"]
    done = subprocess.run(refused, capture_output=True, encoding="utf-8", check=False)
    assert done.returncode == 2
    assert "are for new scans" in done.stderr

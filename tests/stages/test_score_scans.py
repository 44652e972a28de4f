"""New scans, scored with the fitted folder alone: maps lie on their scans, nothing is lost, mixed up or done twice."""

import csv
import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import nibabel
import numpy as np
import pytest
from PIL import Image

from anomae.cohorts.scan_slices import FEW_VALUES, scan_slices
from anomae.detectors.protocol import Findings
from anomae.errors import UserError
from anomae.files import read_json
from anomae.inference import score_volume
from anomae.locks import LOCK, locked
from anomae.runs.scan_stamp import stamp_of
from anomae.runs.scoring_folder import ScoringFolder, plain_name
from anomae.slices.preparing import prepare_case
from anomae.slices.settings import PrepareSettings
from anomae.slices.store import grey
from anomae.stages.score_scans import score_scans
from anomae.training.settings import DeviceSettings
from anomae.volumes.orientation import axial_view
from anomae.volumes.read import read_volume
from anomae.volumes.volume import Grid
from anomae.volumes.write import write_dicom_series, write_picture, write_volume

STRAIGHT = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
UPSIDE_DOWN = (1.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0, 0.0, -1.0)
SAGITTAL = (0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0, -1.0, 0.0)
OBLIQUE = (0.98, -0.199, 0.0, 0.199, 0.98, 0.0, 0.0, 0.0, 1.0)


class Brightness:
    """Marks what is bright: its map is the prepared image, its score the mean; counts what it is asked."""

    name, map_name, description = "brightness", "brightness, prepared intensity", ""

    def __init__(self, stop_after: int | None = None):
        self.seen, self.stop_after = 0, stop_after

    def inspect(self, images):
        if self.stop_after is not None and self.seen >= self.stop_after:
            raise KeyboardInterrupt
        self.seen += len(images)
        return Findings(images.mean(axis=(1, 2, 3), dtype=np.float64), grey(np.asarray(images, np.float32)))

    def save(self, folder):
        raise AssertionError("nothing is saved where scans are scored")


@pytest.fixture
def run(tmp_path):
    fitted = tmp_path / "run" / "fitted"
    fitted.mkdir(parents=True)
    settings = PrepareSettings.model_validate({"image_size": 32, "intensity": "percentile"})
    preparation = {"cohort": "folder", "settings": settings.model_dump(mode="json")}
    (fitted / "prepare.json").write_text(json.dumps(preparation))
    (fitted / "fitted.json").write_text("{}")
    return tmp_path / "run"


def score(run, paths, out, detector=None, **options):
    detector = detector or Brightness()
    options = {"overlays": 1} | options
    return score_scans(run, paths, out, load=lambda folder, device: detector, **options)


def a_scan(path, seed=0, shape=(6, 24, 20), direction=STRAIGHT, blob=(4, 6, 13)):
    """A dim body with one bright voxel cube, `blob` its centre [z, y, x] as stored."""
    voxels = np.random.default_rng(seed).uniform(40, 60, shape).astype(np.float32)
    voxels[..., :3] = 0  # air
    voxels[tuple(slice(max(0, place - 1), place + 2) for place in blob)] = 400 + seed
    path.parent.mkdir(parents=True, exist_ok=True)
    grid = Grid(shape, (3.0, 1.5, 1.5), (11.0, -7.0, 30.0), direction)
    write_volume(path, voxels, grid)
    return grid


def rows_of(out):
    with (out / "scores.csv").open(newline="") as handle:
        return list(csv.DictReader(handle))


@pytest.mark.parametrize("direction", [STRAIGHT, UPSIDE_DOWN, SAGITTAL, OBLIQUE])
@pytest.mark.parametrize("suffix", [".nii.gz", ".mha"])
def test_the_map_lies_on_the_scan(run, tmp_path, direction, suffix):
    shape, blob = ((20, 24, 22), (13, 6, 15)) if direction == SAGITTAL else ((6, 24, 20), (4, 6, 13))
    scan = tmp_path / f"scan{suffix}"
    grid = a_scan(scan, shape=shape, direction=direction, blob=blob)
    out = score(run, [scan], tmp_path / "out")
    heat = nibabel.load(out / "maps" / "scan.nii.gz")
    assert heat.get_data_dtype() == np.float32
    assert heat.shape == shape[::-1]
    np.testing.assert_allclose(heat.affine, grid.affine_ras(), atol=1e-4)
    values = np.asarray(heat.dataobj).T  # [z, y, x]
    inside = np.zeros(shape, bool)
    inside[tuple(slice(place - 1, place + 2) for place in blob)] = True
    assert inside[np.unravel_index(values.argmax(), shape)]
    assert values[inside].mean() > 2 * values[~inside].mean()


def test_scores_has_a_line_a_slice_with_its_place(run, tmp_path):
    grid = a_scan(tmp_path / "scan.nii.gz", direction=UPSIDE_DOWN)
    out = score(run, [tmp_path / "scan.nii.gz"], tmp_path / "out")
    rows = rows_of(out)
    known = ["file", "patient", "slice", "position_mm", "file_slice", "score", "score_neighbours"]
    assert list(rows[0]) == [*known, "threshold", "threshold_by", "flag", "higher_than"]
    assert all(row["patient"] for row in rows)
    assert [int(row["slice"]) for row in rows] == list(range(6))
    positions = [float(row["position_mm"]) for row in rows]
    np.testing.assert_allclose(positions, axial_view(grid).slice_positions_mm(grid), atol=1e-3)
    assert positions == sorted(positions)
    assert all(row["file"] == str(tmp_path / "scan.nii.gz") for row in rows)
    scores = [float(row["score"]) for row in rows]
    # stored slices 3..5 are bright; upside down they are the lowest
    assert set(np.argsort(scores)[-3:]) == {0, 1, 2}


def test_scores_are_smoothed_over_the_slices_of_their_own_scan(run, tmp_path):
    for number in range(2):
        a_scan(tmp_path / "in" / f"scan{number}.nii.gz", seed=number)
    write_picture(tmp_path / "in" / "picture.png", np.arange(1200, dtype=np.uint8).reshape(30, 40))
    rows = rows_of(score(run, [tmp_path / "in"], tmp_path / "out"))
    assert len(rows) == 13
    for name in ("scan0.nii.gz", "scan1.nii.gz", "picture.png"):
        own = [row for row in rows if Path(row["file"]).name == name]
        scores = np.array([float(row["score"]) for row in own])
        padded = np.concatenate([scores[:1], scores, scores[-1:]])
        expected = padded[:-2] / 4 + scores / 2 + padded[2:] / 4
        np.testing.assert_allclose([float(row["score_neighbours"]) for row in own], expected, rtol=1e-12)


def test_a_scan_may_be_judged_by_smoothed_scores_without_being_scored_again(run, tmp_path):
    a_scan(tmp_path / "scan.nii.gz", blob=(2, 6, 13))
    detector = Brightness()
    out = score(run, [tmp_path / "scan.nii.gz"], tmp_path / "out", detector)
    scores = np.array([float(row["score"]) for row in rows_of(out)])
    over = np.array([float(row["score_neighbours"]) for row in rows_of(out)])
    between = float(np.sort(scores)[-1] + np.sort(over)[-1]) / 2
    assert over.max() < between < scores.max()
    detector.stop_after = 0
    score(run, [tmp_path / "scan.nii.gz"], out, detector, threshold=between)
    assert [row["flag"] for row in rows_of(out)] == [str(int(one > between)) for one in scores]
    lower = float(np.sort(over)[-2])
    score(run, [tmp_path / "scan.nii.gz"], out, detector, threshold=lower, smoothed=True)
    rows = rows_of(out)
    assert [float(row["score"]) for row in rows] == scores.tolist()
    assert [row["flag"] for row in rows] == [str(int(one > lower)) for one in over]
    assert {row["threshold_by"] for row in rows} == {"hand, of smoothed scores"}
    with (out / "scans.csv").open(newline="") as handle:
        (scan,) = csv.DictReader(handle)
    assert float(scan["score"]) == over.max()
    assert int(scan["highest_slice"]) == over.argmax()
    assert read_json(out / "scoring.json")["smoothed"] is True
    assert "smoothed" in (out / "study.html").read_text(encoding="utf-8")


def test_the_fitted_folder_alone_is_enough(run, tmp_path):
    a_scan(tmp_path / "scan.nii.gz")
    whole = score(run, [tmp_path / "scan.nii.gz"], tmp_path / "whole")
    shutil.move(run / "fitted", tmp_path / "alone")
    shutil.rmtree(run)
    alone = score(tmp_path / "alone", [tmp_path / "scan.nii.gz"], tmp_path / "out")
    assert (alone / "scores.csv").read_bytes() == (whole / "scores.csv").read_bytes()
    with pytest.raises(UserError, match="nothing fitted"):
        score(run, [tmp_path / "scan.nii.gz"], tmp_path / "out2")


def test_scans_of_one_name_do_not_collide(run, tmp_path):
    for number, name in enumerate(("a/scan.nii.gz", "b/scan.nii.gz", "c/SCAN.nii", "d/scan.mha")):
        a_scan(tmp_path / "in" / name, seed=number)
    out = score(run, [tmp_path / "in"], tmp_path / "out", overlays=2)
    maps = sorted(path.name for path in (out / "maps").iterdir())
    assert len({name.lower() for name in maps}) == 4
    assert len(list((out / "overlays").iterdir())) == 8
    assert len({row["file"] for row in rows_of(out)}) == 4


@pytest.mark.parametrize(
    "name",
    ["scan.nii.gz", "a b.nii.gz", "..nii", "-rf.nii", "ünï.nii.gz", "x\ny.nii", "a" * 240 + ".nii", "1.2.840.99"],
)
def test_names_of_outputs_are_harmless(name):
    plain = plain_name(Path("/somewhere") / name)
    assert plain
    assert len(plain) <= 100
    assert set(plain) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")
    assert not plain.startswith((".", "-"))


def test_one_path_alone_is_a_path_and_a_scan_below_the_results_is_told(run, tmp_path):
    a_scan(scan := tmp_path / "scans" / "a.nii.gz")
    score(run, str(scan), tmp_path / "out")
    assert {row["file"] for row in rows_of(tmp_path / "out")} == {str(scan)}
    for given in (scan, scan.parent):
        with pytest.raises(UserError, match=r"--out .*scans holds .* itself, .* name another folder"):
            score(run, [given], tmp_path / "scans")


def test_the_same_scan_named_twice_is_scored_once(run, tmp_path):
    a_scan(tmp_path / "in" / "scan.nii.gz")
    out = score(run, [tmp_path / "in" / "scan.nii.gz", tmp_path / "in"], tmp_path / "out")
    assert len(rows_of(out)) == 6


def test_a_broken_scan_is_listed_and_skipped(run, watched, tmp_path, capsys):
    a_scan(tmp_path / "in" / "good.nii.gz")
    (tmp_path / "in" / "broken.nii.gz").write_bytes(b"not a scan")
    detector = Brightness()
    out = score_scans(run, [tmp_path / "in"], tmp_path / "out", load=lambda folder, device: detector)
    said = json.loads((out / "scoring.json").read_text())
    assert [Path(file).name for file in said["skipped"]] == ["broken.nii.gz"]
    assert {Path(row["file"]).name for row in rows_of(out)} == {"good.nii.gz"}
    assert "broken.nii.gz" in capsys.readouterr().err
    with pytest.raises(UserError, match="None of the 1 scan"):
        score(run, [tmp_path / "in" / "broken.nii.gz"], tmp_path / "none")


def test_what_may_be_a_mask_is_noted(run, tmp_path):
    a_scan(tmp_path / "a.nii.gz")
    marked = np.zeros((6, 24, 24), np.uint8)
    marked[2:4, 8:16, 8:16] = 1
    write_volume(tmp_path / "b.nii.gz", marked, Grid(marked.shape))
    out = score(run, [tmp_path / "a.nii.gz", tmp_path / "b.nii.gz"], tmp_path / "out")
    noted = read_json(out / "scoring.json")["scan_notes"]
    assert [FEW_VALUES in noted.get(str(tmp_path / name), ()) for name in ("a.nii.gz", "b.nii.gz")] == [False, True]


@pytest.mark.parametrize(
    ("names", "sentence"), [(["absent.nii"], "does not exist"), (["empty"], "holds no"), ([], "at least")]
)
def test_missing_and_empty_places_are_named(run, tmp_path, names, sentence):
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=sentence):
        score(run, [tmp_path / name for name in names], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_nothing_is_scored_twice_unless_it_changed(run, tmp_path):
    for number in range(2):
        a_scan(tmp_path / "in" / f"scan{number}.nii.gz", seed=number)
    out = score(run, [tmp_path / "in"], tmp_path / "out")
    before = (out / "scores.csv").read_bytes()
    again = Brightness()
    score(run, [tmp_path / "in"], out, again)
    assert again.seen == 0
    assert (out / "scores.csv").read_bytes() == before
    a_scan(tmp_path / "in" / "scan1.nii.gz", seed=5, shape=(9, 24, 20))
    os.utime(tmp_path / "in" / "scan1.nii.gz", ns=(1, 1))
    score(run, [tmp_path / "in"], out, again)
    assert again.seen == 9
    assert len(rows_of(out)) == 15
    assert len(list((out / "maps").iterdir())) == 2


def test_a_link_that_lost_its_scan_is_listed(run, tmp_path):
    a_scan(tmp_path / "annex" / "a.nii.gz")
    a_scan(tmp_path / "in" / "b.nii.gz")
    (tmp_path / "in" / "a.nii.gz").symlink_to(tmp_path / "annex" / "a.nii.gz")
    out = score(run, [tmp_path / "in"], tmp_path / "out")
    (tmp_path / "annex" / "a.nii.gz").unlink()
    score(run, [tmp_path / "in"], out)
    assert {Path(row["file"]).name for row in rows_of(out)} == {"b.nii.gz"}
    assert "missing" in next(iter(json.loads((out / "scoring.json").read_text())["skipped"].values()))


def test_a_stopped_scoring_goes_on_to_the_same_end(run, tmp_path):
    for number in range(3):
        a_scan(tmp_path / "in" / f"scan{number}.nii.gz", seed=number)
    whole = score(run, [tmp_path / "in"], tmp_path / "whole")
    out = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        score(run, [tmp_path / "in"], out, Brightness(stop_after=6))
    assert not (out / "scoring.json").exists()
    with (out / "journal.jsonl").open("a") as journal:
        journal.write('{"place": "cut sho')
    rest = Brightness()
    score(run, [tmp_path / "in"], out, rest)
    assert rest.seen == 12
    for name in ("scores.csv", "scoring.json"):
        assert (out / name).read_bytes() == (whole / name).read_bytes()
    drawn = sorted(path.name for path in (out / "overlays").iterdir())
    assert drawn == sorted(path.name for path in (whole / "overlays").iterdir())
    score(run, [tmp_path / "in"], out, rest)
    assert rest.seen == 12


def test_scans_that_were_computed_otherwise_are_scored_again(run, tmp_path):
    """Scores of two precisions differ a little, and would stand in one table without a word."""
    a_scan(tmp_path / "in" / "a.nii.gz")
    calls = []
    for precision in ("bf16", "fp32", "fp32", "bf16"):
        detector = Brightness()
        score(run, [tmp_path / "in"], tmp_path / "out", detector, device=DeviceSettings(precision=precision))
        calls.append(detector.seen)
    assert [count > 0 for count in calls] == [True, True, False, True]


def test_scores_of_two_models_are_never_mixed(run, tmp_path):
    a_scan(tmp_path / "scan.nii.gz")
    out = score(run, [tmp_path / "scan.nii.gz"], tmp_path / "out")
    (run / "fitted" / "weights").write_text("others")
    with pytest.raises(UserError, match="another fitted model"):
        score(run, [tmp_path / "scan.nii.gz"], out)


def test_a_folder_of_an_older_version_is_told_from_a_foreign_one(run, tmp_path):
    a_scan(tmp_path / "scan.nii.gz")
    out = score(run, [tmp_path / "scan.nii.gz"], tmp_path / "out")
    first, *others = (out / "journal.jsonl").read_text().splitlines()
    (out / "journal.jsonl").write_text("\n".join([first.replace("scoring 3", "scoring 2"), *others]) + "\n")
    with pytest.raises(UserError, match="older version"):
        score(run, [tmp_path / "scan.nii.gz"], out)


def test_further_columns_are_blank_where_a_scan_has_none(run, tmp_path):
    """Those that tell where a slice is found again stand before the score, in the order of `further_columns`."""
    a_scan(tmp_path / "a.nii.gz", shape=(3, 24, 20), blob=(1, 6, 13))
    a_scan(tmp_path / "b.nii.gz", seed=1, shape=(3, 24, 20), blob=(1, 6, 13))
    out = score(run, [tmp_path / "a.nii.gz", tmp_path / "b.nii.gz"], tmp_path / "out")
    folder = ScoringFolder(out, json.loads((out / "journal.jsonl").read_text().splitlines()[0])["model"])
    for scan in list(folder.scans.values()):
        folder.add(replace(scan, further={"file_slice": [2, 1, None]} if scan.name == "a" else {}))
    folder.write_scores()
    rows = rows_of(out)
    assert list(rows[0])[3:6] == ["position_mm", "file_slice", "score"]
    named = [(Path(row["file"]).name, row["file_slice"]) for row in rows]
    assert named == [("a.nii.gz", "2"), ("a.nii.gz", "1"), ("a.nii.gz", ""), *[("b.nii.gz", "")] * 3]


def test_foreign_folders_are_left_alone(run, tmp_path):
    a_scan(tmp_path / "scan.nii.gz")
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.txt").write_text("x")
    with pytest.raises(UserError, match="not empty"):
        score(run, [tmp_path / "scan.nii.gz"], tmp_path / "thesis")
    with pytest.raises(UserError, match="is a file"):
        score(run, [tmp_path / "scan.nii.gz"], tmp_path / "thesis" / "chapter.txt")
    assert [path.name for path in (tmp_path / "thesis").iterdir()] == ["chapter.txt"]


def test_overlays_show_the_highest_slices_on_one_scale(run, tmp_path):
    a_scan(tmp_path / "dim.nii.gz")
    out = score(run, [tmp_path / "dim.nii.gz"], tmp_path / "out", overlays=3)
    drawn = {path.name for path in (out / "overlays").iterdir()}
    assert drawn == {f"dim_slice{number:03d}.png" for number in (3, 4, 5)}
    with Image.open(out / "overlays" / "dim_slice004.png") as picture:
        assert picture.width > 400
        colours = np.asarray(picture.convert("RGB"), int)
    assert (colours.max(-1) - colours.min(-1)).max() > 100, "nothing is marked in colour"
    scale = json.loads((out / "scoring.json").read_text())["overlay_scale"]
    before = (out / "overlays" / "dim_slice004.png").read_bytes()

    class Hotter(Brightness):
        def inspect(self, images):
            found = super().inspect(images)
            return Findings(found.scores, found.maps * 3)

    a_scan(tmp_path / "hot.nii.gz", seed=1)
    score(run, [tmp_path / "hot.nii.gz"], out, Hotter(), overlays=3)
    assert json.loads((out / "scoring.json").read_text())["overlay_scale"] > 2 * scale
    assert (out / "overlays" / "dim_slice004.png").read_bytes() != before
    assert len(list((out / "overlays").iterdir())) == 6
    more = Brightness()
    score(run, [tmp_path / "dim.nii.gz"], out, more, overlays=5)
    assert more.seen == 6
    assert len(list((out / "overlays").glob("dim_*"))) == 5


def test_no_overlays_when_none_are_wanted_and_none_without_maps(run, tmp_path):
    a_scan(tmp_path / "scan.nii.gz")
    out = score(run, [tmp_path / "scan.nii.gz"], tmp_path / "out", overlays=0)
    assert not (out / "overlays").exists()
    assert (out / "maps" / "scan.nii.gz").exists()

    class Blind(Brightness):
        def inspect(self, images):
            return Findings(super().inspect(images).scores)

    out = score(run, [tmp_path / "scan.nii.gz"], tmp_path / "blind", Blind())
    assert len(rows_of(out)) == 6
    assert not (out / "maps").exists()


def test_a_picture_gets_a_map_of_its_own_size(run, tmp_path):
    image = np.full((40, 56), 20, np.uint8)
    image[8:16, 30:40] = 250
    write_picture(tmp_path / "picture.png", image)
    out = score(run, [tmp_path / "picture.png"], tmp_path / "out")
    with Image.open(out / "maps" / "picture.tiff") as heat:
        values = np.asarray(heat)
    assert values.dtype == np.float32
    assert values.shape == image.shape
    row, column = np.unravel_index(values.argmax(), values.shape)
    assert 8 <= row < 16
    assert 30 <= column < 40
    assert list(rows_of(out)[0]) == [
        "file",
        "patient",
        "slice",
        "position_mm",
        "file_slice",
        "score",
        "threshold",
        "threshold_by",
        "flag",
        "higher_than",
    ]  # it has no neighbour
    assert json.loads((out / "scoring.json").read_text())["map_name"] == Brightness.map_name
    assert rows_of(out)[0]["position_mm"] == ""
    assert (out / "overlays" / "picture_slice000.png").exists()


def test_patches_are_doubted(run, tmp_path):
    prepared = json.loads((run / "fitted" / "prepare.json").read_text())
    (run / "fitted" / "prepare.json").write_text(json.dumps(prepared | {"cohort": "luna16", "kind": "patches"}))
    a_scan(tmp_path / "scan.nii.gz")
    out = score(run, [tmp_path / "scan.nii.gz"], tmp_path / "out")
    assert "patches" in json.loads((out / "scoring.json").read_text())["notes"][0]


class Remembers(Brightness):
    """Keeps what it was shown."""

    def __init__(self):
        super().__init__()
        self.shown = []

    def inspect(self, images):
        self.shown.append(images.copy())
        return super().inspect(images)


def test_a_scan_is_prepared_as_a_store_would_hold_it(run, tmp_path):
    a_scan(tmp_path / "scan.nii.gz")
    seen = Remembers()
    score(run, [tmp_path / "scan.nii.gz"], tmp_path / "out", seen)
    (images,) = seen.shown
    assert images.dtype == np.float32
    np.testing.assert_array_equal(images, images.astype(np.float16))
    case = scan_slices(read_volume(tmp_path / "scan.nii.gz"))
    np.testing.assert_allclose(images, prepare_case(case, PrepareSettings(image_size=(32, 32))).images, atol=1e-3)


def test_only_slices_that_the_run_could_know_are_scored(run, tmp_path):
    prepared = json.loads((run / "fitted" / "prepare.json").read_text())
    prepared["settings"]["slices"] = "mid"
    (run / "fitted" / "prepare.json").write_text(json.dumps(prepared))
    a_scan(tmp_path / "scan.nii.gz", shape=(11, 24, 20))
    out = score(run, [tmp_path / "scan.nii.gz"], tmp_path / "out")
    assert [int(row["slice"]) for row in rows_of(out)] == [4, 5, 6, 7, 8]
    heat = np.asarray(nibabel.load(out / "maps" / "scan.nii.gz").dataobj).T
    assert heat.shape == (11, 24, 20)
    assert not heat[:4].any()
    assert heat[4:9].any(axis=(1, 2)).all()


def test_what_was_written_is_not_taken_for_a_scan(run, tmp_path):
    a_scan(tmp_path / "in" / "scan.nii.gz")
    out = score(run, [tmp_path / "in"], tmp_path / "in" / "out")
    score(run, [tmp_path / "in"], out)
    assert len(rows_of(out)) == 6


def of_brains(run):
    facts = json.loads((run / "fitted" / "prepare.json").read_text())
    facts["settings"] = PrepareSettings(image_size=(48, 48), preparation="brain").model_dump(mode="json")
    (run / "fitted" / "prepare.json").write_text(json.dumps(facts))


def test_a_scan_whose_brain_mask_was_corrected_is_scored_again(run, tmp_path):
    """Scores and maps of the old brain stood, under the new mask."""
    of_brains(run)
    scan, mask = tmp_path / "scans" / "head.nii.gz", tmp_path / "scans" / "head_brain.nii.gz"
    brain = np.zeros((20, 24, 22), np.uint8)
    brain[5:17, 6:18, 5:17] = 1
    grid = a_scan(scan, shape=brain.shape, blob=(11, 12, 9))
    write_volume(mask, brain, grid)
    other = tmp_path / "scans" / "other.nii.gz"
    a_scan(other, seed=1, shape=brain.shape, blob=(11, 12, 9))
    write_volume(tmp_path / "scans" / "other_brain.nii.gz", brain, grid)
    calls = []
    for step in ("first", "same", "corrected", "same", "earlier version"):
        if step == "corrected":
            brain[5:11] = 0
            write_volume(mask, brain, grid)
        if step == "earlier version":
            lines = (tmp_path / "out" / "journal.jsonl").read_text()
            for file in (scan, other):
                lines = lines.replace(stamp_of(file, True), stamp_of(file))
            (tmp_path / "out" / "journal.jsonl").write_text(lines)
        detector = Brightness()
        out = score(run, [tmp_path / "scans"], tmp_path / "out", detector)
        calls.append(detector.seen)
    assert [count > 0 for count in calls] == [True, False, True, False, False]
    assert calls[2] < calls[0] / 2  # the other scan is left as it is
    assert rows_of(out) == rows_of(score(run, [tmp_path / "scans"], tmp_path / "new"))


@pytest.mark.parametrize("direction", [STRAIGHT, UPSIDE_DOWN, SAGITTAL])
def test_a_map_of_a_brain_lies_on_its_scan_and_is_nothing_outside(run, tmp_path, direction):
    """Prepared as a brain that was given: the map peaks at the bright voxel, and outside the crop it is 0."""
    of_brains(run)
    path = tmp_path / "scans" / "head.nii.gz"
    grid = a_scan(path, shape=(20, 24, 22), direction=direction, blob=(11, 12, 9))
    brain = np.zeros(grid.shape, np.uint8)
    brain[5:17, 6:18, 5:17] = 1
    write_volume(tmp_path / "scans" / "head_brain.nii.gz", brain, grid)
    out = score(run, [tmp_path / "scans"], tmp_path / "out")
    assert {Path(row["file"]).name for row in rows_of(out)} == {"head.nii.gz"}
    notes = read_json(out / "scoring.json")["scan_notes"]
    assert [said[-1] for said in notes.values()] == ["the brain mask was given in a file beside the scan"]
    heat = read_volume(next((out / "maps").glob("*.nii.gz"))).voxels
    assert heat.shape == grid.shape
    y, x, z = np.indices(grid.shape)
    weight = np.clip(heat - 1.0, 0, None)
    centre = [float((weight * axis).sum() / weight.sum()) for axis in (y, x, z)]
    assert np.abs(np.subtract(centre, (11, 12, 9))).max() < 0.5
    view = axial_view(grid)
    empty = view.apply(heat)[:, [0, -1]]
    assert (empty == 0).all()


@pytest.mark.parametrize("batch", [2, 64])
def test_neighbours_are_those_of_the_scan_by_number(tmp_path, monkeypatch, batch):
    """Across batches; where a slice in between was not kept, the slice itself stands in."""

    class Beside(Remembers):
        needs_neighbours = True

        def inspect(self, images, neighbours):
            self.beside = [*getattr(self, "beside", []), *neighbours]
            return super().inspect(images)

    def gapped(case, settings):
        prepared = prepare_case(case, settings)
        kept = np.array([0, 1, 3, 4, 5])
        return replace(prepared, images=prepared.images[kept], kept=prepared.kept[kept])

    a_scan(tmp_path / "scan.nii.gz")
    monkeypatch.setattr(score_volume, "prepare_case", gapped)
    seen = Beside()
    settings = PrepareSettings(image_size=(32, 32))
    score_volume.score_volume(read_volume(tmp_path / "scan.nii.gz"), seen, settings, batch=batch)
    images = np.concatenate(seen.shown)
    assert len(np.unique(images.mean(axis=(1, 2, 3)))) == 5
    wanted = [(0, 1), (0, 1), (2, 3), (2, 4), (3, 4)]
    np.testing.assert_array_equal(np.array(seen.beside), images[np.array(wanted)])


def test_two_never_write_one_folder_at_once(run, tmp_path):
    a_scan(tmp_path / "in" / "scan.nii.gz")
    out = score(run, [tmp_path / "in"], tmp_path / "out")
    before = (out / "scores.csv").read_bytes()
    left = [out / "maps" / ".part-0123" / "map.nii.gz", out / "highest" / ".part-4567.npz", out / ".part-89.json"]
    left.append(out / ".part-0011" / "deeper.txt")
    for file in left:  # by one that was killed
        file.parent.mkdir(exist_ok=True)
        file.touch()
    with locked(out), pytest.raises(UserError, match="Another process"):
        score(run, [tmp_path / "in"], out)
    assert all(file.exists() for file in left)
    assert (out / "scores.csv").read_bytes() == before
    assert not (out / LOCK).exists()
    score(run, [tmp_path / "in"], out)
    assert not [*out.rglob(".part-*")]


def test_names_of_outputs_say_the_path_and_stay(run, tmp_path):
    for number, name in enumerate(("b/s1/t1.nii.gz", "b/s2/t1.nii.gz", "b_s1/t1.nii.gz")):
        a_scan(tmp_path / "in" / name, seed=number)
    out = score(run, [tmp_path / "in"], tmp_path / "out")
    before = {row["file"]: row["patient"] for row in rows_of(out)}
    names = {path.name for path in (out / "maps").iterdir()}
    assert {"b_s1_t1.nii.gz", "b_s2_t1.nii.gz"} < names
    assert len(names) == len(set(before.values())) == 3
    a_scan(tmp_path / "in" / "a" / "t1.nii.gz", seed=4)
    score(run, [tmp_path / "in"], out)
    assert names < {path.name for path in (out / "maps").iterdir()}
    after = {row["file"]: row["patient"] for row in rows_of(out)}
    assert {file: after[file] for file in before} == before
    assert len(set(after.values())) == 4


def test_what_an_earlier_scoring_wrote_is_left_out_and_said(run, watched, tmp_path, capsys):
    a_scan(tmp_path / "in" / "p1" / "scan.nii.gz")
    score(run, [tmp_path / "in"], tmp_path / "in" / "first")
    (tmp_path / "in" / "first" / "scoring.json").rename(tmp_path / "elsewhere.json")  # as one that was stopped
    out = score(run, [tmp_path / "in"], tmp_path / "in" / "second")
    assert {Path(row["file"]).name for row in rows_of(out)} == {"scan.nii.gz"}
    assert "1 folder(s) that this program wrote" in capsys.readouterr().err
    with pytest.raises(UserError, match="wrote itself"):
        score(run, [tmp_path / "in" / "first"], tmp_path / "third")


FULL_DISK = """
import resource, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from stages.test_score_scans import score
resource.setrlimit(resource.RLIMIT_FSIZE, (12_000, 12_000))
score(Path(sys.argv[2]), [Path(sys.argv[3])], Path(sys.argv[4]), overlays=0, pages=False)
"""


def test_what_the_disk_did_not_take_is_listed_and_mended_by_the_same_command(run, tmp_path):
    """A limit on file sizes stands for a full disk: ITK prints that a write fell short, and goes on."""
    a_scan(tmp_path / "in" / "small.nii.gz", shape=(3, 12, 10), blob=(1, 6, 5))
    a_scan(tmp_path / "in" / "large.nii.gz", shape=(20, 64, 60))
    tests, out = Path(__file__).parents[1], tmp_path / "out"
    command = [sys.executable, "-c", FULL_DISK, tests, run, tmp_path / "in", out]
    ended = subprocess.run(command, capture_output=True, encoding="utf-8", check=False)
    assert ended.returncode != 0
    assert "1 of 2 scan(s) could not be written whole" in ended.stderr
    assert [Path(file).name for file in read_json(out / "scoring.json")["failed"]] == ["large.nii.gz"]
    assert [path.name for path in (out / "maps").iterdir()] == ["small.nii.gz"]
    assert {Path(row["file"]).name for row in rows_of(out)} == {"small.nii.gz"}
    score(run, [tmp_path / "in"], out, overlays=0)
    assert read_json(out / "scoring.json")["failed"] == {}
    assert nibabel.load(out / "maps" / "large.nii.gz").get_fdata().shape == (60, 64, 20)
    assert len(rows_of(out)) == 23


def test_masks_and_copies_in_a_folder_are_no_scans(run, tmp_path):
    folder = tmp_path / "in"
    for name, seed in (
        ("a.nii.gz", 0),
        ("a_seg.nii.gz", 1),
        ("b.nii.gz", 2),
        ("B.nii", 2),
        ("c.nii.gz", 3),
        ("c.nii", 4),
    ):
        a_scan(folder / name, seed)
    out = score(run, [folder], tmp_path / "out")
    facts = read_json(out / "scoring.json")
    assert {row["file"] for row in rows_of(out)} == {str(folder / "a.nii.gz"), str(folder / "b.nii.gz")}
    assert list(facts["skipped"]) == [str(folder / "c.nii.gz")]
    assert "c.nii beside it" in facts["skipped"][str(folder / "c.nii.gz")]
    assert facts["passed_over"] == [
        f"1 lesion mask(s) of scans were left out, the first: {folder / 'a_seg.nii.gz'}.",
        "2 scan(s) are given twice, as .nii beside .nii.gz, of which the .nii.gz is scored, once, the first: "
        f"{folder / 'B.nii'}.",
    ]


def test_dicom_results_are_written_once_and_anew_by_another_threshold(run, tmp_path):
    series, detector = tmp_path / "scans" / "series", Brightness()
    voxels = np.random.default_rng(0).integers(40, 60, (5, 24, 20)).astype(np.int16)
    voxels[2, 8:12, 8:12] = 400
    write_dicom_series(series, voxels, Grid(voxels.shape), modality="MR")
    a_scan(tmp_path / "scans" / "plain.nii.gz")

    def scored(**options):
        detector.seen = 0
        out = score(run, [tmp_path / "scans"], tmp_path / "out", detector, **options)
        return detector.seen, read_json(out / "scoring.json")["dicom"]

    seen, facts = scored()
    assert seen > 0
    assert facts is None
    assert not (tmp_path / "out" / "dicom").exists()
    seen, facts = scored(dicom="sr,seg")
    assert seen > 0  # what was scored without is looked at again
    assert [*facts["refused"]] == ["plain"]
    assert "plain.nii.gz (nifti) is none" in facts["refused"]["plain"]
    report = tmp_path / "out" / "dicom" / "series-sr.dcm"
    assert b"Why no flag is raised" in report.read_bytes()
    assert scored(dicom="sr,seg") == (0, facts)
    assert scored(dicom="sr,seg", threshold=0.1)[0] > 0
    assert b"given by hand" in report.read_bytes()


def test_dicom_results_of_no_dicom_scan_are_refused_once_all_else_is_written(run, tmp_path):
    a_scan(tmp_path / "plain.nii.gz")
    with pytest.raises(UserError, match=r"Scores are written, but 1 of 1 .*plain\.nii\.gz \(nifti\) is none"):
        score(run, [tmp_path / "plain.nii.gz"], tmp_path / "out", dicom="seg")
    assert (tmp_path / "out" / "scoring.json").exists()
    with pytest.raises(UserError, match="--dicom"):
        score(run, [tmp_path / "plain.nii.gz"], tmp_path / "other", dicom="seg,what")
    assert not (tmp_path / "other").exists()

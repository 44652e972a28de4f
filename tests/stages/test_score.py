"""The stage `score` on the store's test split: complete, repeatable, resumable."""

import csv
import shutil
import threading
from pathlib import Path

import numpy as np
import pytest

import anomae.runs.scoring_rows as rows_scored
import anomae.stages.score as stage
from anomae.detectors.protocol import Findings
from anomae.errors import UserError
from anomae.files import read_json, read_json_lines, write_json
from anomae.runs.score_table import read_table
from anomae.slices.store import SliceStore
from anomae.stages.evaluate import evaluate
from anomae.stages.fit import fit
from anomae.stages.score import score
from anomae.statistics.pixels import tissue_masks
from anomae.training.settings import DeviceSettings

from .conftest import SHORT


@pytest.fixture(scope="module")
def run(heads: SliceStore, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("run")
    fit(heads.folder, place, detector="mae-classifier", recipe="phantom", overrides=SHORT)
    score(place)
    return place


def test_every_test_slice_has_a_line(run: Path, heads: SliceStore) -> None:
    with (run / "findings" / "scores.csv").open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    expected = heads.rows("test")
    assert [int(row["row"]) for row in rows] == expected.tolist()
    assert [row["case"] for row in rows] == heads.index.case[expected].tolist()
    assert [int(row["label"]) for row in rows] == heads.index.label[expected].tolist()
    assert all(0 <= float(row["score"]) <= 1 for row in rows)
    assert {"score_mse", "score_mae", "score_ssim", "position_mm"} <= rows[0].keys()
    maps = np.load(run / "findings" / "maps.npy", mmap_mode="r")
    rebuilt = np.load(run / "findings" / "reconstructions.npy", mmap_mode="r")
    images = heads.select(expected).read(slice(None))
    assert rebuilt.shape == images.shape
    assert maps.shape == images[:, 0].shape
    assert np.allclose(maps, np.abs(images - rebuilt)[:, 0], atol=2e-3)
    facts = read_json(run / "findings" / "findings.json")
    assert facts["images"] == len(expected)
    assert facts["map_name"] == stage.load_detector(run / "fitted").map_name


def test_scores_are_smoothed_over_neighbours_in_their_scan(run: Path, heads: SliceStore) -> None:
    for folder, gaps in (("findings", False), ("calibration", True)):
        with (run / folder / "scores.csv").open(newline="") as lines:
            rows = list(csv.DictReader(lines))
        own = {(row["case"], int(row["slice"])): float(row["score"]) for row in rows}
        for row in rows:
            case, number = row["case"], int(row["slice"])
            score, below, above = (own.get((case, number + step), own[case, number]) for step in (0, -1, 1))
            assert float(row["score_neighbours"]) == pytest.approx(below / 4 + score / 2 + above / 4, rel=1e-12)
        runs = sum((case, number + 1) not in own for case, number in own)
        assert (runs > len({case for case, _ in own})) == gaps  # of validation, normal slices alone are scored
    report = evaluate(run, resamples=100)
    assert report["scores"]["score_neighbours"]["auroc"]["value"] != report["scores"]["score"]["auroc"]["value"]
    assert "1/2 of its own" in report["definitions"]["score_neighbours"]
    assert "smoothed over the neighbouring slices" in (run / "report" / "report.html").read_text(encoding="utf-8")


def test_pictures_and_patches_have_no_neighbours(run: Path, heads: SliceStore, tmp_path: Path) -> None:
    store = tmp_path / "store"
    shutil.copytree(heads.folder, store)
    cases = read_json(store / "cases.json")
    write_json(store / "cases.json", {name: {**facts, "grid": None} for name, facts in cases.items()})
    copy = tmp_path / "run"
    shutil.copytree(run, copy, ignore=shutil.ignore_patterns("findings", "calibration", "report"))
    score(copy, store=store, maps=False)
    for folder in ("findings", "calibration"):
        header = (copy / folder / "scores.csv").read_text().splitlines()[0]
        assert "score_neighbours" not in header
        assert "score" in header.split(",")


def test_normal_validation_slices_are_scored_for_the_threshold(run: Path, heads: SliceStore) -> None:
    rows = heads.rows("validation", label=0)
    with (run / "calibration" / "scores.csv").open(newline="") as lines:
        table = list(csv.DictReader(lines))
    assert [int(row["row"]) for row in table] == rows.tolist()
    assert {row["label"] for row in table} == {"0"}
    levels = np.load(run / "calibration" / "tissue_levels.npy")
    tissue = tissue_masks(heads.select(rows).pictures(slice(None)), heads.index.body_fraction[rows])
    np.testing.assert_array_equal(levels.sum(axis=1), tissue.sum(axis=(1, 2)))
    assert not (run / "calibration" / "maps.npy").exists()
    report = evaluate(run, resamples=100)
    point = report["operating_point"]
    assert point["calibration"]["slices"] == len(rows)
    patients = len(set(heads.index.patient[rows]))
    assert point["slice"]["bound"] == 1 / (patients + 1) > point["slice"]["bound_asked"]
    assert point["slice"]["threshold"] == max(float(row["score"]) for row in table)
    assert report["pixel"]["map"]["at_threshold"]["healthy_tissue_flagged"]["value"] < 0.5
    assert "calibration/scores.csv" in report["provenance"]["hashes"]


def test_the_threshold_may_be_left_out(run: Path, tmp_path: Path) -> None:
    copy = tmp_path / "run"
    shutil.copytree(run, copy, ignore=shutil.ignore_patterns("findings", "calibration", "report"))
    score(copy, calibration=False)
    assert not (copy / "calibration").exists()
    report = evaluate(copy, resamples=100)
    assert "the validation split was not scored; run `anomae score run` again" in report["operating_point"]["sentence"]
    assert report["pixel"]["map"]["at_threshold"] is None
    assert "No threshold for maps" in report["pixel"]["note"]


def test_scoring_again_gives_the_same_bytes(run: Path, heads: SliceStore) -> None:
    before = (run / "findings" / "scores.csv").read_bytes()
    score(run)
    assert (run / "findings" / "scores.csv").read_bytes() == before


@pytest.mark.parametrize("at_once", [1, 3])
def test_a_stopped_scoring_goes_on(
    run: Path, heads: SliceStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    """Whether one block is looked at at a time or several, of which the later ones are done first."""
    whole = {name: (run / "findings" / name).read_bytes() for name in ("scores.csv", "maps.npy", "reconstructions.npy")}
    copy = tmp_path / "run"
    shutil.copytree(run, copy, ignore=shutil.ignore_patterns("findings"))
    monkeypatch.setattr(rows_scored, "BLOCK", 8)
    rows = heads.rows("test")
    firsts = [heads.select(rows[start : start + 1]).read(slice(None)) for start in range(0, len(rows), 8)]
    assert len(firsts) > 4
    one, fourth, stops, inspected = threading.Lock(), threading.Event(), True, []

    class Stopped(Exception):
        pass

    def loaded(*arguments: object) -> object:
        detector = real(*arguments)

        class Counting:
            name, map_name = detector.name, detector.map_name

            def inspect(self, images: np.ndarray) -> Findings:
                block = next(number for number, first in enumerate(firsts) if np.array_equal(first, images[:1]))
                if stops and block == 2:
                    raise Stopped
                if at_once > 1 and block == 3:
                    assert fourth.wait(60)
                with one:
                    inspected.append(block)
                    found = detector.inspect(images)
                if block == 4:
                    fourth.set()
                return found

        Counting.at_once = at_once
        return Counting()

    real = stage.load_detector
    monkeypatch.setattr(stage, "load_detector", loaded)
    with pytest.raises(Stopped):
        score(copy, calibration=False)
    assert not (copy / "findings" / "findings.json").exists()
    assert read_json_lines(copy / "findings" / "journal.jsonl")[-1]["rows"] == 16
    stops, inspected[:] = False, []
    fourth.clear()
    score(copy, calibration=False)
    assert sorted(inspected) == list(range(2, len(firsts)))  # nothing twice
    assert (inspected == sorted(inspected)) == (at_once == 1)
    assert {name: (copy / "findings" / name).read_bytes() for name in whole} == whole


def test_a_scoring_that_was_stopped_begins_anew_in_another_precision(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy, real = tmp_path / "run", rows_scored.GrowingFindings.append
    shutil.copytree(run, copy, ignore=shutil.ignore_patterns("findings"))
    monkeypatch.setattr(rows_scored, "BLOCK", 8)

    def append(found: rows_scored.GrowingFindings, *arguments: object) -> None:
        if found.rows == 16:
            raise KeyboardInterrupt
        real(found, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(rows_scored.GrowingFindings, "append", append)
    with pytest.raises(KeyboardInterrupt):
        score(copy, device=DeviceSettings(accelerator="cpu", precision="bf16"), calibration=False)
    assert read_json_lines(copy / "findings" / "journal.jsonl")[-1]["rows"] == 16
    monkeypatch.setattr(rows_scored.GrowingFindings, "append", real)
    score(copy, calibration=False)
    for name in ("scores.csv", "maps.npy"):
        assert (copy / "findings" / name).read_bytes() == (run / "findings" / name).read_bytes()


def test_a_threshold_of_another_precision_is_doubted(run: Path, tmp_path: Path) -> None:
    shutil.copytree(run, tmp_path / "run")
    said = "and the tested slices on cpu bf16"
    assert not any(said in doubt for doubt in evaluate(tmp_path / "run", resamples=20)["operating_point"]["doubts"])
    score(tmp_path / "run", device=DeviceSettings(accelerator="cpu", precision="bf16"), calibration=False)
    assert any(said in doubt for doubt in evaluate(tmp_path / "run", resamples=20)["operating_point"]["doubts"])


@pytest.mark.parametrize("block", [3, 256])
def test_a_detector_that_needs_neighbours_gets_them_across_blocks(
    run: Path, heads: SliceStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: int
) -> None:
    """Of the test split, whatever their label; in the calibration healthy ones alone, as those that are scored."""

    class Beside:
        needs_neighbours = True
        name, map_name, trained_families = "beside", "", ()

        def inspect(self, images: np.ndarray, neighbours: np.ndarray) -> Findings:
            return Findings((neighbours[:, 1] - 2 * neighbours[:, 0]).mean(axis=(1, 2, 3), dtype=np.float64))

        def pretext(self, images: np.ndarray, neighbours: np.ndarray) -> dict[str, np.ndarray]:
            return {"same": self.inspect(images, neighbours).scores}

    copy = tmp_path / "run"
    shutil.copytree(run, copy, ignore=shutil.ignore_patterns("findings", "calibration"))
    monkeypatch.setattr(rows_scored, "BLOCK", block)
    monkeypatch.setattr(stage, "load_detector", lambda *_: Beside())
    score(copy)
    index = heads.index
    for shown, name in (
        (heads.rows("test"), "findings/scores.csv"),
        (heads.rows("validation", label=0), "calibration/scores.csv"),
    ):
        rows = {(index.case[row], index.slice[row]): row for row in shown}
        table = read_table(copy / name, ("row", "score"))
        for row, found in zip(table.whole_numbers("row"), table.numbers("score"), strict=True):
            below, above = (rows.get((index.case[row], index.slice[row] + step), row) for step in (-1, 1))
            image = heads.images[above].astype(np.float32) - 2 * heads.images[below].astype(np.float32)
            assert found == pytest.approx(image.mean(dtype=np.float64), abs=1e-6)
    pretext = read_table(copy / "calibration" / "pretext.csv", ("unaltered", "same"))
    assert np.array_equal(pretext.numbers("unaltered"), pretext.numbers("same"))


def test_maps_may_be_left_out_and_other_parts_scored(run: Path, heads: SliceStore, tmp_path: Path) -> None:
    copy = tmp_path / "run"
    shutil.copytree(run, copy, ignore=shutil.ignore_patterns("findings"))
    score(copy, split="validation", maps=False)
    assert not (copy / "findings" / "maps.npy").exists()
    assert read_json(copy / "findings" / "findings.json")["images"] == len(heads.rows("validation"))


def test_a_run_that_cannot_be_scored_says_why(run: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="not fitted yet"):
        score(tmp_path)
    with pytest.raises(UserError, match="--store"):
        score(run, store=tmp_path / "gone")
    with pytest.raises(UserError, match="no slice in its elsewhere split"):
        score(run, split="elsewhere")

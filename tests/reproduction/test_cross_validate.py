"""Cross-validation: pooled figures by hand, baselines as they are, nothing done twice, failures shown with reasons."""

import csv
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from anomae.errors import UserError
from anomae.files import read_json
from anomae.reproduction import planned_run
from anomae.reproduction.cross_validation_page import sentences, tables
from anomae.reproduction.cross_validation_page import title as title_of
from anomae.reproduction.run_all import reproduce
from anomae.slices.store import SliceStore

FOLDS = 2
DETECTORS = ("pca",)


def run(out: Path, detectors: tuple[str, ...] = DETECTORS, **changed: Any) -> dict[str, Any]:
    given = {"folds": FOLDS, "scale": "tiny", "seed": 1, "resamples": 100, "estimate": False}
    return reproduce("phantom", "heads:6", out, detectors=detectors, **{**given, **changed})  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    out = tmp_path_factory.mktemp("cross-validation")
    return out, run(out, seeds=(3, 4))


def read(path: Path, column: str) -> tuple[list[int], np.ndarray, np.ndarray]:
    with path.open(newline="") as handle:
        lines = list(csv.DictReader(handle))
    rows, labels = [int(line["row"]) for line in lines], np.array([int(line["label"]) for line in lines])
    return rows, labels, np.array([float(line[column]) for line in lines])


def by_hand(out: Path, name: str, column: str) -> tuple[list[int], np.ndarray, np.ndarray]:
    """Rows, labels and standardised scores of all folds."""
    rows, labels, scores = [], [], []
    for fold in range(1, FOLDS + 1):
        place = out / "folds" / f"fold{fold}" / "runs" / name
        own, truth, values = read(place / "findings" / "scores.csv", column)
        _, normal, healthy = read(place / "calibration" / "scores.csv", column)
        assert not normal.any()
        rows += own
        labels.append(truth)
        scores.append((values - np.mean(healthy)) / np.std(healthy))
    order = np.argsort(rows)
    return sorted(rows), np.concatenate(labels)[order], np.concatenate(scores)[order]


@pytest.mark.parametrize("column", ["score", "score_neighbours"])
@pytest.mark.parametrize("name", [f"{detector}-seed{seed}" for detector in DETECTORS for seed in (3, 4)])
def test_pooled_figures_are_those_by_hand(made: tuple[Path, dict[str, Any]], name: str, column: str) -> None:
    out, content = made
    rows, labels, scores = by_hand(out, name, column)
    index = SliceStore(out / "store").index
    assert rows == list(range(len(index)))
    np.testing.assert_array_equal(labels, index.label)
    figures = content["runs"][name]["scores"][column]
    assert figures["pooled"]["all"]["auroc"]["value"] == pytest.approx(roc_auc_score(labels, scores))
    own = [read(out / "folds" / f"fold{k}" / "runs" / name / "findings" / "scores.csv", column) for k in (1, 2)]
    values = [roc_auc_score(truth, raw) for _, truth, raw in own]
    assert figures["folds"]["all"]["values"] == pytest.approx(values)
    assert figures["folds"]["all"]["mean"] == pytest.approx(np.mean(values))
    found = [figures["folds"]["all"][end] for end in ("min", "max")]
    assert found == pytest.approx([min(values), max(values)])


def test_baselines_are_pooled_as_they_are(made: tuple[Path, dict[str, Any]]) -> None:
    out, content = made
    store = SliceStore(out / "store")
    images = store.select(np.arange(len(store.index))).pictures(slice(None)).astype(np.float64)
    for name, score in (("mean", images.mean(axis=(1, 2))), ("maximum", images.max(axis=(1, 2)))):
        expected = roc_auc_score(store.index.label, score)
        assert content["trivial_baselines"][name]["strata"]["all"]["value"] == pytest.approx(expected)
        figures = content["runs"]["pca-seed3"]["scores"]["score"]["pooled"]["all"]
        difference = figures["differences"][name]
        assert difference["value"] == pytest.approx(figures["auroc"]["value"] - expected)
        assert (difference["low"], difference["high"]) == (None, None)  # too few patients for an interval
    assert {"brightest_spot_9", "position_rarity", "body_fraction"} <= set(content["trivial_baselines"])
    assert content["counts"]["all"]["patients"] == 6
    assert set(content["counts"]) == {"all", "mid", "position"}


def test_seeds_are_averaged(made: tuple[Path, dict[str, Any]]) -> None:
    out, content = made
    splits = [by_hand(out, f"pca-seed{seed}", "score") for seed in (3, 4)]
    summary = content["seeds"]["pca"]["scores"]["score"]
    expected = roc_auc_score(splits[0][1], (splits[0][2] + splits[1][2]) / 2)
    assert summary["ensemble"]["all"]["auroc"]["value"] == pytest.approx(expected)
    values = [roc_auc_score(labels, scores) for _, labels, scores in splits]
    assert summary["seeds"]["all"]["values"] == pytest.approx(values)
    seeds = [read_json(out / "folds" / "fold1" / "runs" / f"pca-seed{seed}" / "run.json")["seed"] for seed in (3, 4)]
    assert seeds == [3, 4]


def test_a_cross_validation_that_was_moved_goes_on(made: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    out, content = made
    moved = tmp_path / "moved"
    shutil.copytree(out, moved)
    shutil.move(out, tmp_path / "away")
    try:
        shutil.rmtree(moved / "folds" / "fold1" / "runs" / "pca-seed3" / "findings")
        shutil.rmtree(moved / "folds" / "fold2" / "runs" / "pca-seed3" / "report")
        again = run(moved, seeds=(3, 4))
    finally:
        shutil.move(tmp_path / "away", out)
    assert again["failed"] == {}
    assert again["seeds"] == content["seeds"]


def test_each_fold_was_fitted_on_its_own_store(made: tuple[Path, dict[str, Any]]) -> None:
    out, content = made
    prints = [read_json(out / "folds" / f"fold{k}" / "runs" / "pca-seed3" / "run.json") for k in (1, 2)]
    assert [facts["store_fingerprint"] for facts in prints] == [split["fingerprint"] for split in content["split"]]
    assert len({facts["store_fingerprint"] for facts in prints}) == FOLDS
    for k in (1, 2):
        report = read_json(out / "folds" / f"fold{k}" / "runs" / "pca-seed3" / "report" / "report.json")
        assert report["audit"]["patients_in_several_splits"] == 0
        assert set(report["counts"]) == {"train", "validation", "test", "scored"}


def test_the_page_says_what_was_found(made: tuple[Path, dict[str, Any]]) -> None:
    out, content = made
    assert read_json(out / "cross_validation.json") == content
    text = (out / "cross_validation.md").read_text(encoding="utf-8")
    value = content["runs"]["pca-seed3"]["scores"]["score"]["pooled"]["all"]["auroc"]["value"]
    assert f"| pca-seed3 | {value:.3f} " in text
    assert "pca: mean over 2 seeds (range)" in text
    assert "brightest spot (9 of 128)" in text
    page = (out / "cross_validation.html").read_text(encoding="utf-8")
    for table in ("pooled", "clear", "differences_all", "differences_mid", "differences_position"):
        assert f'<table id="{table}">' in page
    for table in tables(content):
        assert {len(row) for row in table["rows"]} == {len(table["heads"])}
    assert "6 patients" in " ".join(sentences(content))
    assert content["preparation"] == "plain"
    for shown in (text, page):
        assert "32x32 pixels, preparation plain, recipe phantom, seed 1." in shown
        assert "No label was used to choose anything." in shown


def test_what_is_clear_of_zero_is_said(made: tuple[Path, dict[str, Any]]) -> None:
    _, content = made
    table = next(table for table in tables(content) if table["name"] == "clear")
    titles = {trivial_baseline["title"]: name for name, trivial_baseline in content["trivial_baselines"].items()}
    for row, (name, entry) in zip(table["rows"][::2], content["runs"].items(), strict=False):
        assert row[0] == name
        differences = entry["scores"]["score"]["pooled"]["all"]["differences"]
        above, _, below = row[1].partition("below")
        for title, trivial_baseline in titles.items():
            if "every one" not in row[1] and title != "slice position":  # which is the beginning of another title
                assert (title in above) == ((differences[trivial_baseline]["low"] or 0) > 0)
                assert (title in below) == ((differences[trivial_baseline]["high"] or 0) < 0)


def test_nothing_is_done_twice(made: tuple[Path, dict[str, Any]]) -> None:
    out, content = made
    before = {path: path.stat().st_mtime_ns for split in ("store", "folds") for path in (out / split).rglob("*")}
    assert run(out, seeds=(3, 4)) == content
    after = {path: path.stat().st_mtime_ns for split in ("store", "folds") for path in (out / split).rglob("*")}
    assert after == before


def test_a_run_that_fails_on_a_fold_is_shown_and_tried_again(
    made: tuple[Path, dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    out, _ = made
    whole = planned_run.fit

    def fit(store: Path, place: Path, **options: Any) -> Path:
        if "fold2" in str(place):
            raise FloatingPointError("a number too large")
        return whole(store, place, **options)

    monkeypatch.setattr(planned_run, "fit", fit)
    content = run(out, ("pixel-gaussian", "pca"))
    assert content["failed"]["pixel-gaussian"] == {"2": "FloatingPointError: a number too large"}
    assert content["runs"]["pixel-gaussian"]["scores"] == {}
    assert content["runs"]["pixel-gaussian"]["finished"] == 1
    assert "failed: fold 2: FloatingPointError: a number too large" in (out / "cross_validation.md").read_text()
    monkeypatch.setattr(planned_run, "fit", whole)
    content = run(out, ("pixel-gaussian",))
    assert content["failed"] == {}
    assert content["runs"]["pixel-gaussian"]["scores"]["score"]["pooled"]["all"]["auroc"]["value"] > 0


def test_a_run_that_was_finished_with_other_settings_is_not_shown_for_this_one(
    made: tuple[Path, dict[str, Any]],
) -> None:
    out, _ = made
    content = run(out, ("one-line",), overrides={"one-line": {"measure": "maximum"}})
    again = run(out, ("one-line",), overrides={"one-line": {"measure": "mean"}})
    assert "other measure" in again["failed"]["one-line"]["1"]
    assert again["runs"]["one-line"]["scores"] == {}  # and not those of the other measure
    assert content["overrides"] == {"one-line": {"measure": "maximum"}}


def test_variants_of_a_detector_have_folders_and_rows_of_their_own(made: tuple[Path, dict[str, Any]]) -> None:
    out, _ = made
    content = run(out, ("pixel-gaussian", "one-line measure=mean", "one-line measure=maximum"))
    assert list(content["runs"]) == ["pixel-gaussian", "one-line+measure=mean", "one-line+measure=maximum"]
    titles = ["pixel-gaussian", "one-line measure=mean", "one-line measure=maximum"]
    assert [entry["title"] for entry in content["runs"].values()] == titles
    for measure in ("mean", "maximum"):
        name = f"one-line+measure={measure}"
        assert content["runs"][name]["settings"] == {"measure": measure}
        for fold in ("fold1", "fold2"):
            assert read_json(out / "folds" / fold / "runs" / name / "run.json")["settings"]["measure"] == measure
    values = [entry["scores"]["score"]["pooled"]["all"]["auroc"]["value"] for entry in content["runs"].values()]
    assert len(set(values)) == 3
    for table in tables(content):
        if table["name"] in ("pooled", "clear"):
            assert set(titles) <= {row[0] for row in table["rows"]}


def test_several_devices_are_refused_before_anything_is_fitted(tmp_path: Path) -> None:
    """Each would begin the whole command anew, in a folder that the first holds; with folds and without."""
    for name, value in (("device.devices", 2), ("device.nodes", 3)):
        for folds in (FOLDS, None):
            with pytest.raises(UserError, match=rf"fits on one device, not with mae\.{name}={value}: leave that out"):
                run(tmp_path / str(folds), ("pca", "mae"), folds=folds, overrides={"mae": {name: value}}, estimate=True)
    assert not [*tmp_path.rglob("run.json"), *tmp_path.rglob("reproduction.json")]


def test_too_few_patients_and_lists_are_refused(made: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    with pytest.raises(UserError, match="6 patients are too few for 4 folds: 8 are needed"):
        run(made[0], folds=4)
    with pytest.raises(UserError, match="leave the released lists"):
        run(tmp_path / "out", splits=tmp_path)
    with pytest.raises(UserError, match="not both"):
        run(tmp_path / "out", only=("table1",))
    assert not (tmp_path / "out").exists()


def test_the_unit_of_a_cross_validation_is_said_truly(made: tuple[Path, dict[str, Any]]) -> None:
    _, content = made
    assert (content["unit"], content["doubt"]) == ("patient", "")
    doubt = "Patients unknown: each file counted as one; leakage cannot be excluded."
    unknown = {**content, "unit": "file", "doubt": doubt}
    for given, unit, other in ((content, "patient", "file"), (unknown, "file", "patient")):
        said = [title_of(given), *sentences(given), *(table["title"] for table in tables(given)[:1])]
        text = " ".join(said).replace(doubt, "")
        assert f"cross-validation by {unit}," in text
        assert f"Every {unit} is tested once" in text
        assert f"pooled over all {unit}s" in text
        assert other not in text.lower()
    assert doubt in sentences(unknown)

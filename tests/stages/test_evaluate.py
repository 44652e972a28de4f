"""The stage `evaluate` on a made-up store and run, and on anyone's tables of scores."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from anomae.errors import UserError
from anomae.files import append_json_line, read_json, write_csv, write_json
from anomae.reports.plots import baselines_plot
from anomae.runs.scored_store import relative_positions_of
from anomae.runs.tissue import tissue_of
from anomae.slices.index import COLUMNS
from anomae.slices.store import FORMAT, SliceStore
from anomae.stages.evaluate import evaluate, evaluate_scores
from anomae.statistics.metrics import auroc
from anomae.volumes.volume import Grid

DEPTH, SIDE, PATIENTS = 12, 24, 15
MAP_NAME = "absolute residual, prepared intensity"
SENTENCE = "The last checkpoint was taken; training and this choice saw no abnormal image."


def made_up_run(
    folder: Path, *, abnormal: bool = True, leak: bool = False, lesions: bool = True, stacks: bool = True
) -> Path:
    """STORE: heads with bright discs mid-scan, 5 patients a split.  RUN: scored by brightness; all files by hand."""
    rng = np.random.default_rng(0)
    store, run = folder / "store", folder / "run"
    images, masks, rows = [], [], []
    y, x = np.mgrid[:SIDE, :SIDE]
    for patient in range(PATIENTS):
        split = ("train", "validation", "test")[patient // 5]
        name = f"patient{0 if leak and patient == 10 else patient}"
        for number in range(DEPTH):
            radius = 11 * np.sin(np.pi * number / (DEPTH - 1)).round(6)
            head = ((y - 12) ** 2 + (x - 12) ** 2 < radius**2).astype(np.float32) * 0.5
            sick = abnormal and split != "train" and patient % 5 != 0 and 4 <= number <= 7
            mask = ((y - 10) ** 2 + (x - 9) ** 2 < 9) & sick
            image = head * rng.uniform(0.9, 1.1, head.shape) + 0.4 * mask
            images.append(image)
            masks.append(mask)
            body = float((head > 0).mean())
            rows.append(
                [
                    len(rows),
                    f"case{patient}",
                    name,
                    number,
                    f"{number:.3f}",
                    split,
                    int(sick),
                    int(body == 0),
                    f"{body:.4f}",
                    "",
                    f"{mask.mean():.4f}" if lesions else "",
                    "",
                    number,
                    "",
                    "",
                ]
            )
    stack, truth = np.array(images, dtype=np.float16), np.array(masks)
    store.mkdir(parents=True)
    np.save(store / "slices.npy", stack[:, None])
    if lesions:
        np.save(store / "lesions.npy", np.packbits(truth, axis=-1))
    write_csv(store / "index.csv", COLUMNS, rows)
    grid = Grid((DEPTH, SIDE, SIDE)).to_json() if stacks else None
    write_json(store / "cases.json", {f"case{k}": {"source": "x", "grid": grid} for k in range(PATIENTS)})
    write_json(
        store / "prepare.json",
        {
            "fingerprint": "f00d",
            "format": FORMAT,
            "cohort": "lgg",
            "settings": {"image_size": SIDE},
            "split": {"seed": 0, "test": 0.4},
            "allow_leak": leak,
            "skipped": ["case99: broken"],
        },
    )
    test = np.array([row[0] for row in rows if row[5] == "test"])
    healthy = np.minimum(stack[test], 0.55)
    maps = np.abs(stack[test] - healthy)
    score = maps.astype(np.float64).max(axis=(1, 2))
    (run / "findings").mkdir(parents=True)
    np.save(run / "findings" / "maps.npy", maps)
    np.save(run / "findings" / "reconstructions.npy", healthy[:, None])
    write_csv(
        run / "findings" / "scores.csv",
        ("row", "case", "patient", "slice", "position_mm", "label", "score", "score_mae"),
        [
            [*rows[row][:5], rows[row][6], repr(float(one)), repr(float(two.mean()))]
            for row, one, two in zip(test, score, maps, strict=True)
        ],
    )
    write_json(
        run / "findings" / "findings.json",
        {
            "detector": "mae-classifier",
            "split": "test",
            "images": len(test),
            "seconds": 2.0,
            "images_per_s": 30.0,
            "peak_memory_mb": 321.4,
            "map_name": MAP_NAME,
        },
    )
    write_json(
        run / "run.json",
        {
            "store": str(store),
            "store_fingerprint": "f00d",
            "detector": "mae-classifier",
            "recipe": "lgg",
            "profile": "paper",
            "seed": 7,
            "settings": {"autoencoder": {"width": 96}},
            "versions": {"numpy": "2"},
            "checkpoint_choice": SENTENCE,
        },
    )
    for step in range(1, 30):
        for stage in ("autoencoder", "classifier"):
            line = {"stage": stage, "step": step, "steps": 29, "loss": 1 / step, "seconds": step * 1.0}
            append_json_line(run / "journal.jsonl", line)
    (run / "samples").mkdir()
    some = stack[:4].astype(np.float32)
    np.savez(run / "samples" / "pseudo_abnormal.npz", images=some, reconstructions=some, pseudo_abnormal=some * 0.5)
    return run


class Page(HTMLParser):
    """What a reader's browser would load, run or show."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.tags: list[str] = []
        self.words = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [str(value) for name, value in attrs if name in ("src", "href", "srcset", "data")]

    def handle_data(self, data: str) -> None:
        self.words += data


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    run = made_up_run(tmp_path_factory.mktemp("made-up"))
    return run, evaluate(run, resamples=200)


def test_report_json_holds_what_the_docs_say(evaluated):
    run, report = evaluated
    assert report == read_json(run / "report" / "report.json")
    for figures in (
        report["slice"]["auroc"],
        report["slice"]["average_precision"],
        *report["trivial_baselines"].values(),
    ):
        assert (figures["low"], figures["high"]) == (None, None)  # fewer than five made-up patients have a lesion
    assert "too few patients with abnormal slices" in report["verdict"]
    assert report["counts"]["test"] == {
        "normal": 44,
        "abnormal": 16,
        "unknown": 0,
        "empty": 10,
        "cases": 5,
        "patients": 5,
    }
    assert report["counts"]["scored"]["slices"] == 60
    assert {"position_rarity", "position_centre", "body_fraction", "mean", "brightest_spot_9"} <= set(
        report["trivial_baselines"]
    )
    assert {"verdict", "strata", "scores", "patient", "pixel", "definitions", "schema_version", "provenance"} <= set(
        report
    )
    assert set(report["scores"]) == {"score", "score_mae"}
    assert set(report["strata"]) == {"all", "without_empty", "mid"}
    assert report["patient"]["normal"] == 1
    assert report["provenance"]["checkpoint_choice"] == SENTENCE
    assert report["provenance"]["patients_in_several_splits"] == 0


def test_the_auroc_is_that_of_the_table(evaluated):
    run, report = evaluated
    lines = [line.split(",") for line in (run / "findings" / "scores.csv").read_text().splitlines()[1:]]
    labels, scores = [int(line[5]) for line in lines], [float(line[6]) for line in lines]
    assert report["slice"]["auroc"]["value"] == pytest.approx(auroc(labels, scores))


def test_pixels_are_evaluated_beside_the_image_itself(evaluated):
    _, report = evaluated
    assert report["pixel"]["slices"] == 60
    assert report["pixel"]["map_name"] == MAP_NAME
    assert 0.9 < report["pixel"]["map"]["auroc"]["value"] <= 1
    assert 0 < report["pixel"]["map"]["best_dice"]["value"] <= 1
    assert report["pixel"]["image_intensity"]["auroc"]["value"] > 0.5


def test_the_page_needs_nothing_else(evaluated):
    run, report = evaluated
    text = (run / "report" / "report.html").read_text(encoding="utf-8")
    page = Page(text)
    assert "script" not in page.tags
    assert "link" not in page.tags
    assert page.addresses
    assert all(address.startswith("data:image/") for address in page.addresses)
    assert not re.search(r"url\(|@import|https?://", text)
    assert report["verdict"] in page.words
    for words in (
        SENTENCE,
        "Not a medical device",
        "Highest-scored normal slices",
        "What the classifier learned from",
        "autoencoder.width",
        "1 scan(s) could not be read",
        "30.0 images/s",
        "slice position",
        MAP_NAME,
    ):
        assert words in page.words, words
    assert page.tags.count("svg") == 0
    drawn = {path.stem for path in (run / "report" / "plots").glob("*.svg")}
    assert drawn == {"loss", "baselines", "roc", "precision_recall", "histogram", "position", "bands"}


def test_no_name_of_a_patient_stands_in_the_page(evaluated):
    run, _ = evaluated
    page = Page((run / "report" / "report.html").read_text(encoding="utf-8"))
    assert not re.search(r"patient\d|case\d", page.words)


def test_the_same_again_is_the_same(evaluated):
    run, _ = evaluated
    before = {path.name: path.read_bytes() for path in (run / "report").rglob("*") if path.is_file()}
    evaluate(run, resamples=200)
    assert before == {path.name: path.read_bytes() for path in (run / "report").rglob("*") if path.is_file()}


def test_a_leak_is_said_at_the_top(tmp_path):
    run = made_up_run(tmp_path, leak=True)
    report = evaluate(run, resamples=50)
    assert report["provenance"]["patients_in_several_splits"] == 1
    assert "are in more than one split (allowed with --allow-leak)" in report["warnings"][0]
    text = (run / "report" / "report.html").read_text(encoding="utf-8")
    assert text.index('class="warning"') < text.index("<h2>")
    assert "No patient is in several splits" not in text


def test_where_no_patient_is_known_nothing_is_claimed_of_patients(tmp_path):
    run = made_up_run(tmp_path)
    path = tmp_path / "store" / "prepare.json"
    told = {"unknown": {"scans": PATIENTS, "patients": PATIENTS}}
    write_json(path, {**read_json(path), "allow_leak": False, "patients_told": told})
    report = evaluate(run, resamples=50)
    doubt = "Patients unknown: each file counted as one; leakage cannot be excluded."
    assert report["warnings"][0] == doubt
    assert report["provenance"]["unit"] == "file"
    assert doubt in report["provenance"]["split_sentences"]
    assert report["audit"]["patients_in_several_splits"] is None
    assert "whole files" in report["definitions"]["interval"]
    text = (run / "report" / "report.html").read_text(encoding="utf-8")
    assert "is in several splits" not in text
    assert "resamples of whole files (no patient is known: each file counts as one)" in text
    assert "whole patients" not in text
    assert "interval over files" in baselines_plot([("score", None, "score")], report["provenance"]["unit"])


def test_one_class_still_makes_a_report(tmp_path):
    run = made_up_run(tmp_path, abnormal=False)
    report = evaluate(run, resamples=50)
    assert report["slice"]["auroc"] is None
    assert report["verdict"].startswith("The tested slices hold no abnormal one")
    assert report["counts"]["scored"]["normal"] == 60
    assert "Highest-scored normal slices" in (run / "report" / "report.html").read_text(encoding="utf-8")


def test_no_label_known(tmp_path):
    run = made_up_run(tmp_path)
    for path, label in ((tmp_path / "store" / "index.csv", 6), (run / "findings" / "scores.csv", 5)):
        header, *lines = path.read_text().splitlines()
        blanked = [",".join("" if k == label else field for k, field in enumerate(line.split(","))) for line in lines]
        path.write_text("\n".join([header, *blanked]) + "\n")
    report = evaluate(run, resamples=50)
    assert report["verdict"] == "No test slice has a known label, so no AUROC can be given."
    assert "60 scored slices have no known label" in " ".join(report["warnings"])


def test_without_maps_masks_samples_and_journal(tmp_path):
    run = made_up_run(tmp_path, lesions=False, stacks=False)
    for name in ("findings/maps.npy", "findings/reconstructions.npy", "samples/pseudo_abnormal.npz", "journal.jsonl"):
        (run / name).unlink()
    report = evaluate(run, resamples=50)
    assert report["pixel"] is None
    assert (
        "position_rarity" not in report["trivial_baselines"]
    )  # numbers of pictures and patches are no positions in a scan
    assert set(report["strata"]) == {"all", "without_empty"}


def test_positions_in_the_scan_come_from_its_grid_not_from_what_was_kept(tmp_path):
    made_up_run(tmp_path)
    cases = read_json(tmp_path / "store" / "cases.json")
    sagittal = (0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0, -1.0, 0.0)  # x grows backwards, y downwards, z to the left
    cases["case0"]["grid"] = Grid((30, 23, 40), direction=sagittal).to_json()
    cases["case1"]["grid"] = None
    write_json(tmp_path / "store" / "cases.json", cases)
    relative, depth = relative_positions_of(SliceStore(tmp_path / "store"))
    np.testing.assert_allclose(relative[:DEPTH], np.arange(DEPTH) / 22)
    assert np.isnan(relative[DEPTH : 2 * DEPTH]).all()
    np.testing.assert_allclose(relative[2 * DEPTH : 3 * DEPTH], np.arange(DEPTH) / 11)
    assert depth == DEPTH


def test_brats_slices_without_a_grid_are_still_stacks(tmp_path):
    run = made_up_run(tmp_path, stacks=False)
    prepared = read_json(tmp_path / "store" / "prepare.json")
    write_json(tmp_path / "store" / "prepare.json", {**prepared, "order": "numbers"})
    assert "position_rarity" in evaluate(run, resamples=50)["trivial_baselines"]


def test_slices_without_a_score_are_said(tmp_path):
    run = made_up_run(tmp_path)
    path = run / "findings" / "scores.csv"
    path.write_text("\n".join(path.read_text().splitlines()[:-3]) + "\n")
    for name in ("maps.npy", "reconstructions.npy"):
        (run / "findings" / name).unlink()
    assert "3 slices of the test split have no score" in evaluate(run, resamples=50)["warnings"][0]


def changed(path: Path, line: int, field: int, value: str) -> None:
    lines = [entry.split(",") for entry in path.read_text().splitlines()]
    lines[line][field] = value
    path.write_text("\n".join(",".join(entry) for entry in lines) + "\n")


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        (0, "999", "rows that .* does not have"),
        (0, "-1", "rows that .* does not have"),
        (0, "121", "row twice"),
        (0, "3", "the case is not that"),
        (1, "other", "the case is not that"),
        (2, "other", "the patient is not that"),
        (3, "8", "the slice is not that"),
        (5, "1", "the label is not that"),
        (6, "nan", "not a finite number"),
        (6, "", "not a number"),
    ],
)
def test_scores_of_other_slices_are_refused(tmp_path, field, value, words):
    run = made_up_run(tmp_path)
    changed(run / "findings" / "scores.csv", 1, field, value)
    with pytest.raises(UserError, match=words):
        evaluate(run, resamples=50)


def test_arrays_of_another_shape_are_refused(tmp_path):
    run = made_up_run(tmp_path)
    np.save(run / "findings" / "maps.npy", np.zeros((3, SIDE, SIDE), dtype=np.float16))
    with pytest.raises(UserError, match=r"maps\.npy has shape"):
        evaluate(run, resamples=50)


def test_unscored_runs_and_other_stores_are_refused(tmp_path):
    run = made_up_run(tmp_path)
    (run / "findings" / "findings.json").rename(tmp_path / "findings.json")
    with pytest.raises(UserError, match="anomae score"):
        evaluate(run)
    with pytest.raises(UserError, match=r"no run\.json"):
        evaluate(tmp_path)
    (tmp_path / "findings.json").rename(run / "findings" / "findings.json")
    prepared = read_json(tmp_path / "store" / "prepare.json")
    write_json(tmp_path / "store" / "prepare.json", {**prepared, "fingerprint": "other"})
    with pytest.raises(UserError, match="other slices"):
        evaluate(run)


def test_a_moved_store_is_named(tmp_path):
    run = made_up_run(tmp_path)
    (tmp_path / "store").rename(tmp_path / "elsewhere")
    with pytest.raises(UserError, match="--store"):
        evaluate(run)
    assert evaluate(run, store=tmp_path / "elsewhere", resamples=50)["slice"]["auroc"]["value"] > 0.5


def anyones_tables(folder: Path, patient: bool = True, by_slice: bool = True, split: bool = True) -> tuple[Path, Path]:
    rng = np.random.default_rng(0)
    scores, labels = [], []
    for case in range(40):
        for number in range(10 if by_slice else 1):
            label = int(abs(number - 5 - case % 3) < 3) if by_slice else case % 2
            key = [f"scan{case}", *([number] if by_slice else [])]
            who = [f"p{case // 2}"] if patient else []
            side = ["train" if case < 20 else "test"] if split else []
            labels.append([*key, *who, *side, label if not split or case >= 20 else 0])
            if not split or case >= 20:
                scores.append([*key, rng.normal() + label])
    key = ["case", *(["slice"] if by_slice else [])]
    write_csv(folder / "scores.csv", [*key, "score"], scores)
    write_csv(folder / "labels.csv", [*key, *["patient"] * patient, *["split"] * split, "label"], labels)
    return folder / "scores.csv", folder / "labels.csv"


def test_anyones_scores(tmp_path):
    report = evaluate_scores(*anyones_tables(tmp_path), tmp_path / "out", resamples=100)
    assert report["counts"]["scored"] == {
        "slices": 200,
        "normal": 100,
        "abnormal": 100,
        "patients": 10,
        "patients_with_abnormal": 10,
        "cases": 20,
    }
    assert {"position_rarity", "position_centre"} <= set(report["trivial_baselines"])
    assert report["provenance"]["unit"] == "patient"
    assert "position-matched AUROC" in report["verdict"]
    assert (tmp_path / "out" / "report.html").exists()
    assert any("only scores were given" in note for note in report["notes"])


def test_what_cannot_be_audited_is_said(tmp_path):
    tables = anyones_tables(tmp_path, patient=False, by_slice=False, split=False)
    report = evaluate_scores(*tables, tmp_path / "out", resamples=100)
    notes = " ".join(report["notes"])
    for words in ("no column slice", "patients, since none is named", "no column split", "brightness"):
        assert words in notes
    assert report["trivial_baselines"] == {}
    assert "no trivial baseline could be computed" in report["verdict"]
    assert report["provenance"]["unit"] == "case"


@pytest.mark.parametrize("where", ["both", "labels", "scores"])
def test_positions_of_cases_of_one_slice_are_those_of_their_patients(tmp_path, where):
    """Slice position explains everything, and each case is one slice of a patient."""
    labels, scores = [], []
    for patient in range(12):
        for number in range(20):
            label = int(7 <= number <= 12)
            labels.append([f"p{patient}-{number}", f"p{patient}", label, number])
            scores.append([f"p{patient}-{number}", -abs(number - 9.5), number])
    columns = {"both": (4, 3), "labels": (4, 2), "scores": (3, 3)}[where]
    write_csv(
        tmp_path / "l.csv", ("case", "patient", "label", "slice")[: columns[0]], [r[: columns[0]] for r in labels]
    )
    write_csv(tmp_path / "s.csv", ("case", "score", "slice")[: columns[1]], [row[: columns[1]] for row in scores])
    report = evaluate_scores(tmp_path / "s.csv", tmp_path / "l.csv", tmp_path / "out", resamples=50)
    assert {"position_centre", "position_with_labels"} <= set(report["trivial_baselines"])
    assert report["trivial_baselines"]["position_centre"]["value"] == 1
    assert any("among the slices of its patient" in said for said in report["warnings"])


def test_the_split_may_stand_in_the_scores(tmp_path):
    """The same figures as where it stands in the labels; the training slices, which are not scored, are unknown."""
    scores, labels = anyones_tables(tmp_path)
    alone = evaluate_scores(scores, labels, tmp_path / "out", resamples=50)
    fields = [line.split(",") for line in labels.read_text().splitlines()[1:]]
    write_csv(labels, ("case", "slice", "patient", "label"), [[*row[:3], row[4]] for row in fields])
    mine = [line.split(",") for line in scores.read_text().splitlines()[1:]]
    trained = [[row[0], row[1], 9, "train"] for row in fields if row[3] == "train"][:30]
    write_csv(scores, ("case", "slice", "score", "split"), [*[[*row, "test"] for row in mine], *trained])
    report = evaluate_scores(scores, labels, tmp_path / "other", resamples=50)
    assert report["counts"]["scored"] == alone["counts"]["scored"]
    assert report["slice"] == alone["slice"]
    assert report["counts"]["train"]["normal"] == 30
    assert any("The split is that of scores.csv" in said for said in report["warnings"])
    assert not any("no column split" in said for said in report["notes"])


def test_missing_scores_and_a_leak_in_anyones_tables_are_said(tmp_path):
    scores, labels = anyones_tables(tmp_path)
    scores.write_text("\n".join(scores.read_text().splitlines()[:-5]) + "\n")
    labels.write_text(labels.read_text().replace("scan0,0,p0,", "scan0,0,p19,"))
    report = evaluate_scores(scores, labels, tmp_path / "out", resamples=100)
    said = " ".join(report["warnings"])
    assert "5 labelled test slices have no score" in said
    assert "1 of 20 patients are in more than one split" in said


def test_a_patient_spelled_otherwise_in_another_split_is_a_leak(tmp_path):
    scores, labels = anyones_tables(tmp_path)
    labels.write_text(labels.read_text().replace("scan0,0,p0,", "scan0,0,P 19,"))
    said = " ".join(evaluate_scores(scores, labels, tmp_path / "out", resamples=100)["warnings"])
    assert "1 of 20 patients are in more than one split" in said
    assert "1 name(s) of patients in" in said


def test_conflicting_patients_are_refused(tmp_path):
    write_csv(tmp_path / "s.csv", ("case", "patient", "score"), [["a", "p", 1], ["b", "q", 2]])
    write_csv(tmp_path / "l.csv", ("case", "patient", "label"), [["a", "p", 1], ["b", "r", 0]])
    with pytest.raises(UserError, match="different patients"):
        evaluate_scores(tmp_path / "s.csv", tmp_path / "l.csv", tmp_path / "out")


def test_validation_normals_give_anyones_operating_point(tmp_path):
    rng = np.random.default_rng(0)
    labels, scores = [], []
    for case in range(60):
        split = "validation" if case < 30 else "test"
        for number in range(6):
            label = int(split == "test" and case % 2 and number > 2)
            labels.append([f"c{case}", number, f"p{case}", split, label, "X" if case % 3 else "Y", 6])
            scores.append([f"c{case}", number, rng.normal() + 3 * label])
    write_csv(tmp_path / "l.csv", ("case", "slice", "patient", "split", "label", "scanner", "depth"), labels)
    write_csv(tmp_path / "s.csv", ("case", "slice", "score"), scores)
    report = evaluate_scores(tmp_path / "s.csv", tmp_path / "l.csv", tmp_path / "out", resamples=100)
    point = report["operating_point"]
    assert point["calibration"] == {
        "source": "180 normal slices of 30 patients of the validation split",
        "patients": 30,
        "slices": 180,
    }
    assert point["slice"]["reachable"]
    assert point["patient"]["reachable"]
    assert point["slice"]["false_positive_rate"]["value"] < 0.15
    assert point["slice"]["sensitivity"]["value"] > 0.7
    assert [row["name"] for row in point["slice"]["groups"]] == ["X", "Y"]
    assert report["warnings"] == []
    assert "scanner: X" in report["strata"]
    strict = evaluate_scores(
        tmp_path / "s.csv", tmp_path / "l.csv", tmp_path / "out", bounds=(0.01, 0.5), resamples=100
    )["operating_point"]
    assert "needs at least 99 calibration patients" in strict["slice"]["sentence"]
    assert strict["patient"]["threshold"] < point["patient"]["threshold"]


def test_the_depth_of_a_scan_may_be_named(tmp_path):
    scores, labels = anyones_tables(tmp_path)
    header, *lines = labels.read_text().splitlines()
    labels.write_text("\n".join([header + ",depth", *(line + ",20" for line in lines)]) + "\n")
    report = evaluate_scores(scores, labels, tmp_path / "out", resamples=100)
    assert [row["normal"] + row["abnormal"] for row in report["bands"]["position"]][3:] == [0, 0]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda at, number: (number + 1, 10), r"labels\.csv, line 11: there is no slice 10 in a case of 10 slices"),
        (lambda at, number: (number, 0), "line 2: there is no slice 0 in a case of 0 slices"),
        (lambda at, number: (number - 1, 10), "line 2: there is no slice -1"),
        (
            lambda at, number: (number, 11 if at == 13 else 12),
            "lines 12 and 15 give case scan1 a depth of 12 and of 11",
        ),
    ],
)
def test_slices_beyond_their_scan_are_refused(tmp_path, change, words):
    scores, labels = anyones_tables(tmp_path)
    rows = [line.split(",") for line in labels.read_text().splitlines()[1:]]
    rows = [[row[0], *change(at, int(row[1])), *row[2:]] for at, row in enumerate(rows)]
    write_csv(labels, ("case", "slice", "depth", "patient", "split", "label"), rows)
    write_csv(scores, ("case", "slice", "score"), [[row[0], row[1], row[-1]] for row in rows])
    with pytest.raises(UserError, match=words):
        evaluate_scores(scores, labels, tmp_path / "out")


def test_nothing_is_claimed_of_a_split_whose_patients_are_not_named(tmp_path):
    """The scores name them, and training slices need no score."""
    scores, labels = anyones_tables(tmp_path, patient=False)
    header, *lines = scores.read_text().splitlines()
    scores.write_text("\n".join([f"{header},patient", *(f"{line},{line.split(',')[0]}" for line in lines)]) + "\n")
    report = evaluate_scores(scores, labels, tmp_path / "out", resamples=50)
    assert report["provenance"]["unit"] == "patient"
    assert report["audit"]["patients_in_several_splits"] is None
    assert any("Of 200 line(s) of labels.csv (train) it is not known" in said for said in report["warnings"])
    assert "No patient is in several splits" not in " ".join(report["provenance"]["split_sentences"])


def test_scores_of_none_of_the_labelled_test_slices_are_refused(tmp_path):
    scores, labels = anyones_tables(tmp_path)
    lines = ["case,slice,score", *(f"scan{case},{at},{at}" for case in range(10) for at in range(10))]
    scores.write_text("\n".join(lines) + "\n")  # of the train split
    with pytest.raises(UserError, match=r"scores none of the 200 labelled test slices of .*labels\.csv: score those"):
        evaluate_scores(scores, labels, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_threshold_is_said_in_full(tmp_path):
    rng = np.random.default_rng(0)
    rows = [[f"c{k}", f"p{k}", "validation" if k < 40 else "test", int(k >= 80)] for k in range(120)]
    scores = [[row[0], repr(float(1 / (1 + np.exp(-16 - rng.normal() - 2 * row[3]))))] for row in rows]
    write_csv(tmp_path / "l.csv", ("case", "patient", "split", "label"), rows)
    write_csv(tmp_path / "s.csv", ("case", "score"), scores)
    report = evaluate_scores(tmp_path / "s.csv", tmp_path / "l.csv", tmp_path / "out", resamples=50)
    row = report["operating_point"]["slice"]
    said = float(row["sentence"].split("Above ")[1].split(",")[0])
    assert said == row["threshold"] < 1
    assert f">{row['threshold']!r}<" in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")


def test_a_threshold_is_not_judged_on_the_slices_it_is_from(tmp_path):
    """The validation split, scored as findings; its normal slices are the calibration too."""
    run = made_up_run(tmp_path, lesions=False)
    for name in ("maps.npy", "reconstructions.npy"):
        (run / "findings" / name).unlink()
    index = [line.split(",") for line in (tmp_path / "store" / "index.csv").read_text().splitlines()[1:]]
    rows = [row for row in index if row[5] == "validation"]
    columns = ("row", "case", "patient", "slice", "position_mm", "label", "score")
    scored = [[*row[:5], row[6], 0.01 * at] for at, row in enumerate(rows)]
    write_csv(run / "findings" / "scores.csv", columns, scored)
    facts = read_json(run / "findings" / "findings.json")
    write_json(run / "findings" / "findings.json", {**facts, "split": "validation", "images": len(rows)})
    write_csv(run / "calibration" / "scores.csv", columns, [row for row in scored if row[5] == "0"])
    write_json(run / "calibration" / "findings.json", {**facts, "split": "validation"})
    report = evaluate(run, resamples=50)
    assert report["slice"]["auroc"] is not None
    assert report["operating_point"]["slice"] is None
    assert "those that thresholds are taken from" in report["operating_point"]["sentence"]
    assert "was not used for the threshold" not in (run / "report" / "report.html").read_text(encoding="utf-8")


def pictures_run(folder: Path) -> Path:
    """A run on pictures of their own: the abnormal ones were larger files of another size; two have near-duplicates."""
    from PIL import Image

    run = made_up_run(folder, stacks=False)
    header, *lines = (folder / "store" / "index.csv").read_text().splitlines()
    fields = [line.split(",") for line in lines]
    cases: dict[str, Any] = {}
    (folder / "pictures").mkdir()
    rng = np.random.default_rng(1)
    for row, line in enumerate(fields):
        side = 20 if line[6] == "1" else 10
        file = folder / "pictures" / f"{row}.png"
        Image.fromarray(rng.integers(0, 255, (side, side), dtype=np.uint8)).save(file)
        line[1], line[3] = f"picture{row}", "0"
        cases[line[1]] = {"source": str(file), "grid": None}
    index = "\n".join([header, *(",".join(line) for line in fields)]) + "\n"
    (folder / "store" / "index.csv").write_text(index)
    write_json(folder / "store" / "cases.json", cases)
    stack = np.load(folder / "store" / "slices.npy")
    stack[125], stack[137] = stack[5], stack[17][..., ::-1]
    np.save(folder / "store" / "slices.npy", stack)
    path = run / "findings" / "scores.csv"
    header, *lines = path.read_text().splitlines()
    scored = [line.split(",") for line in lines]
    for line in scored:
        line[1], line[3] = f"picture{line[0]}", "0"
    path.write_text("\n".join([header, *(",".join(line) for line in scored)]) + "\n")
    return run


def test_what_the_files_tell_and_what_was_seen_before(tmp_path):
    report = evaluate(pictures_run(tmp_path), resamples=50)
    assert report["trivial_baselines"]["file_size"]["value"] == 1.0
    assert report["trivial_baselines"]["source_with_labels"]["value"] > 0.95
    assert report["trivial_baselines"]["source_with_labels"]["uses_labels"]
    assert report["best_trivial_baseline"] != "source_with_labels"
    assert {"source: png 10x10", "source: png 20x20"} <= set(report["strata"])
    near_duplicates = report["audit"]["near_duplicates"]
    assert near_duplicates["equal"] == 1
    assert near_duplicates["near"] >= 2
    assert "1 of 50 test images are equal to a training image" in " ".join(report["warnings"])


def test_the_audit_says_what_the_sections_say(evaluated):
    _, report = evaluated
    audit = report["audit"]
    assert audit["empty_share"] == pytest.approx(10 / 60)
    assert audit["auroc_without_empty"] == report["strata"]["without_empty"]["scores"]["score"]
    assert audit["position_matched_auroc"] == report["matched"]["position"]["scores"]["score"]
    assert audit["normals_of_patients_with_lesions"]["slices"] == 32
    assert audit["normals_of_patients_with_lesions"]["of"] == 44
    assert (audit["patients_in_several_splits"], audit["labels_seen"]) == (0, SENTENCE)
    assert report["operating_point"]["sentence"].startswith("No operating point: the validation split was not scored")


def test_hostile_names_stay_text(tmp_path):
    nasty = "<script>alert(1)</script>$\\frac"
    rows = [[f"c{k}", k % 2, nasty if k % 3 else "$x$"] for k in range(40)]
    write_csv(tmp_path / "l.csv", ("case", "label", "site"), rows)
    write_csv(tmp_path / "s.csv", ("case", "score", "score_<b>$\\q"), [[f"c{k}", k % 7, k % 5] for k in range(40)])
    evaluate_scores(tmp_path / "s.csv", tmp_path / "l.csv", tmp_path / "out", resamples=50)
    text = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "script" not in Page(text).tags
    assert "b" not in Page(text).tags
    assert "alert(1)" in text
    json.loads((tmp_path / "out" / "report.json").read_text())


def test_a_prepared_brain_is_tissue_and_is_shown(tmp_path: Path) -> None:
    """The mask that the store keeps, not the brightest pixels; its outline in the page, and how it was found."""
    run = made_up_run(tmp_path)
    plain = evaluate(run, resamples=50)
    assert plain["provenance"]["preparation"] == ""
    assert "What the preparation left" not in (run / "report" / "report.html").read_text(encoding="utf-8")
    store = SliceStore(tmp_path / "store")
    heads = np.asarray(store.images[:, 0]) > 0
    half = heads & (np.arange(SIDE) < SIDE // 2)  # of each head, its left half is said to be brain
    np.save(tmp_path / "store" / "bodies.npy", np.packbits(half, axis=-1))
    facts = read_json(tmp_path / "store" / "prepare.json")
    settings = {"image_size": SIDE, "preparation": "brain", "intensity": "auto"}
    write_json(
        tmp_path / "store" / "prepare.json",
        {**facts, "settings": settings, "brain_masks": {"extracted": 14, "given": 1}},
    )
    store = SliceStore(tmp_path / "store")
    rows = np.arange(3)
    np.testing.assert_array_equal(tissue_of(store, rows, store.select(rows).pictures(slice(None))), half[:3])
    report = evaluate(run, resamples=50)
    said = report["provenance"]["preparation"]
    assert said.endswith(
        "(brain), intensity median; brain mask by deepbet 1.0.2 for 14 scan(s), given by the user for 1 scan(s)."
    )
    page = (run / "report" / "report.html").read_text(encoding="utf-8")
    assert said in Page(page).words
    assert "What the preparation left: the brain" in page
    assert page.count('alt="brain outlined') == 5


def test_what_is_ignored_is_in_no_figure_of_maps(tmp_path: Path) -> None:
    """Whatever the map says there; the figures of slices stay as they are."""
    run = made_up_run(tmp_path)
    plain = evaluate(run, resamples=50)
    store = SliceStore(tmp_path / "store")
    assert not store.has_ignored
    assert store.judged(np.arange(2)).all()
    ignored = np.zeros((len(store.images), SIDE, SIDE), dtype=bool)
    ignored[:, :9, 4:] = True  # a part of the lesions and of healthy tissue
    lesions = np.unpackbits(np.load(tmp_path / "store" / "lesions.npy"), axis=-1, count=SIDE).astype(bool)
    assert (lesions & ignored).any()
    assert (lesions & ~ignored).any()
    np.save(tmp_path / "store" / "lesions.npy", np.packbits(lesions & ~ignored, axis=-1))
    np.save(tmp_path / "store" / "ignored.npy", np.packbits(ignored, axis=-1))
    report = evaluate(run, resamples=50)
    maps = np.load(run / "findings" / "maps.npy")
    rows = np.flatnonzero(store.index.split == "test")
    judged = ~ignored[rows]
    truth, values = lesions[rows][judged], np.asarray(store.images)[rows, 0][judged].astype(np.float64)
    expected = pytest.approx(roc_auc_score(truth, values), abs=1e-6)
    assert report["pixel"]["image_intensity"]["auroc"]["value"] == expected
    assert report["pixel"]["lesion_share"] == pytest.approx(truth.mean())
    assert plain["pixel"]["lesion_share"] == pytest.approx(lesions[rows].mean())
    assert report["slice"] == plain["slice"]
    share = f"{100 * ignored[rows].mean():.1f} % of the pixels are not to be judged"
    assert share in report["pixel"]["note"]
    assert share in Page((run / "report" / "report.html").read_text(encoding="utf-8")).words
    assert not tissue_of(SliceStore(tmp_path / "store"), rows, maps.astype(np.float32))[~judged].any()
    maps[~judged] = 7
    np.save(run / "findings" / "maps.npy", maps)
    assert evaluate(run, resamples=50)["pixel"] == report["pixel"]


def test_middle_slices_are_told_from_the_scan_where_the_store_says_how_it_was_filled(tmp_path: Path) -> None:
    run = made_up_run(tmp_path)
    before = evaluate(run, resamples=20)["strata"]["mid"]["slices"]
    path = tmp_path / "store" / "index.csv"
    lines = [line.split(",") for line in path.read_text().splitlines()]
    column = lines[0].index("filled")
    for line in lines[1:]:
        line[column] = "0.5" if int(line[COLUMNS.index("slice")]) == 6 else "0.1"
    path.write_text("\n".join(",".join(line) for line in lines) + "\n")
    assert before > 5
    assert evaluate(run, resamples=20)["strata"]["mid"]["slices"] == 5  # one of each test patient

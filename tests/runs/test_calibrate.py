"""Healthy validation slices are scored once, and what they say lies beside the fitted detector, naming nobody."""

import json
import shutil
from csv import DictReader

import numpy as np
import pytest

import anomae.runs.calibrate as calibrate_module
import anomae.runs.scoring_rows as scoring_rows
import anomae.stages.fit as fit_stage
from anomae.detectors.registry import load_detector
from anomae.errors import UserError
from anomae.files import read_json, write_csv, write_json
from anomae.inference.decision import rules_of
from anomae.runs.calibrate import healthy_scores_of
from anomae.runs.healthy_file import NAME, read_healthy_scores
from anomae.runs.model_fingerprint import fingerprint
from anomae.runs.run import Run
from anomae.runs.score_table import read_table
from anomae.slices.settings import PrepareSettings
from anomae.stages.evaluate import evaluate
from anomae.stages.fit import fit
from anomae.stages.prepare import prepare
from anomae.stages.score import score
from anomae.statistics.neighbours import smoothed_over_neighbours
from anomae.statistics.operating_point import patient_threshold, slice_threshold
from anomae.training.settings import DeviceSettings


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    folder = tmp_path_factory.mktemp("calibrated") / "store"
    settings = PrepareSettings(image_size=(16, 16))
    return prepare("phantom", "heads:10", folder, workers=0, seed=1, settings=settings, options={"size": "8x24x24"})


@pytest.fixture(scope="module")
def fitted_run(store, tmp_path_factory):
    run = tmp_path_factory.mktemp("fitted") / "run"
    fit(store.folder, run, detector="mean-image")
    return run


@pytest.fixture
def run(fitted_run, tmp_path):
    shutil.copytree(fitted_run, tmp_path / "run")
    return tmp_path / "run"


def test_a_fit_leaves_the_scores_of_healthy_people_beside_the_detector(run, store):
    kept = read_healthy_scores(run / "fitted")
    rows = store.rows("validation", label=0)
    table = read_table(run / "calibration" / "scores.csv", ("row", "score"))
    assert table.whole_numbers("row").tolist() == rows.tolist()
    assert kept.scores.tolist() == table.numbers("score").tolist()
    patients = store.index.patient[rows]
    assert kept.people == len(set(patients))
    assert len(set(zip(kept.person.tolist(), patients.tolist(), strict=True))) == kept.people
    assert not any(name in (run / "fitted" / NAME).read_text() for name in set(patients))
    assert kept.source.startswith(f"{len(rows)} normal slices of {kept.people} ")


def test_the_highest_values_are_those_of_the_maps(run, store):
    score(run, split="validation")
    rows, healthy = store.rows("validation"), store.rows("validation", label=0)
    maps = np.load(run / "findings" / "maps.npy")[np.searchsorted(rows, healthy)]
    kept = read_healthy_scores(run / "fitted")
    np.testing.assert_allclose(kept.map_tops, maps.max(axis=(1, 2)), rtol=2e-3)  # maps.npy is float16


def test_thresholds_are_those_of_the_report(run):
    score(run)
    point = evaluate(run, resamples=100)["operating_point"]
    kept = read_healthy_scores(run / "fitted")
    person = kept.person.astype(np.str_)
    assert slice_threshold(kept.scores, person, 0.05).value == point["slice"]["threshold"]
    assert patient_threshold(kept.scores, person, 0.10).value == point["patient"]["threshold"]


def test_smoothed_scores_are_kept_and_judged_by_the_report_as_by_a_scan(run, store):
    """Over the healthy neighbours alone; an earlier version's file without them gets them by the same command."""
    kept, rows = read_healthy_scores(run / "fitted"), store.rows("validation", label=0)
    case, number = store.index.case[rows], store.index.slice[rows]
    np.testing.assert_array_equal(kept.smoothed, smoothed_over_neighbours(kept.scores, case, number))
    assert (kept.smoothed != kept.scores).any()
    score(run)
    point = evaluate(run, smoothed=True, resamples=100)["operating_point"]
    rules = rules_of(kept, smoothed=True)
    assert rules.slice.threshold is None or rules.slice.threshold == point["slice"]["threshold"]
    person = kept.person.astype(np.str_)
    assert slice_threshold(kept.smoothed, person, 0.05).value == point["slice"]["threshold"]
    assert patient_threshold(kept.smoothed, person, 0.10).value == point["patient"]["threshold"]
    file = run / "fitted" / NAME
    whole, content = file.read_bytes(), read_json(file)
    del content["smoothed"]
    file.write_text(json.dumps(content))
    assert read_healthy_scores(run / "fitted").smoothed is None
    fit(store.folder, run, detector="mean-image")
    assert file.read_bytes() == whole


def test_the_smoothed_score_takes_the_place_of_the_score_in_a_report(run):
    score(run)
    alone = evaluate(run, resamples=100)
    smoothed = evaluate(run, smoothed=True, resamples=100)
    assert smoothed["slice"]["auroc"]["value"] == alone["scores"]["score_neighbours"]["auroc"]["value"]
    assert smoothed["scores"]["score_alone"]["auroc"]["value"] == alone["slice"]["auroc"]["value"]
    assert any("smoothed" in note for note in smoothed["notes"])
    table = run / "findings" / "scores.csv"
    with table.open(newline="") as lines:
        rows = [{name: field for name, field in row.items() if name != "score_neighbours"} for row in DictReader(lines)]
    write_csv(table, tuple(rows[0]), [tuple(row.values()) for row in rows])
    with pytest.raises(UserError, match="nothing to smooth over"):
        evaluate(run, smoothed=True, resamples=100)


def scored_again(run, monkeypatch, do):
    """How often rows of the validation split are scored by `do`."""
    asked, real = [], scoring_rows.GrowingFindings

    def counted(folder, *arguments):
        asked.append(folder)
        return real(folder, *arguments)

    monkeypatch.setattr(scoring_rows, "GrowingFindings", counted)
    do()
    return asked.count(run / "calibration")


def test_it_is_not_done_twice(run, store, monkeypatch):
    monkeypatch.setattr(fit_stage, "load_detector", None)  # not even loaded
    assert scored_again(run, monkeypatch, lambda: fit(store.folder, run, detector="mean-image")) == 0
    assert scored_again(run, monkeypatch, lambda: score(run)) == 0
    assert scored_again(run, monkeypatch, lambda: score(run, maps=False)) == 0


def test_it_is_done_where_it_was_not_or_is_of_something_else(run, store, monkeypatch):
    before = (run / "fitted" / NAME).read_bytes()
    (run / "fitted" / NAME).unlink()
    assert scored_again(run, monkeypatch, lambda: score(run)) == 0
    assert (run / "fitted" / NAME).read_bytes() == before
    for break_it in (
        lambda: shutil.rmtree(run / "calibration"),  # a run of before
        lambda: (run / "calibration" / "findings.json").unlink(),  # a calibration that was stopped
        lambda: (run / "fitted" / "other.json").write_text("{}"),  # another model
    ):
        break_it()
        assert scored_again(run, monkeypatch, lambda: fit(store.folder, run, detector="mean-image")) == 1
        assert (run / "fitted" / NAME).read_bytes() == before


def test_a_stop_between_its_two_files_leaves_no_thresholds_of_another_precision(run, monkeypatch):
    """Nor do those stay that such a stop of an earlier version left."""
    file, other = run / "fitted" / NAME, DeviceSettings(precision="bf16")
    before = file.read_bytes()
    with monkeypatch.context() as stopped:
        stopped.setattr(calibrate_module, "write_healthy_scores", None)  # not called but killed
        with pytest.raises(TypeError):
            score(run, device=other)
    assert not file.exists()
    score(run, device=other)
    whole = file.read_bytes()
    assert read_healthy_scores(run / "fitted").computed_on != json.loads(before)["computed_on"]
    file.write_bytes(before)
    score(run, device=other)
    assert file.read_bytes() == whole


def test_an_earlier_calibration_is_done_anew_where_abnormal_neighbours_were_shown(run, store, monkeypatch):
    """Earlier versions do not say which neighbours were shown; it matters to a detector that looks at them alone."""
    facts = read_json(run / "calibration" / "findings.json")
    assert facts["made_of"].pop("neighbours") == "healthy"
    real = load_detector(run / "fitted", None)

    class Beside:
        needs_neighbours = True

        def __getattr__(self, name):
            return getattr(real, name)

        def inspect(self, images, neighbours):
            return real.inspect(images)

    for detector, times in ((real, 0), (Beside(), 1)):
        write_json(run / "calibration" / "findings.json", facts)
        monkeypatch.setattr(fit_stage, "load_detector", lambda *_, detector=detector: detector)
        assert scored_again(run, monkeypatch, lambda: fit(store.folder, run, detector="mean-image")) == times
    assert scored_again(run, monkeypatch, lambda: fit(store.folder, run, detector="mean-image")) == 0


def test_what_is_not_to_be_judged_sets_no_threshold_and_is_not_learned(store, tmp_path, watched, capsys):
    """Law: whatever such a region holds, model and healthy scores are the same; an earlier calibration is done anew."""
    marked, kept, models = [store.rows("train", 0)[3], *store.rows("validation", 0)[2:4]], [], []
    for name, value in (("plain", None), ("bright", 9.0)):
        copy = tmp_path / name
        shutil.copytree(store.folder, copy)
        ignored = np.zeros((len(store.index), 16, 2), np.uint8)
        ignored[marked, 4:9, 0] = 0b00111100
        np.save(copy / "ignored.npy", ignored)
        images = np.load(copy / "slices.npy")
        images[marked, 0, 4:9, 2:6] = images[marked, 0, 4:9, 2:6] if value is None else value
        np.save(copy / "slices.npy", images)
        fitted = fit(copy, tmp_path / f"run {name}", detector="mean-image")
        models.append(fingerprint(fitted))
        kept.append((fitted / NAME).read_bytes())
        trained = len(store.rows("train", 0))
        assert read_json(fitted / "fitted.json")["training_slices"] == trained - 1
        said = f"1 of {trained} healthy slices of the train split and 2 of {len(store.rows('validation', 0))} healthy"
        assert said in capsys.readouterr().err
    assert models[0] == models[1]
    assert kept[0] == kept[1]


def test_where_all_are_marked_they_are_learned_and_that_is_said(store, fitted_run, tmp_path, watched, capsys):
    copy = tmp_path / "store"
    shutil.copytree(store.folder, copy)
    np.save(copy / "ignored.npy", np.full((len(store.index), 16, 2), 1, np.uint8))
    fitted = fit(copy, tmp_path / "run", detector="mean-image")
    assert fingerprint(fitted) == fingerprint(fitted_run / "fitted")
    assert "(a ruler), learned, and counts" in capsys.readouterr().err


def test_a_fit_that_an_earlier_version_began_on_what_is_left_out_now_is_not_gone_on_with(store, tmp_path):
    copy, run = tmp_path / "store", tmp_path / "run"
    shutil.copytree(store.folder, copy)
    fit(copy, run, detector="mean-image")
    ignored = np.zeros((len(store.index), 16, 2), np.uint8)
    ignored[store.rows("train", 0)[0]] = 1
    np.save(copy / "ignored.npy", ignored)
    with pytest.raises(UserError, match="autoencoder of another store, seed or settings"):
        fit(copy, tmp_path / "other", detector="mean-image", autoencoder_of=run)
    (run / "fitted" / "fitted.json").unlink()
    with pytest.raises(UserError, match="begun by another version, which learned from other slices"):
        fit(copy, run, detector="mean-image")


def test_no_healthy_validation_slice_is_no_calibration(store, tmp_path):
    copy = tmp_path / "store"
    shutil.copytree(store.folder, copy)
    index = copy / "index.csv"
    index.write_text(index.read_text().replace(",validation,", ",test,"))
    fit(copy, tmp_path / "run", detector="mean-image")
    assert not (tmp_path / "run" / "calibration").exists()
    assert read_healthy_scores(tmp_path / "run" / "fitted") is None


def test_the_fingerprint_is_of_what_scores_depend_on(run):
    before = fingerprint(run / "fitted")
    (run / "fitted" / NAME).unlink()
    assert fingerprint(run / "fitted") == before
    prepared = run / "fitted" / "prepare.json"
    prepared.write_text(prepared.read_text().replace("16", "17"))
    assert fingerprint(run / "fitted") != before


@pytest.mark.parametrize(
    "change",
    [
        ("scores", [1.0]),
        ("person", None),
        ("unit", ...),
        ("scores", ["x"]),
        ("smoothed", -1),
        ("person", 10**30),
        ("person", [10**30]),
        ("map_tops", [[1.0, 2.0]] * 100),
    ],
)
def test_a_damaged_file_is_said(run, change):

    content = read_json(run / "fitted" / NAME)
    name, value = change
    content = {key: entry for key, entry in content.items() if key != name} | ({} if value is ... else {name: value})
    (run / "fitted" / NAME).write_text(json.dumps(content))
    with pytest.raises(UserError, match=r"healthy_scores\.json is damaged"):
        read_healthy_scores(run / "fitted")


def test_doubts_are_kept(run, store):
    healthy = healthy_scores_of(Run(run), store)
    assert healthy.doubts == read_healthy_scores(run / "fitted").doubts
    assert "have a lesion in other slices" in " ".join(healthy.doubts)

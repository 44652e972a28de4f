"""Healthy scans of one source, abnormal ones of another: told when they are prepared, and first thing in the report."""

import shutil

import pytest
import SimpleITK

from anomae.slices.settings import PrepareSettings
from anomae.stages.evaluate import evaluate
from anomae.stages.fit import fit
from anomae.stages.phantom import phantom
from anomae.stages.prepare import prepare
from anomae.stages.score import score

SETTINGS = PrepareSettings(image_size=(24, 24))


@pytest.fixture(scope="module")
def scans(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scans")
    phantom(folder / "alike", layout="folder", count=40, file_format="nii.gz", shape=(12, 24, 24))
    shutil.copytree(folder / "alike", folder / "unlike")
    for path in (folder / "unlike" / "abnormal").rglob("*.nii.gz"):
        image = SimpleITK.ReadImage(str(path))
        image.SetSpacing([step / 2 for step in image.GetSpacing()])
        SimpleITK.WriteImage(image, str(path))
    return folder


@pytest.mark.parametrize("kind", ["alike", "unlike"])
def test_two_sources_are_told(scans, tmp_path, kind):
    store = prepare("folder", scans / kind, tmp_path / "store", settings=SETTINGS)
    told = [note for note in store.prepared["notes"] if "made otherwise than the healthy" in note]
    assert bool(told) == (kind == "unlike")
    fit(store.folder, tmp_path / "run", detector="mean-image")
    score(tmp_path / "run")
    report = evaluate(tmp_path / "run", resamples=100)
    warned = [warning for warning in report["warnings"] if "made otherwise than the healthy" in warning]
    assert bool(warned) == bool(report["audit"]["acquisition"]) == (kind == "unlike")
    if told:
        assert "(20 patients)" in told[0]  # those of the training split too, of whose slices the healthy ones are kept
        assert "pixel size (mm)" in told[0]
        assert {one["fact"] for one in report["audit"]["acquisition"]} == {"pixel size (mm)", "slice distance (mm)"}
        page = (tmp_path / "run" / "report" / "report.html").read_text(encoding="utf-8")
        assert page.count("made otherwise than the healthy") == 1

"""Calibration scores are of the slices they name, and what weakens the bound is said."""

import shutil

import numpy as np
import pytest

from anomae.errors import UserError
from anomae.files import read_json, write_json
from anomae.runs.calibration import run_calibration
from anomae.runs.run import Run
from anomae.slices.store import SliceStore

from ..stages.test_evaluate import made_up_run
from ..stages.test_pages import with_calibration


@pytest.fixture
def run(tmp_path):
    return with_calibration(made_up_run(tmp_path))


def loaded(run, tested=()):
    return run_calibration(Run(run), SliceStore(run.parent / "store"), np.array(tested, dtype=np.str_))


def test_what_is_read(run):
    calibration, why_none, levels = loaded(run)
    assert calibration.source == "44 normal slices of 5 patients of the validation split"
    assert (why_none, levels) == ("", None)
    assert len(calibration.scores) == len(calibration.patient) == 44
    assert calibration.doubts == [
        "4 of the calibration patients have a lesion in other slices: they are not healthy people."
    ]


def test_doubts(run):
    facts = read_json(run / "run.json")
    write_json(run / "run.json", {**facts, "settings": {"classifier": {"choice": "validation_auroc"}}})
    said = " ".join(loaded(run, ["patient5"])[0].doubts)
    assert "chosen on labelled images of the same patients" in said
    assert "1 calibration patients are in another split too" in said


def test_none_is_a_sentence(run):
    shutil.rmtree(run / "calibration")
    calibration, why_none, _ = loaded(run)
    assert calibration is None
    assert "run `anomae score run` again" in why_none
    index = run.parent / "store" / "index.csv"
    index.write_text(index.read_text().replace(",validation,", ",train,"))
    assert "no normal slice in its validation split" in loaded(run)[1]


def test_other_slices_are_refused(run):
    np.save(run / "calibration" / "tissue_levels.npy", np.zeros((3, 4096), dtype=np.uint32))
    with pytest.raises(UserError, match="3 lines where 44 slices"):
        loaded(run)
    path = run / "calibration" / "scores.csv"
    path.write_text(path.read_text().replace("60,case5,", "64,case5,", 1))
    with pytest.raises(UserError, match="row twice"):
        loaded(run)

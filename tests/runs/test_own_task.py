"""What a detector can do on held-out normals: measured on slices with content, said with an interval, kept apart."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from anomae.detectors.registry import load_detector
from anomae.errors import UserError
from anomae.runs import own_task as stage
from anomae.runs.own_task import own_task, write_own_task
from anomae.runs.run import Run
from anomae.slices.store import SliceStore
from anomae.stages.evaluate import evaluate
from anomae.stages.fit import fit
from anomae.stages.score import score

from ..stages.conftest import SHORT


class Brightness:
    """Says how bright an image is, and would be if half of it were bright; with a sign, so that it can be wrong."""

    def __init__(self, sign: float = 1.0) -> None:
        self.sign, self.seen = sign, 0

    def own_task(self, images: Any) -> tuple[Any, Any]:
        self.seen += len(images)
        dark = images.mean(axis=(1, 2))
        return self.sign * dark, self.sign * (dark + 0.5)


def outputs(run: Path) -> Any:
    return np.genfromtxt(run / "calibration" / "own_task.csv", delimiter=",", names=True)


@pytest.fixture
def place(tmp_path: Path) -> Run:
    (tmp_path / "calibration").mkdir()
    return Run(tmp_path)


def test_it_is_measured_on_slices_with_content(heads: SliceStore, place: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    rows, detector = heads.rows("validation", label=0), Brightness()
    write_own_task(detector, heads, rows, place)
    filled = rows[~heads.index.empty[rows]]
    assert outputs(place.folder)["row"].tolist() == filled.tolist()
    assert detector.seen == len(filled) > 3
    monkeypatch.setattr(stage, "SLICES", 3)
    write_own_task(detector, heads, rows, place)
    assert outputs(place.folder)["row"].tolist() == [filled[0], filled[(len(filled) - 1) // 2], filled[-1]]


def test_what_is_said_is_the_figure(heads: SliceStore, place: Run) -> None:
    rows = np.flatnonzero(heads.index.label == 0)
    write_own_task(Brightness(), heads, rows, place)
    found = outputs(place.folder)
    auroc = roc_auc_score(np.repeat([0, 1], len(found)), np.concatenate([found["unaltered"], found["altered"]]))
    interval, said = own_task(place, heads, 200, 0)
    assert interval is not None
    assert interval.value == pytest.approx(auroc)
    assert f"on {len(found)} healthy slices" in said
    assert f"AUROC {auroc:.3f} [" in said
    assert "not distinguishable" not in said
    write_own_task(Brightness(-1.0), heads, rows, place)
    assert "not distinguishable from chance" in own_task(place, heads, 200, 0)[1]


def test_a_detector_that_cannot_say_leaves_nothing(heads: SliceStore, place: Run) -> None:
    rows = heads.rows("validation", label=0)
    write_own_task(Brightness(), heads, rows, place)
    write_own_task(object(), heads, rows, place)
    assert own_task(place, heads, 200, 0) == (None, "")
    write_own_task(Brightness(), heads, rows[:0], place)
    assert own_task(place, heads, 200, 0) == (None, "")


def test_other_slices_are_refused(heads: SliceStore, place: Run) -> None:
    path = place.folder / "calibration" / "own_task.csv"
    abnormal = int(np.flatnonzero(heads.index.label == 1)[0])
    for lines in (f"{len(heads.index)},0.1,0.2\n", "-1,0.1,0.2\n", f"{abnormal},0.1,0.2\n", ""):
        path.write_text(f"row,unaltered,altered\n{lines}")
        with pytest.raises(UserError, match="names other slices"):
            own_task(place, heads, 200, 0)


def test_the_paper_s_method_says_it_in_its_report(heads: SliceStore, tmp_path: Path) -> None:
    run = tmp_path / "run"
    fit(heads.folder, run, detector="mae-classifier", recipe="phantom", overrides=SHORT)
    score(run)
    before = (run / "calibration" / "own_task.csv").read_bytes()
    score(run)
    assert (run / "calibration" / "own_task.csv").read_bytes() == before
    report = evaluate(run, resamples=100)
    assert 0 <= report["own_task"]["value"] <= 1  # two patients: no interval
    notes = report["notes"]
    assert sum(note.startswith("Its own task: on ") for note in notes) == 1
    assert notes[1] in (run / "report" / "report.html").read_text(encoding="utf-8").replace("&#39;", "'")

    # One by one and in another order it says the same.
    detector = load_detector(run / "fitted")
    images = heads.select(heads.rows("validation", label=0)).read(slice(None))[3:6]
    unaltered, altered = detector.own_task(images)  # type: ignore[attr-defined]
    alone = [detector.own_task(image[None]) for image in images[::-1]]  # type: ignore[attr-defined]
    assert unaltered.tolist() == [float(one[0][0]) for one in alone][::-1]
    assert altered.tolist() == [float(one[1][0]) for one in alone][::-1]
    assert (unaltered != altered).any()
    assert all(0 <= value <= 1 for value in (*unaltered, *altered))

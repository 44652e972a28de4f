"""What a detector can do on pseudo-lesions in held-out normals: measured by family, said with intervals, kept apart."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from anomae.detectors.protocol import Findings
from anomae.errors import UserError
from anomae.runs import pretext as stage
from anomae.runs.pretext import pretext_figures, write_pretext
from anomae.runs.run import Run
from anomae.slices.store import SliceStore
from anomae.stages.evaluate import evaluate
from anomae.stages.fit import fit
from anomae.stages.score import score

BRIEF = {
    "sources": "pixels",
    "sizes": (32,),
    "pool": 64,
    "head.width": 8,
    "head.training.steps": 4,
    "head.training.batch": 8,
    "lesions.families": "blob,fill",
}


class Brightness:
    """Says how bright an image is; one family makes it brighter, the other does not."""

    def inspect(self, images: Any) -> Findings:
        return Findings(images.mean(axis=(1, 2)).astype(np.float64))

    def pretext(self, images: Any) -> dict[str, Any]:
        scores = self.inspect(images).scores
        return {"bright": scores + 0.05, "same": scores}


@pytest.fixture
def place(tmp_path: Path) -> Run:
    (tmp_path / "calibration").mkdir()
    return Run(tmp_path)


def test_what_is_said_is_the_figure(heads: SliceStore, place: Run) -> None:
    rows = np.flatnonzero(heads.index.label == 0)
    write_pretext(Brightness(), heads, rows, place)
    figures, said = pretext_figures(place, heads, ["bright"], 200, 0)
    assert figures is not None
    filled = rows[~heads.index.empty[rows]]
    scores = heads.select(filled).read(slice(None)).mean(axis=(1, 2))
    expected = roc_auc_score(np.repeat([0, 1], len(scores)), np.r_[scores, scores + 0.05])
    assert figures["bright"]["value"] == pytest.approx(expected, abs=1e-6)
    assert figures["same"]["value"] == pytest.approx(0.5)
    assert (figures["bright"]["trained"], figures["same"]["trained"]) == (True, False)
    assert f"on {len(filled)} healthy slices" in said
    assert f"trained on with AUROC {expected:.3f}" in said
    assert "left out of training with 0.500" in said


def test_few_slices_are_spread_evenly(heads: SliceStore, place: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = heads.rows("validation", label=0)
    filled = rows[~heads.index.empty[rows]]
    monkeypatch.setattr(stage, "SLICES", 3)
    write_pretext(Brightness(), heads, rows, place)
    table = np.genfromtxt(place.calibration / "pretext.csv", delimiter=",", names=True)
    assert table["row"].tolist() == [filled[0], filled[(len(filled) - 1) // 2], filled[-1]]


def test_who_cannot_say_leaves_nothing(heads: SliceStore, place: Run) -> None:
    (place.calibration / "pretext.csv").write_text("of an earlier detector")
    write_pretext(object(), heads, heads.rows("validation", label=0), place)
    assert pretext_figures(place, heads, [], 200, 0) == (None, "")


def test_scores_of_other_slices_are_refused(heads: SliceStore, place: Run) -> None:
    abnormal = int(np.flatnonzero(heads.index.label == 1)[0])
    for lines in (f"{len(heads.index)},0.1,0.2\n", "-1,0.1,0.2\n", f"{abnormal},0.1,0.2\n", ""):
        (place.calibration / "pretext.csv").write_text(f"row,unaltered,blob\n{lines}")
        with pytest.raises(UserError, match="names other slices"):
            pretext_figures(place, heads, [], 200, 0)


def test_anomae_says_it_in_its_report(heads: SliceStore, tmp_path: Path) -> None:
    run = tmp_path / "run"
    fit(heads.folder, run, recipe="phantom", overrides=BRIEF)
    score(run)
    report = evaluate(run, resamples=100)
    trained = {name for name, figure in report["pretext"].items() if figure["trained"]}
    assert trained == {"blob", "fill"}
    assert len(report["pretext"]) > 5
    assert sum(note.startswith("Pretext task: on ") for note in report["notes"]) == 1
    page = (run / "report" / "report.html").read_text(encoding="utf-8")
    assert '<table id="pretext">' in page

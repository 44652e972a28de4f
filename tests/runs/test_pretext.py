"""What a detector can do on pseudo-lesions in held-out normals: measured by family, said with intervals, kept apart."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from anomae.detectors.protocol import Findings
from anomae.detectors.registry import load_detector
from anomae.errors import UserError
from anomae.reports.pretext import pretext_section, pretext_sentence
from anomae.reports.schema_pretext import Pretext
from anomae.reports.schema_values import Share
from anomae.runs import pretext as runs_pretext
from anomae.runs.pretext import PretextFigures, read_pretext, write_pretext
from anomae.runs.run import Run
from anomae.slices.store import SliceStore
from anomae.stages.evaluate import evaluate
from anomae.stages.fit import fit
from anomae.stages.score import score

from ..stages.conftest import SHORT

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
    """Says how bright an image is; one family makes it brighter, the other does not.  `sign` makes it wrong."""

    trained_families = ("bright",)

    def __init__(self, sign: float = 1.0) -> None:
        self.sign = sign

    def inspect(self, images: Any) -> Findings:
        return Findings(images.mean(axis=(1, 2, 3)).astype(np.float64))

    def pretext(self, images: Any) -> dict[str, Any]:
        scores = self.inspect(images).scores
        return {"bright": scores + 0.05 * self.sign, "same": scores}


class HalfSeen(Brightness):
    """Lesions of two families; every second one of the first is not to be seen, and none of the other."""

    def pretext(self, images: Any) -> dict[str, Any]:
        scores = self.inspect(images).scores
        return {"bright": np.where(np.arange(len(scores)) % 2, scores + 1.0, np.nan), "none": scores * np.nan}


class Boxes:
    """One family, as the paper's classifier has."""

    trained_families = ("boxes",)
    inspect = Brightness.inspect

    def pretext(self, images: Any) -> dict[str, Any]:
        return {"boxes": self.inspect(images).scores + 0.5}


@pytest.fixture
def empty_run(tmp_path: Path) -> Run:
    (tmp_path / "calibration").mkdir()
    return Run(tmp_path)


def read(run: Run, store: SliceStore) -> PretextFigures | None:
    return read_pretext(run, store)


def rows_of(run: Run) -> list[float]:
    found: list[float] = np.genfromtxt(run.calibration / "pretext.csv", delimiter=",", names=True)["row"].tolist()
    return found


def test_what_is_said_is_the_figure(heads: SliceStore, empty_run: Run) -> None:
    rows = np.flatnonzero(heads.index.label == 0)
    write_pretext(Brightness(), heads, rows, empty_run)
    section = pretext_section(read(empty_run, heads))
    assert section is not None
    filled = rows[~heads.index.empty[rows]]
    scores = heads.select(filled).pictures(slice(None)).mean(axis=(1, 2))
    expected = roc_auc_score(np.repeat([0, 1], len(scores)), np.r_[scores, scores + 0.05])
    bright, same = section.families["bright"], section.families["same"]
    assert bright.value == pytest.approx(expected, abs=1e-6)
    assert same.value == pytest.approx(0.5)
    assert (bright.trained, same.trained) == (True, False)
    assert section.slices == len(filled)
    assert section.mean_trained == Share.of(bright.interval)
    assert section.mean_left_out == Share.of(same.interval)
    assert section.mean.value == pytest.approx((expected + 0.5) / 2, abs=1e-6)
    said = pretext_sentence(section)
    assert f"on {len(filled)} healthy slices" in said
    assert f"AUROC {bright.interval} for pseudo-lesions of the kind it was trained on" in said
    assert f"and {same.interval} for families left out of training" in said
    assert "not distinguishable" not in said


def test_a_slice_whose_lesion_is_not_to_be_seen_has_no_part(heads: SliceStore, empty_run: Run) -> None:
    """It counted as a lesion, which no detector can tell from itself."""
    write_pretext(HalfSeen(), heads, np.flatnonzero(heads.index.label == 0), empty_run)
    figures = read(empty_run, heads)
    assert figures is not None
    assert figures.slices == len(rows_of(empty_run))
    assert {name: figure.value for name, figure in figures.families.items()} == {"bright": 1.0}


def test_a_mean_over_families_leaves_out_one_patient_at_a_time(heads: SliceStore, empty_run: Run) -> None:
    write_pretext(Brightness(), heads, np.flatnonzero(heads.index.label == 0), empty_run)
    figures = read(empty_run, heads)
    assert figures is not None
    mean, (one, other) = figures.mean(), figures.families.values()
    assert mean is not None
    np.testing.assert_allclose(mean.without, (one.without + other.without) / 2)
    section = pretext_section(figures)
    assert section is not None
    assert section.mean.low is not None
    assert section.mean.high is not None
    assert section.mean.low < section.mean.value < section.mean.high


def test_who_has_not_learned_it_is_told_so(heads: SliceStore, empty_run: Run) -> None:
    write_pretext(Brightness(-1.0), heads, np.flatnonzero(heads.index.label == 0), empty_run)
    said = pretext_sentence(pretext_section(read(empty_run, heads)))
    assert "not distinguishable from chance: it has not learned its pretext task" in said


@pytest.mark.parametrize(
    ("value", "said"),
    [(0.55, "chance: it has not learned its pretext task."), (0.73, "chance: of so few patients this says little.")],
)
def test_a_wide_interval_alone_does_not_say_that_nothing_was_learned(value: float, said: str) -> None:
    own = Share(value=value, low=0.1, high=0.97)
    section = Pretext(slices=128, families={}, mean=own, mean_trained=own, mean_left_out=None)
    assert f"not distinguishable from {said}" in pretext_sentence(section)


def test_slices_are_spread_evenly_and_fewer_where_families_are_many(
    heads: SliceStore, empty_run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = heads.rows("validation", label=0)
    filled = rows[~heads.index.empty[rows]]
    middle = filled[(len(filled) - 1) // 2]
    write_pretext(Boxes(), heads, rows, empty_run)
    assert rows_of(empty_run) == filled.tolist()  # content only
    monkeypatch.setattr(runs_pretext, "MOST_ALTERED", 6)
    write_pretext(Brightness(), heads, rows, empty_run)
    assert rows_of(empty_run) == [filled[0], middle, filled[-1]]  # six altered slices of two families
    monkeypatch.setattr(runs_pretext, "MOST_SLICES", 3)
    write_pretext(Boxes(), heads, rows, empty_run)
    assert rows_of(empty_run) == [filled[0], middle, filled[-1]]


def test_nine_families_are_asked_of_128_slices_and_one_of_512() -> None:
    assert min(runs_pretext.MOST_SLICES, runs_pretext.MOST_ALTERED // 9) == 128
    assert min(runs_pretext.MOST_SLICES, runs_pretext.MOST_ALTERED // 1) == 512


def test_who_has_no_pretext_task_leaves_nothing(heads: SliceStore, empty_run: Run) -> None:
    rows = heads.rows("validation", label=0)
    for detector, chosen in ((object(), rows), (Brightness(), rows[:0])):
        (empty_run.calibration / "pretext.csv").write_text("of an earlier detector")
        (empty_run.calibration / "pretext.json").write_text("{}")
        write_pretext(detector, heads, chosen, empty_run)
        assert read(empty_run, heads) is None
        assert list(empty_run.calibration.iterdir()) == []
    assert pretext_section(None) is None
    assert pretext_sentence(None) == ""


def test_scores_of_other_slices_are_refused(heads: SliceStore, empty_run: Run) -> None:
    abnormal = int(np.flatnonzero(heads.index.label == 1)[0])
    (empty_run.calibration / "pretext.json").write_text('{"trained_families": []}')
    for lines in (f"{len(heads.index)},0.1,0.2\n", "-1,0.1,0.2\n", f"{abnormal},0.1,0.2\n", ""):
        (empty_run.calibration / "pretext.csv").write_text(f"row,unaltered,blob\n{lines}")
        with pytest.raises(UserError, match="names other slices"):
            read(empty_run, heads)


@pytest.mark.parametrize("name", ["own_task.csv", "pretext.csv"])
def test_a_run_scored_by_an_older_version_is_told_what_to_do(heads: SliceStore, empty_run: Run, name: str) -> None:
    (empty_run.calibration / name).write_text("row,unaltered,altered\n0,0.1,0.2\n")
    with pytest.raises(UserError, match=r"older version; run `anomae score .*` again"):
        read(empty_run, heads)
    write_pretext(Boxes(), heads, heads.rows("validation", label=0), empty_run)
    assert read(empty_run, heads) is not None


def test_one_by_one_and_in_another_order_it_says_the_same(heads: SliceStore, tmp_path: Path) -> None:
    """Boxes depend on the image alone; pseudo-lesions of `anomae` may hold tissue of another image, so not they."""
    run = tmp_path / "run"
    fit(heads.folder, run, detector="mae-classifier", recipe="phantom", overrides=SHORT)
    fitted: Any = load_detector(run / "fitted")
    images = heads.select(heads.rows("validation", label=0)).read(slice(None))[3:6]
    together = fitted.pretext(images)
    alone = [fitted.pretext(image[None]) for image in images[::-1]]
    for family, scores in together.items():
        assert scores.tolist() == [float(one[family][0]) for one in alone][::-1]
        assert (scores != fitted.inspect(images).scores).any()


def test_the_paper_s_method_says_it_in_its_report(heads: SliceStore, tmp_path: Path) -> None:
    run = tmp_path / "run"
    fit(heads.folder, run, detector="mae-classifier", recipe="phantom", overrides=SHORT)
    score(run)
    before = (run / "calibration" / "pretext.csv").read_bytes()
    score(run)
    assert (run / "calibration" / "pretext.csv").read_bytes() == before
    report = evaluate(run, resamples=100)
    assert list(report["pretext"]["families"]) == ["boxes"]
    assert report["pretext"]["families"]["boxes"]["trained"]
    assert 0 <= report["pretext"]["mean"]["value"] <= 1  # two patients: no interval
    assert sum(note.startswith("Pretext task: on ") for note in report["notes"]) == 1
    assert report["notes"][1] in (run / "report" / "report.html").read_text(encoding="utf-8").replace("&#39;", "'")


def test_anomae_says_it_in_its_report_too(heads: SliceStore, tmp_path: Path) -> None:
    run = tmp_path / "run"
    fit(heads.folder, run, recipe="phantom", overrides=BRIEF)
    score(run)
    report = evaluate(run, resamples=100)
    families = report["pretext"]["families"]
    assert {name for name, figure in families.items() if figure["trained"]} == {"blob", "fill"}
    assert len(families) > 5
    assert report["pretext"]["mean"]["value"] == pytest.approx(np.mean([one["value"] for one in families.values()]))
    assert sum(note.startswith("Pretext task: on ") for note in report["notes"]) == 1
    page = (run / "report" / "report.html").read_text(encoding="utf-8")
    assert '<table id="pretext">' in page

"""The trivial baselines go through every stage; what is one line gets in its report exactly what stands beside it."""

from pathlib import Path

from anomae.slices.store import SliceStore
from anomae.stages.evaluate import evaluate
from anomae.stages.fit import fit
from anomae.stages.score import score


def report_on(heads: SliceStore, run: Path, detector: str, **overrides: object) -> dict:
    fit(heads.folder, run, detector=detector, overrides={"device.accelerator": "cpu", **overrides})
    score(run)
    return evaluate(run, resamples=50)


def test_a_measure_of_one_line_is_judged_as_the_baseline_of_its_name(heads: SliceStore, tmp_path: Path) -> None:
    report = report_on(heads, tmp_path, "one-line", measure="brightest_spot_9")
    assert report["slice"]["auroc"]["value"] == report["trivial_baselines"]["brightest_spot_9"]["value"]
    assert not (tmp_path / "findings" / "maps.npy").exists()


def test_pca_leaves_maps_and_reconstructions(heads: SliceStore, tmp_path: Path) -> None:
    report = report_on(heads, tmp_path, "pca", components=4)
    assert 0 <= report["slice"]["auroc"]["value"] <= 1
    assert {"maps.npy", "reconstructions.npy"} <= {path.name for path in (tmp_path / "findings").iterdir()}

"""The stage `compare`: runs are joined by slice, unlike data is refused, the page shows what the figures say."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from anomae.errors import UserError
from anomae.files import read_json, write_csv, write_json
from anomae.stages.compare import compare

from .test_evaluate import anyones_tables, made_up_run


def another(run: Path, name: str, seed: int, noise: float = 0.2) -> Path:
    """A copy of a run with another seed and noisier scores."""
    copy = run.parent / name
    shutil.copytree(run, copy)
    write_json(copy / "run.json", {**read_json(copy / "run.json"), "seed": seed})
    rng = np.random.default_rng(seed)
    header, *lines = (copy / "findings" / "scores.csv").read_text().splitlines()
    fields = [line.split(",") for line in lines]
    for line in fields:
        line[6] = repr(float(line[6]) + noise * rng.normal())
    (copy / "findings" / "scores.csv").write_text("\n".join([header, *(",".join(line) for line in fields)]) + "\n")
    return copy


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    run = made_up_run(tmp_path_factory.mktemp("runs"))
    return [run, another(run, "second", 8), another(run, "third", 9)]


def test_runs_that_differ_by_seed(runs, tmp_path):
    found = compare(runs, tmp_path, resamples=100)
    assert found == read_json(tmp_path / "compare.json")
    assert list(found["runs"]) == ["run", "second", "third"]
    assert found["seeds"]["run"]["runs"] == ["run", "second", "third"]
    assert len(found["pairs"]) == 3
    assert found["counts"]["slices"] == 60
    assert {"position_rarity", "mean"} <= set(found["trivial_baselines"])
    assert found["verdict"] in (tmp_path / "compare.html").read_text(encoding="utf-8")
    assert any("takes images as independent" in note for note in found["notes"])


def test_runs_on_part_of_the_slices_are_joined(runs, tmp_path):
    short = another(runs[0], "short", 10)
    path = short / "findings" / "scores.csv"
    header, *lines = path.read_text().splitlines()
    path.write_text("\n".join([header, *lines[::-1][:-12]]) + "\n")  # another order, and a scan less
    for name in ("maps.npy", "reconstructions.npy"):
        (short / "findings" / name).unlink()
    found = compare([runs[1], short], tmp_path, resamples=100)
    assert found["counts"]["slices"] == 48
    assert any("second scores 60 slices, of which 48 are common" in note for note in found["notes"])
    whole = compare([runs[1], runs[2]], tmp_path / "other", resamples=100)
    assert whole["counts"]["slices"] == 60


def test_stores_of_other_images_of_the_same_slices_are_said(runs, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(runs[0].parent, elsewhere)
    write_json(
        elsewhere / "store" / "prepare.json",
        {**read_json(elsewhere / "store" / "prepare.json"), "fingerprint": "other"},
    )
    facts = {
        **read_json(elsewhere / "second" / "run.json"),
        "store_fingerprint": "other",
        "store": str(elsewhere / "store"),
    }
    write_json(elsewhere / "second" / "run.json", facts)
    found = compare([runs[0], elsewhere / "second"], tmp_path / "out", resamples=100)
    assert any("saw other images than run of the same slices" in note for note in found["notes"])
    assert found["seeds"] == {}


def test_other_data_is_refused(runs, tmp_path):
    other = made_up_run(tmp_path / "healthy", abnormal=False)
    with pytest.raises(UserError, match=r"different labels: their\s+stores hold other data"):
        compare([runs[0], other], tmp_path / "out")
    with pytest.raises(UserError, match="two runs or more"):
        compare(runs[:1], tmp_path / "out")
    with pytest.raises(UserError, match="given twice"):
        compare([runs[0], runs[0]], tmp_path / "out")
    with pytest.raises(UserError, match="one class only"):
        compare([other, another(other, "again", 3)], tmp_path / "out")


def test_anyones_tables(tmp_path):
    scores, labels = anyones_tables(tmp_path)
    header, *lines = scores.read_text().splitlines()
    rows = [line.split(",") for line in lines][20:]
    write_csv(tmp_path / "other.csv", header.split(","), [[*row[:-1], -float(row[-1])] for row in rows])
    found = compare([scores, tmp_path / "other.csv"], tmp_path / "out", labels=labels, resamples=100)
    assert found["counts"]["slices"] == 180
    values = [row["auroc"]["value"] for row in found["runs"].values()]
    assert sum(values) == pytest.approx(1)
    assert found["pairs"][0]["difference"]["value"] == pytest.approx(values[0] - values[1])
    assert found["seeds"] == {}
    assert "position_rarity" in found["trivial_baselines"]

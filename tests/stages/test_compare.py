"""The stage `compare`: runs are joined by slice, unlike data is refused, the page shows what the figures say."""

import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from anomae.errors import UserError
from anomae.files import read_json, write_csv, write_json
from anomae.stages.compare import compare
from anomae.stages.evaluate_scores import evaluate_scores

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
    page = (tmp_path / "compare.html").read_text(encoding="utf-8")
    assert found["verdict"] in page
    seeds = [str(run["seed"]) for run in found["provenance"]["runs"].values()]
    differing = re.search(r'<table id="differing">(.*?)</table>', page, re.DOTALL)
    assert differing is not None
    rows = re.findall(r"<tr><th>(.+?)</th>(.*)</tr>", differing[1].partition("<tbody>")[2])
    assert {key: re.findall("<td>(.*?)</td>", values) for key, values in rows} == {"seed": seeds}
    best = max(found["runs"], key=lambda name: found["runs"][name]["auroc"]["value"])
    assert re.findall(r'<tr class="score"><th>(.*?)</th>', page) == [best]
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


def test_another_split_than_test_is_said(tmp_path):
    run = made_up_run(tmp_path)
    second = another(run, "second", 8)
    assert {
        one["split"] for one in compare([run, second], tmp_path / "out", resamples=50)["provenance"]["runs"].values()
    } == {"test"}
    index = tmp_path / "store" / "index.csv"
    index.write_text(
        index.read_text().replace("validation", "aside").replace("test", "validation").replace("aside", "test")
    )
    for one in (run, second):
        facts = read_json(one / "findings" / "findings.json")
        write_json(one / "findings" / "findings.json", {**facts, "split": "validation"})
    found = compare([run, second], tmp_path / "out", resamples=50)
    assert {one["split"] for one in found["provenance"]["runs"].values()} == {"validation"}
    said = "Not scored on the test split: run (validation), second (validation); checkpoints"
    assert any(note.startswith(said) for note in found["notes"])
    assert said in (tmp_path / "out" / "compare.html").read_text(encoding="utf-8")


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


def named_tables(folder: Path, in_labels: bool) -> list[Path]:
    """One slice of thirty patients' fifteen each, whose patients the scores name, or the labels; other.csv reversed."""
    rng = np.random.default_rng(0)
    rows = [[f"c{k}", f"p{k // 15}", rng.normal() + (k // 15 % 2), k // 15 % 2] for k in range(450)]
    head = ("case", "patient", "score", "label")
    kept = {"s": (0, 2), "o": (0, 2), "l": (0, 1, 3)} if in_labels else {"s": (0, 1, 2), "o": (0, 1, 2), "l": (0, 3)}
    for name, columns in kept.items():
        lines = [[-row[at] if name == "o" and at == 2 else row[at] for at in columns] for row in rows]
        write_csv(folder / f"{name}.csv", [head[at] for at in columns], lines)
    return [folder / "s.csv", folder / "o.csv", folder / "l.csv"]


def test_a_run_and_a_table_are_compared_on_the_labels_of_its_store(runs, tmp_path):
    index = Path(read_json(runs[0] / "run.json")["store"]) / "index.csv"
    own, second = tmp_path / "own.csv", runs[1] / "findings" / "scores.csv"
    shutil.copy(second, own)
    found = compare([runs[0], own], tmp_path / "out", labels=index, resamples=50)
    tables = compare([runs[0] / "findings" / "scores.csv", own], tmp_path / "again", labels=index, resamples=50)
    assert [*found["runs"].values()] == [*tables["runs"].values()]
    assert [*found["runs"]] == ["run", "own.csv"]
    with pytest.raises(UserError, match=r"own.csv is a table of scores and no run; name the labels .* --labels"):
        compare([runs[0], own], tmp_path / "out")
    with pytest.raises(UserError, match="is no table of scores, nor a run with finished findings"):
        compare([tmp_path, own], tmp_path / "out", labels=index)


@pytest.mark.parametrize("in_labels", [True, False])
def test_patients_may_be_named_by_either_table_as_when_one_is_evaluated(tmp_path, in_labels):
    scores, other, labels = named_tables(tmp_path, in_labels)
    found = compare([scores, other], tmp_path / "out", labels=labels, resamples=200)
    alone = evaluate_scores(scores, labels, tmp_path / "alone", resamples=200)
    assert found["provenance"]["unit"] == "patient"
    assert found["counts"]["patients"] == 30
    assert found["runs"]["s.csv"]["auroc"] == alone["slice"]["auroc"]
    assert not any("none is named" in note for note in found["notes"])


def test_tables_that_name_other_patients_are_refused_and_a_leak_is_said(tmp_path):
    scores, other, labels = named_tables(tmp_path, in_labels=False)
    other.write_text(other.read_text().replace("c7,p0,", "c7,p5,"))
    with pytest.raises(UserError, match="name different patients for the same slice"):
        compare([scores, other], tmp_path / "out", labels=labels)
    scores, labels = anyones_tables(tmp_path)
    shutil.copy(scores, tmp_path / "again.csv")
    labels.write_text(labels.read_text().replace("scan0,0,p0,", "scan0,0,p19,"))
    found = compare([scores, tmp_path / "again.csv"], tmp_path / "out", labels=labels, resamples=50)
    assert any("1 of 20 patients are in more than one split" in note for note in found["notes"])


def test_columns_of_the_labels_give_their_baselines(tmp_path):
    scores, other, labels = named_tables(tmp_path, in_labels=True)
    header, *lines = labels.read_text().splitlines()
    labels.write_text("\n".join([f"{header},body_fraction", *(f"{line},0.{line[-1]}5" for line in lines)]) + "\n")
    found = compare([scores, other], tmp_path / "out", labels=labels, resamples=50)
    assert found["trivial_baselines"]["body_fraction"]["value"] == 1
    assert "the best trivial baseline, tissue area, gives 1.000" in found["verdict"]


def test_a_folder_may_have_the_name_of_a_column_of_ours(runs, tmp_path):
    named = [tmp_path / name for name in ("mean", "merged")]
    for run, copy in zip(runs[1:], named, strict=True):
        shutil.copytree(run, copy)
        facts = read_json(copy / "run.json")
        write_json(copy / "run.json", {**facts, "store": str(runs[0].parent / "store")})
    found, plain = compare(named, tmp_path / "out", resamples=100), compare(runs[1:], tmp_path / "plain", resamples=100)
    assert [*found["runs"].values()] == [*plain["runs"].values()]
    assert found["merged"] == plain["merged"]
    assert found["trivial_baselines"] == plain["trivial_baselines"]
    assert found["pairs"][0]["difference"] == plain["pairs"][0]["difference"]

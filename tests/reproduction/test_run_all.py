"""The stage `reproduce`: cells share what they can, a failed one is tried again, the page says what was found."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from anomae.detectors.fanogan.settings import FAnoGanSettings
from anomae.detectors.method import PAPERS, SCALES, Situation
from anomae.detectors.registry import method_named
from anomae.errors import UserError
from anomae.files import read_json
from anomae.locks import locked
from anomae.recipes.overrides import overridden
from anomae.recipes.preparation import preparation_for, reproduction_preparation
from anomae.reproduction import planned_run
from anomae.reproduction import run_all as stage
from anomae.reproduction.cells import CELLS, RUNS, TABLES, chosen_cells, chosen_runs
from anomae.reproduction.chosen import runs_of_detectors
from anomae.reproduction.data_sets import REPRODUCTIONS
from anomae.reproduction.figures_of_runs import figures_of
from anomae.reproduction.planned_run import Overrides, wanted_of
from anomae.reproduction.run_all import reproduce
from anomae.slices.settings import PrepareSettings
from anomae.slices.store import SliceStore
from anomae.stages.evaluate import evaluate
from anomae.stages.score import score

from ..stages.conftest import SHORT

OVERRIDES = {PAPERS: SHORT}


def run(out: Path, only: tuple[str, ...], overrides: Overrides = OVERRIDES) -> dict[str, Any]:
    return reproduce(
        "phantom",
        "heads:8",
        out,
        only=only,
        scale="tiny",
        seed=1,
        overrides=overrides,
        resamples=100,
        estimate=False,
    )


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    out = tmp_path_factory.mktemp("reproduction")
    return out, run(out, ("table2a", "table2b"))


def test_every_cell_is_read_from_a_run_and_every_table_has_cells() -> None:
    assert {cell.run for cell in CELLS} == set(RUNS)
    assert {cell.table for cell in CELLS} | {"fig2", "fig3", "fig4"} == set(TABLES)
    assert [run.name for run in chosen_runs(chosen_cells(("table2c",)))] == ["method", "k-5-10", "k-1-5"]
    assert [run.name for run in chosen_runs(chosen_cells(("fig4",)))] == ["method"]
    assert {cell.table for cell in chosen_cells(())} == {cell.table for cell in CELLS}


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("name", RUNS)
def test_the_settings_of_every_run_hold(name: str, scale: Any) -> None:
    planned = RUNS[name]
    for data, plan in REPRODUCTIONS.items():
        side = plan.image_size[scale]
        settings = method_named(planned.detector).settings(Situation(plan.recipe[scale], "paper", (side, side)))
        given = {**planned.overrides, **planned.by_scale.get(scale, {})}
        found = overridden(settings, given)
        assert found is not None, data


@pytest.mark.parametrize("aligned", [False, True])
def test_the_tables_show_anomae_with_and_without_a_pre_trained_network(
    heads: SliceStore, monkeypatch: pytest.MonkeyPatch, aligned: bool
) -> None:
    monkeypatch.setattr(SliceStore, "aligned", aligned)
    runs = chosen_runs(chosen_cells(("anomae",)))
    found = {run.name: wanted_of(run, "small", "reproduce-small", heads, {}, 1).settings.sources for run in runs}
    mirror = ("mirror",) if aligned else ()  # compared where a midline lies in the middle
    assert found == {
        "anomae": ("features", "pixels", *mirror),
        "anomae-pixels": ("pixels", *mirror),
        "anomae-residual": ("residual", "pixels", *mirror),
    }


def test_anomae_is_a_table_of_its_own(tmp_path: Path) -> None:
    short = {"pool": 64, "head.training.steps": 4, "autoencoder.training.steps": 4}
    content = run(tmp_path, ("anomae",), {"anomae": short})
    assert content["failed"] == {}
    assert [row["run"] for row in content["cells"]] == ["anomae", "anomae-pixels", "anomae-residual"]
    assert all(row["figures"]["all"] for row in content["cells"])
    text = (tmp_path / "reproduction.md").read_text(encoding="utf-8")
    assert "## The detector anomae" in text
    assert "No label chose a checkpoint" in text


def test_the_other_architecture_of_fanogan_is_its_authors() -> None:
    planned = RUNS["fanogan-schlegl"]
    settings = method_named("fanogan").settings(Situation("brats2020", "paper", (64, 64)))
    found = overridden(settings, {**planned.overrides, **planned.by_scale["paper"]})
    assert found == FAnoGanSettings(arch="schlegl")


def test_of_a_pair_the_planned_run_wins_over_what_is_set_of_all_runs(heads: SliceStore) -> None:
    """The user was told not to set both, of which one was the program's own."""

    def training(name: str, scale: Any, recipe: str, given: dict[str, Any], part: str = "") -> Any:
        planned = RUNS.get(name) or runs_of_detectors([name], ())[name][0]
        settings = wanted_of(planned, scale, recipe, heads, {planned.detector: given}, 1).settings
        return (getattr(settings, part) if part else settings).training

    own = {"training.epochs": 2}
    assert training("fanogan", "small", "small", own).epochs == 2
    assert training("fanogan-schlegl", "small", "small", own).steps == 250
    assert training("fanogan-schlegl", "paper", "brats2020", {"training.steps": 50}).epochs == 7
    assert training("fanogan training.steps=9", "small", "small", own).steps == 9
    mixed = {"autoencoder.training.epochs": 2, "autoencoder.training.warmup_steps": 10}
    found = training("length-0.5", "small", "small", mixed, "autoencoder")
    assert (found.epochs, found.steps, found.warmup_epochs, found.warmup_steps) == (1.0, None, None, 5)


@pytest.mark.parametrize("recipe", ["small", "brats2020"])
def test_a_shortened_run_is_shortened_warm_up_included(heads: SliceStore, recipe: str) -> None:
    whole, half = (
        wanted_of(RUNS[name], "small", recipe, heads, {}, 1).settings.autoencoder.training
        for name in ("method", "length-0.5")
    )
    for name in ("epochs", "steps", "warmup_epochs", "warmup_steps"):
        before, after = getattr(whole, name), getattr(half, name)
        assert after == (None if before is None else before / 2)


def test_cells_share_the_masked_autoencoder(made: tuple[Path, dict[str, Any]]) -> None:
    out, content = made
    weights = [
        (out / "runs" / name / "fitted" / "autoencoder" / "weights.safetensors").read_bytes()
        for name in ("method", "l2", "reconstruction")
    ]
    assert weights[0] == weights[1] == weights[2]
    steps = {row["run"]: row["steps"] for row in content["cells"]}
    assert steps["method"] == {"autoencoder": 24, "classifier": 16}
    assert steps["l2"] == {"classifier": 16}  # nothing was trained twice
    assert not (out / "runs" / "method" / "cache").exists()


def test_the_tables_say_what_the_reports_say(made: tuple[Path, dict[str, Any]]) -> None:
    out, content = made
    assert read_json(out / "reproduction.json")["cells"] == content["cells"]
    rows = {row["title"]: row for row in content["cells"]}
    report = read_json(out / "runs" / "l2" / "report" / "report.json")
    assert rows["input: L2 difference"]["figures"]["all"] == report["strata"]["all"]["scores"]["score"]
    mse = read_json(out / "runs" / "method" / "report" / "report.json")["scores"]["score_mse"]["auroc"]
    assert rows["no classifier: MSE"]["figures"]["all"] == mse
    assert (rows["no classifier: MSE"]["paper"], rows["input: L1 difference"]["paper"]) == (0.614, 0.899)
    text = (out / "reproduction.md").read_text()
    assert f"| no classifier: MSE | 0.614 | {mse['value']:.3f} |" in text
    assert "Best trivial baseline on all slices" in text
    trivial_baseline = report["strata"]["all"]["best_trivial_baseline"]
    reached = report["strata"]["all"]["trivial_baselines"][trivial_baseline]["value"]
    assert text.count(f"| trivial: the best of them |  | {reached:.3f}") == 2  # in each of the tables
    assert "Table 2b" in text
    page = (out / "reproduction.html").read_text()
    assert f"{mse['value']:.3f}<" in page or f"{mse['value']:.3f} " in page
    assert page.count("data:image/png") > 10  # samples, inputs, reconstructions, differences
    assert "http://" not in page.replace("http://www.w3.org", "")


def test_what_is_finished_is_left_as_it_is(made: tuple[Path, dict[str, Any]]) -> None:
    out, content = made
    before = {path: path.stat().st_mtime_ns for path in (out / "runs").rglob("*")}
    assert run(out, ("table2a", "table2b"))["cells"] == content["cells"]
    assert {path: path.stat().st_mtime_ns for path in (out / "runs").rglob("*")} == before


@pytest.mark.parametrize("changed", [{"only": ("table2a", "table2b")}, {"detectors": ("pca",), "folds": 2}])
def test_two_never_write_one_folder_at_once(made: tuple[Path, dict[str, Any]], changed: dict[str, Any]) -> None:
    """The second showed the first one's cells as failed, in the file that both wrote."""
    out, _ = made
    before = (out / "reproduction.json").read_bytes()
    with locked(out), pytest.raises(UserError, match="Another process"):
        reproduce("phantom", "heads:8", out, scale="tiny", seed=1, estimate=False, **changed)
    assert (out / "reproduction.json").read_bytes() == before
    assert not (out / "cross_validation.json").exists()


def test_a_cell_that_fails_is_shown_and_tried_again(
    made: tuple[Path, dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    out, _ = made
    whole = planned_run.fit

    def fit(store: Path, place: Path, **options: Any) -> Path:
        if place.name == "images":
            raise FloatingPointError("a number too large | for this machine")
        return whole(store, place, **options)

    monkeypatch.setattr(planned_run, "fit", fit)
    only = ("text",)
    monkeypatch.setattr(stage, "chosen_cells", lambda _: [c for c in CELLS if c.run in ("images", "autoencoder")])
    content = run(out, only)
    failed = next(row for row in content["cells"] if row["run"] == "images")
    assert failed["failed"] == "FloatingPointError: a number too large | for this machine"
    assert failed["figures"] is None
    assert next(row for row in content["cells"] if row["run"] == "autoencoder")["figures"]["all"]
    assert "failed: FloatingPointError: a number too large \\| for this" in (out / "reproduction.md").read_text()
    monkeypatch.setattr(planned_run, "fit", whole)
    content = run(out, only)
    assert next(row for row in content["cells"] if row["run"] == "images")["figures"]["all"]
    assert content["failed"] == {}


def test_a_reproduction_that_was_moved_goes_on(made: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    """Runs that were not scored yet, and pictures of those that were, looked for the store where it had been."""
    out, content = made
    moved = tmp_path / "moved"
    shutil.copytree(out, moved)
    shutil.move(out, tmp_path / "away")
    try:
        for name in ("findings", "report"):
            shutil.rmtree(moved / "runs" / "l2" / name)
        shutil.rmtree(moved / "runs" / "l1" / "report", ignore_errors=True)
        again = run(moved, ("table2a", "table2b"))
    finally:
        shutil.move(tmp_path / "away", out)
    assert again["failed"] == {}
    assert [row["figures"] for row in again["cells"]] == [row["figures"] for row in content["cells"]]


def test_unknown_names_are_refused_with_near_misses(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="Did you mean lgg"):
        reproduce("lggg", tmp_path, tmp_path / "out")
    with pytest.raises(UserError, match="table2a"):
        reproduce("phantom", "heads:8", tmp_path / "out", only=("table2",))
    with pytest.raises(UserError, match="scale"):
        reproduce("phantom", "heads:8", tmp_path / "out", scale="smal")  # type: ignore[arg-type]
    with pytest.raises(UserError, match="Say where the files of lgg lie"):
        reproduce("lgg", None, tmp_path / "out")


def chosen(out: Path, detectors: tuple[str, ...], **changed: Any) -> dict[str, Any]:
    given = {"scale": "tiny", "seed": 1, "resamples": 100, "estimate": False}
    return reproduce("phantom", "heads:8", out, detectors=detectors, **{**given, **changed})


def test_chosen_detectors_are_a_table_with_the_spread_over_seeds_and_the_mean_score(tmp_path: Path) -> None:
    given = {"pca": {"components": 4}}
    content = chosen(tmp_path, ("pca", "mean-image"), seeds=(5, 6), overrides=given)
    names = ["pca-seed5", "pca-seed6", "mean-image-seed5", "mean-image-seed6"]
    assert list(dict.fromkeys(row["run"] for row in content["cells"])) == names
    assert {row["table"] for row in content["cells"]} == {"chosen"}
    facts = [read_json(tmp_path / "runs" / f"pca-seed{seed}" / "run.json") for seed in (5, 6)]
    assert [fact["seed"] for fact in facts] == [5, 6]
    assert {fact["settings"]["components"] for fact in facts} == {4}
    rows = {(row["run"], row["score"]): row["figures"] for row in content["cells"]}
    report = read_json(tmp_path / "runs" / "pca-seed5" / "report" / "report.json")
    for name in ("score", "score_neighbours"):
        assert rows["pca-seed5", name]["all"] == report["strata"]["all"]["scores"][name]
        values = [rows[f"pca-seed{seed}", name]["all"]["value"] for seed in (5, 6)]
        spread = content["seeds"]["pca"]["scores"][name]["seeds"]["all"]
        assert spread["values"] == pytest.approx(values)
        assert (spread["min"], spread["max"]) == pytest.approx((min(values), max(values)))
    # mean-image draws nothing: the mean of two equal scores ranks as each of them does
    same = content["seeds"]["mean-image"]["scores"]["score"]
    assert same["ensemble"]["all"]["auroc"] == rows["mean-image-seed5", "score"]["all"]
    assert same["seeds"]["all"]["min"] == same["seeds"]["all"]["max"]
    text = (tmp_path / "reproduction.md").read_text(encoding="utf-8")
    assert "## The chosen detectors" in text
    assert "| pca: mean over 2 seeds (range) | " in text
    assert "smoothed over the neighbouring slices of its scan" in text
    assert "| paper," not in text


def test_runs_of_another_store_are_not_taken_for_those_of_this(tmp_path: Path) -> None:
    """The store was removed, as the program advises where another is asked for; its runs were not."""
    before = chosen(tmp_path, ("pca",))
    shutil.rmtree(tmp_path / "store")
    content = chosen(tmp_path, ("pca", "mean-image"), seed=2)
    assert (before["failed"], list(content["failed"])) == ({}, ["pca"])
    assert "was finished with other seed, prepared slices; name a new folder, or remove it." in content["failed"]["pca"]


def test_scores_of_another_split_are_not_taken_for_those_of_the_test_split(tmp_path: Path) -> None:
    figures = [row["figures"] for row in chosen(tmp_path, ("pca",))["cells"]]
    for evaluated in (False, True):
        score(tmp_path / "runs" / "pca", split="validation")
        if evaluated:
            evaluate(tmp_path / "runs" / "pca", resamples=50)
        assert [row["figures"] for row in chosen(tmp_path, ("pca",))["cells"]] == figures
    assert read_json(tmp_path / "runs" / "pca" / "report" / "report.json")["provenance"]["split"] == "test"


def test_a_report_on_smoothed_scores_is_not_taken_for_the_methods_own(tmp_path: Path) -> None:
    figures = [row["figures"] for row in chosen(tmp_path, ("pca",))["cells"]]
    path = tmp_path / "runs" / "pca"
    evaluate(path, smoothed=True, resamples=50)
    assert figures_of(path) is None
    assert [row["figures"] for row in chosen(tmp_path, ("pca",))["cells"]] == figures
    assert "score_alone" not in read_json(path / "report" / "report.json")["scores"]


def test_chosen_detectors_that_do_not_hold_are_refused(tmp_path: Path) -> None:
    for detectors, changed, sentence in (
        (("pcaa",), {}, "Did you mean pca?"),
        (("pca", "pca"), {}, "given twice"),
        (("pca components=4 scale=1", "pca scale=1 components=4"), {}, "given twice"),
        (("pca components",), {}, "write 'NAME KEY=VALUE KEY=VALUE'"),
        (("pca components=1 components=2",), {}, "gives a setting twice"),
        (("pcaa components=1",), {}, "Did you mean pca?"),
        (("pca",), {"seeds": (1, 1)}, "given twice: 1, 1"),
        ((), {"seeds": (1, 2)}, "give --detector NAME too"),
        (("pca",), {"only": ("table1",)}, "not both"),
        (("pca",), {"overrides": {"ast": {"student_width": 8}}}, "'ast', but no run of it"),
    ):
        with pytest.raises(UserError, match=sentence):
            chosen(tmp_path / "out", detectors, **changed)
    assert not (tmp_path / "out").exists()


def test_variants_of_a_detector_stand_beside_one_another_and_are_resumed(tmp_path: Path) -> None:
    named = ("pca", "pca  components=4")
    given = {"pca": {"components": 6}}
    content = chosen(tmp_path, named, seeds=(5, 6), overrides=given)
    names = ["pca-seed5", "pca-seed6", "pca+components=4-seed5", "pca+components=4-seed6"]
    assert list(dict.fromkeys(row["run"] for row in content["cells"])) == names
    facts = [read_json(tmp_path / "runs" / name / "run.json") for name in names]
    assert [fact["settings"]["components"] for fact in facts] == [6, 6, 4, 4]  # the variant's own win
    assert {"pca, seed 5", "pca components=4, seed 6"} <= {row["title"] for row in content["cells"]}
    assert set(content["seeds"]) == {"pca", "pca components=4"}
    text = (tmp_path / "reproduction.md").read_text(encoding="utf-8")
    assert "| pca components=4: mean over 2 seeds (range) | " in text
    assert "32x32 pixels, preparation plain, recipe phantom, seed 1." in text
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "runs").rglob("*")}
    assert chosen(tmp_path, named, seeds=(5, 6), overrides=given)["cells"] == content["cells"]
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "runs").rglob("*")} == before


def test_the_folder_of_a_variant_tells_its_settings_or_is_set_apart() -> None:
    plain, short, path, other = (
        own[0].name
        for own in runs_of_detectors(
            [
                "pca",
                "anomae sources=residual,pixels,mirror",
                "rd4ad teacher.weights=/a/b",
                "rd4ad teacher.weights=_a_b",
            ],
            (),
        ).values()
    )
    assert (plain, short) == ("pca", "anomae+sources=residual,pixels,mirror")
    assert path != other
    assert "/" not in path
    assert path.startswith(f"{other}+")
    (long,) = runs_of_detectors([f"anomae lesions.families={','.join(['blob'] * 99)}"], ()).values()
    assert len(long[0].name) < 140


def test_the_other_profile_of_the_papers_method_is_a_variant(tmp_path: Path) -> None:
    """Which chooses its checkpoint by labels, and the page says so."""
    content = chosen(tmp_path, (f"{PAPERS} profile=released",), overrides=OVERRIDES)
    (name,) = {row["run"] for row in content["cells"]}
    assert content["failed"] == {}
    assert read_json(tmp_path / "runs" / name / "run.json")["profile"] == "released"
    assert content["chosen_by_labels"] == [f"{PAPERS} profile=released"]
    assert "chose the checkpoints of mae-classifier profile=released" in (tmp_path / "reproduction.md").read_text()
    with pytest.raises(UserError, match="is of the paper's method"):
        chosen(tmp_path, ("pca profile=released",))


def test_the_papers_preparation_is_plain_unless_another_is_asked_for() -> None:
    """At every scale and on every data set; what `anomae prepare` does by itself is another matter."""
    for plan in REPRODUCTIONS.values():
        settings = reproduction_preparation(plan.cohort, "plain")
        assert settings.preparation == "plain"
    assert reproduction_preparation("lgg", "plain").with_size(64) == PrepareSettings(
        image_size=(64, 64), intensity="percentile"
    )
    assert reproduction_preparation("brats2020", "plain") == PrepareSettings(
        image_size=(224, 224), intensity="percentile"
    )
    assert reproduction_preparation("luna16", "plain") == preparation_for("luna16")
    assert reproduction_preparation("lgg", "brain").scaled_by == "median"
    assert reproduction_preparation("brats2020", "brain") == preparation_for("brats2020")
    with pytest.raises(UserError, match="no brains"):
        reproduction_preparation("luna16", "brain")


def test_a_preparation_that_there_is_not_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no preparation 'skull'"):
        reproduce("phantom", "heads:8", tmp_path, preparation="skull")  # type: ignore[arg-type]

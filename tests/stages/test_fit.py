"""The stage `fit`: goes on where it stopped, refuses what it was not begun with, and leaves what scoring needs."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from anomae.detectors.registry import load_detector
from anomae.errors import UserError
from anomae.files import read_json, read_json_lines, write_json
from anomae.locks import locked
from anomae.slices.store import SliceStore
from anomae.stages.fit import fit
from anomae.stages.prepare import prepare
from anomae.training.checkpoint import read_tensors

from .conftest import SHORT


def weights_of(fitted: Path) -> dict[str, bytes]:
    return {str(path.relative_to(fitted)): path.read_bytes() for path in sorted(fitted.rglob("*.safetensors"))}


@pytest.fixture(scope="module")
def run(heads: SliceStore, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("run")
    fit(heads.folder, place, detector="mae-classifier", recipe="phantom", seed=2, overrides=SHORT)
    return place


def test_a_run_holds_what_scoring_and_reporting_need(run: Path) -> None:
    facts = read_json(run / "run.json")
    assert (facts["recipe"], facts["profile"], facts["seed"]) == ("phantom", "paper", 2)
    assert "saw no abnormal image" in facts["checkpoint_choice"]
    assert facts["settings"]["autoencoder"]["training"]["steps"] == 24
    assert {"torch", "anomae", "python"} <= facts["versions"].keys()
    assert set(weights_of(run / "fitted")) == {"autoencoder/weights.safetensors", "classifier/weights.safetensors"}
    lines = read_json_lines(run / "journal.jsonl")
    assert [line["step"] for line in lines if line["stage"] == "autoencoder"][-1] == 24
    assert [line["step"] for line in lines if line["stage"] == "classifier"][-1] == 16
    with np.load(run / "samples" / "pseudo_abnormal.npz", allow_pickle=False) as samples:
        assert samples["images"].shape == samples["pseudo_abnormal"].shape
        assert (samples["pseudo_abnormal"] != samples["reconstructions"]).any()
    assert not (run / "cache").exists()
    assert not [path for path in (run / "fitted").rglob("*.json") if "heads" in path.read_text().lower()]


@pytest.mark.parametrize("detector", ["pca", "dae"])
def test_a_fit_in_any_task_of_slurm_is_whole(
    heads: SliceStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, detector: str
) -> None:
    """`srun --ntasks=2` of two fits on one device: the second one trained to its end and left nothing."""
    task = {"NTASKS": 2, "NTASKS_PER_NODE": 2, "PROCID": 1, "LOCALID": 1, "NODEID": 0, "JOB_ID": 77}
    for name, value in task.items():
        monkeypatch.setenv(f"SLURM_{name}", str(value))
    short = {"training.steps": 4} if detector == "dae" else {}
    assert (fit(heads.folder, tmp_path / "run", detector=detector, overrides=short) / "fitted.json").exists()
    with locked(tmp_path / "other"), pytest.raises(UserError, match="Another process"):
        fit(heads.folder, tmp_path / "other", detector=detector, overrides=short)


def test_a_fitted_run_is_not_fitted_again(run: Path, heads: SliceStore) -> None:
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*")}
    fit(heads.folder, run, detector="mae-classifier", recipe="phantom", seed=2, overrides=SHORT)
    assert {path: path.stat().st_mtime_ns for path in run.rglob("*")} == before


def test_what_a_fit_left_that_was_killed_before_it_tidied_is_removed(run: Path, heads: SliceStore) -> None:
    left = [run / "cache" / "pool" / "family.npy", run / "members" / "anomae" / "cache" / "reconstructions.npy"]
    for file in left:
        file.parent.mkdir(parents=True)
        file.touch()
    again = {"detector": "mae-classifier", "recipe": "phantom", "seed": 2, "overrides": SHORT}
    fit(heads.folder, run, **again, keep_cache=True)
    assert all(file.exists() for file in left)
    fit(heads.folder, run, **again)
    assert not (run / "cache").exists()
    assert not (run / "members" / "anomae" / "cache").exists()
    (run / "members" / "anomae").rmdir()
    (run / "members").rmdir()


def test_other_settings_need_another_folder(run: Path, heads: SliceStore, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="begun with other seed"):
        fit(heads.folder, run, detector="mae-classifier", recipe="phantom", seed=3, overrides=SHORT)
    with pytest.raises(UserError, match="begun with other autoencoder"):
        fit(
            heads.folder,
            run,
            detector="mae-classifier",
            recipe="phantom",
            seed=2,
            overrides={**SHORT, "mask_ratio": 0.5},
        )
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(UserError, match="not empty"):
        fit(heads.folder, tmp_path, detector="mae-classifier", recipe="phantom", overrides=SHORT)


@pytest.mark.parametrize(
    ("began", "goes_on"),
    [("precision=bf16", "precision=fp32"), ("devices=2", "devices=1"), ("nodes=3", "nodes=1")],
)
def test_a_fit_does_not_go_on_with_other_computing(
    run: Path, heads: SliceStore, tmp_path: Path, began: str, goes_on: str
) -> None:
    """bf16 went on as fp32 without a word."""
    facts = read_json(run / "run.json")
    asked = {"detector": "mae-classifier", "recipe": "phantom", "seed": 2}
    now = dict([goes_on.split("=")])
    overrides = SHORT | {f"device.{name}": value for name, value in now.items()}
    name, value = began.split("=")
    before = {"precision": "auto", "devices": 1, "nodes": 1} | {name: int(value) if value.isdigit() else value}
    for kept in ({"computed": before}, {"computed": None, "settings": facts["settings"] | {"device": before}}):
        write_json(tmp_path / "run.json", facts | kept)
        with pytest.raises(UserError, match=rf"begun with {began} and would go on with {goes_on}; add --set device"):
            fit(heads.folder, tmp_path, overrides=overrides, **asked)
        assert not (tmp_path / "checkpoints").exists()


def test_an_ensemble_goes_on_with_another_kind_of_device_as_its_members_do(heads: SliceStore, tmp_path: Path) -> None:
    """What the setting `device` says is kept with each member too, and was taken for another setting of it."""
    asked = {"detector": "ensemble", "recipe": "phantom", "seed": 2}
    members = {"members": "pca,conv-autoencoder"}
    whole = fit(heads.folder, tmp_path / "run", overrides=members, **asked)
    (whole / "fitted.json").unlink()
    again = {**members, "device.checkpoint_minutes": 1, "device.accelerator": "cpu"}
    assert fit(heads.folder, tmp_path / "run", overrides=again, **asked) == whole
    with pytest.raises(UserError, match="begun with other settings"):
        fit(heads.folder, tmp_path / "run", overrides={**members, "pca.components": 3}, **asked)


def test_what_is_refused_at_the_start_may_be_asked_for_otherwise_in_the_same_folder(
    heads: SliceStore, tmp_path: Path
) -> None:
    """It went on to say that the run was begun with two devices, and to add --set device.devices=2."""
    with pytest.raises(UserError, match="pca trains on one device"):
        fit(heads.folder, tmp_path, detector="pca", overrides={"device.devices": 2})
    assert not list(tmp_path.iterdir())
    assert fit(heads.folder, tmp_path, detector="pca", overrides={}) == tmp_path / "fitted"


def test_a_run_says_how_it_was_computed(run: Path) -> None:
    computed = read_json(run / "run.json")["computed"]
    assert computed["precision"] in ("bf16", "fp32")
    assert (computed["devices"], computed["nodes"]) == (1, 1)


def test_images_that_cannot_be_cut_are_refused_before_anything_is_trained(heads: SliceStore, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"32x32 pixels cannot be cut into patches of 7; set classifier\.patch"):
        fit(
            heads.folder,
            tmp_path / "run",
            detector="mae-classifier",
            recipe="phantom",
            overrides={**SHORT, "classifier.patch": 7},
        )
    assert not (tmp_path / "run" / "checkpoints").exists()


# When the run begins, while the masked autoencoder learns, while its reconstructions are made, when they are there,
# while the classifier learns, at the very end.
KILLS = (
    ("replace", "run.json", 1, "before"),
    ("replace", "autoencoder.safetensors", 2, "before"),
    ("replace", "autoencoder.safetensors", 5, "after"),
    ("replace", ".chunks/00000000.npy", 1, "before"),
    ("replace", "reconstructions.npy", 1, "after"),
    ("replace", "classifier.safetensors", 1, "after"),
    ("replace", "fitted/settings.json", 1, "before"),
)
SCRIPT = """
import sys
sys.path.insert(0, {tests!r})
from forks import forked, import_what_training_does
from anomae.cli import main
sys.argv = {command!r}
import_what_training_does()
for kill in (*{kills!r}, None):
    print(forked(main, kill))
"""


def test_killed_at_any_moment_the_command_goes_on_to_the_same_weights(
    run: Path, heads: SliceStore, tmp_path: Path
) -> None:
    overrides = [f"--set={key}={value}" for key, value in SHORT.items()]
    frequent = "--set=device.checkpoint_minutes=1e-9"
    command = ["anomae", "fit", str(heads.folder), str(tmp_path / "cut")]
    command += ["--detector=mae-classifier", "--recipe=phantom", "--seed=2", *overrides, frequent]
    script = SCRIPT.format(tests=str(Path(__file__).parents[1]), command=command, kills=KILLS)
    ended = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, encoding="utf-8", timeout=600, check=False
    )
    assert ended.returncode == 0, ended.stderr
    assert [line for line in ended.stdout.splitlines() if line.lstrip("-").isdigit()] == ["-9"] * len(KILLS) + ["0"]
    assert weights_of(tmp_path / "cut" / "fitted") == weights_of(run / "fitted")
    assert not [*(tmp_path / "cut").rglob(".part-*"), *(tmp_path / "cut").rglob(".tmp*")]


def test_profile_released_runs_and_says_that_it_saw_labels(heads: SliceStore, tmp_path: Path) -> None:
    fitted = fit(
        heads.folder,
        tmp_path,
        detector="mae-classifier",
        recipe="phantom",
        profile="released",
        overrides=SHORT,
    )
    facts = read_json(tmp_path / "run.json")
    assert "labels of abnormal images were seen" in facts["checkpoint_choice"]
    chosen = read_tensors(tmp_path / "checkpoints" / "classifier-best.safetensors")
    kept = read_tensors(fitted / "classifier" / "weights.safetensors")[0]
    assert all((kept[name] == tensor).all() for name, tensor in chosen[0].items())
    assert 0 <= chosen[1]["best_value"] <= 1


@pytest.mark.parametrize(
    "overrides",
    [
        {"classifier.input": "image"},
        {"classifier.input": "reconstruction"},
        {"classifier.input": "l2"},
        {"autoencoder.mask_ratio": 0.0},
        {"autoencoder.loss_on": "all", "autoencoder.paste": False},
        {"pseudo_abnormal.per_pixel": True, "pseudo_abnormal.inside_body": True},
        {"autoencoder.masks": "covering", "classifier.pooling": "class"},
    ],
    ids=lambda overrides: next(iter(overrides)) + "=" + str(next(iter(overrides.values()))),
)
def test_every_ablation_of_the_paper_runs(heads: SliceStore, tmp_path: Path, overrides: dict[str, object]) -> None:
    from anomae.stages.score import score

    quick = {**SHORT, "autoencoder.training.steps": 4, "classifier.training.steps": 4}
    fit(
        heads.folder,
        tmp_path,
        detector="mae-classifier",
        recipe="phantom",
        overrides={**quick, **overrides},
    )
    findings = score(tmp_path)
    scores = np.load(findings / "scores.npy")
    assert np.isfinite(scores).all()
    assert (findings / "maps.npy").exists() == (overrides.get("classifier.input") != "image")


# A detector of another module that keeps what it was given.
ASKING = """
import json
from pathlib import Path
from pydantic import BaseModel
from anomae.detectors.protocol import Findings

class AskingSettings(BaseModel):
    labels: bool = True

class Fitted:
    name, map_name, description = "asking", "", ""
    def __init__(self, given): self.given = given
    def inspect(self, images): return Findings(images.mean(axis=(1, 2, 3), dtype="float64"))
    def save(self, folder):
        (folder / "settings.json").write_text(json.dumps({"detector": "asking", "given": self.given}))

class Asking:
    name, settings_type = "asking", AskingSettings
    def __init__(self, settings): self.settings = settings
    def chooses_by_labels(self): return self.settings.labels
    def fit(self, healthy, *, seed, folder, **more):
        given = {name: [len(value[0]), value[1].tolist()] for name, value in more.items()}
        return Fitted({"healthy": len(healthy), "seed": seed, **given})
    @classmethod
    def load(cls, folder, device=None):
        return Fitted(json.loads((Path(folder) / "settings.json").read_text())["given"])
"""


@pytest.mark.parametrize("labels", [True, False])
def test_labelled_validation_images_are_given_to_a_detector_that_asks_for_them(
    labels: bool, heads: SliceStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "asking_of_a_test.py").write_text(ASKING)
    monkeypatch.syspath_prepend(tmp_path)
    asked, run = "asking_of_a_test:Asking", tmp_path / "run"
    fitted = fit(heads.folder, run, detector=asked, seed=5, overrides={"labels": labels})
    given = load_detector(fitted).given  # type: ignore[attr-defined]
    assert (given.pop("healthy"), given.pop("seed")) == (len(heads.rows("train", label=0)), 5)
    known = [label for label in heads.index.label[heads.rows("validation")].tolist() if label >= 0]
    assert set(known) == {0, 1}
    assert given == ({"validation": [len(known), known]} if labels else {})
    facts = read_json(run / "run.json")
    assert ("labels of abnormal images were seen" in facts["checkpoint_choice"]) == labels
    assert (facts["detector"], facts["asked"]) == ("asking", asked)
    assert read_json(fitted / "fitted.json")["asked"] == asked


def test_a_store_without_healthy_training_slices_is_refused(tmp_path: Path) -> None:
    whole = prepare("phantom", "heads:2", tmp_path / "store", workers=0, split="whole", options={"size": "10x40x40"})
    with pytest.raises(UserError, match="no healthy slice to learn from in the train split"):
        fit(whole.folder, tmp_path / "run", detector="patchcore", recipe="phantom")

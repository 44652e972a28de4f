"""What every detector must keep, in every form: anomae.testing's suite, and that a stopped training goes on."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from anomae.detectors.anomae.settings import SOURCES
from anomae.detectors.method import Situation
from anomae.detectors.protocol import Detector
from anomae.detectors.registry import DETECTORS, load_detector, method_named
from anomae.errors import UserError
from anomae.files import read_json
from anomae.recipes.overrides import overridden
from anomae.runs.run import Run
from anomae.testing import DETECTOR_CHECKS, DetectorTrial, made_up_slices
from anomae.training.journal import Journal
from anomae.training.settings import DeviceSettings

CPU = DeviceSettings(accelerator="cpu")
SITUATION = Situation("phantom", "paper", (32, 32), aligned=True)
PAPERS: dict[str, Any] = {"autoencoder.patch": 8, "autoencoder.training.steps": 30}
CLASSIFIER: dict[str, Any] = {"classifier.training.steps": 20, "classifier.patch": 8}
ANOMAE: dict[str, Any] = {
    "pool": 96,
    "sizes": (32,),
    "heads": 2,
    "backbone": "tiny",
    "weights": "random",
    "memory.images": 5,
    "head.training.steps": 8,
    "head.training.batch": 16,
    "autoencoder.patch": 8,
    "autoencoder.training.steps": 8,
    "autoencoder.training.batch": 8,
    "hidden.width": 16,
    "hidden.depth": 1,
    "hidden.heads": 2,
    "hidden.training.steps": 8,
    "hidden.training.batch": 8,
    "denoised_size": 32,
    "denoiser.width": 8,
    "denoiser.halvings": 2,
    "denoiser.training.steps": 8,
    "denoiser.training.batch": 8,
}
GAN: dict[str, Any] = {"width": 8, "latent": 16, "critic_steps": 2}
TEACHER: dict[str, Any] = {"teacher.input_size": 32}
MEMORY: dict[str, Any] = {**TEACHER, "memory": 100, "candidates": 200}


def length(steps: int, batch: int, *trainings: str) -> dict[str, Any]:
    lengths = [(f"{name}.steps", steps) for name in trainings] + [(f"{name}.batch", batch) for name in trainings]
    return dict(lengths)


# Every detector in a form that is fitted in a second or two: what is changed of its recipe; a name before the colon.
FORMS: dict[str, dict[str, Any]] = {
    "mae-classifier": {**PAPERS, **CLASSIFIER},
    "mae": PAPERS,
    "anomae": ANOMAE,
    "anomae: all sources": {**ANOMAE, "sources": SOURCES, "sizes": (32, 40), "heads": 1, "pool": 64},
    "anomae: neighbours": {**ANOMAE, "sources": ("features", "pixels", "mirror", "neighbours")},
    "anomae: candidates": {
        **ANOMAE,
        "sources": ("features", "pixels"),
        "lesions.kind": "centre",
        "window": (0, 1),
    },
    "anovaegan": {**GAN, **length(16, 8, "training")},
    "anovaegan: original": {
        **GAN,
        **length(16, 8, "training"),
        "slope_of": "columns",
        "dropout_on": "both",
        "test_latent": "sample",
    },
    "fanogan: unified": {**GAN, **length(8, 4, "training", "encoder_training"), "arch": "unified"},
    "fanogan: schlegl": {**GAN, **length(8, 4, "training", "encoder_training"), "arch": "schlegl"},
    "rd4ad": {**TEACHER, **length(16, 8, "training")},
    "ast": {**TEACHER, **length(8, 8, "flow", "student"), "student_width": 16, "flow_width": 8},
    "patchcore": MEMORY,
    "patchcore: near": {**MEMORY, "near": 0.3},
    "dae": {**length(16, 8, "training"), "width": 8, "halvings": 2},
    "draem": {**length(16, 8, "training"), "width": 8, "segmentation_width": 8, "halvings": 2},
    "ensemble": {
        "members": "dae,pca",
        **{f"settings.dae.{key}": value for key, value in length(16, 8, "training").items()},
        "settings.dae.width": 8,
        "settings.dae.halvings": 2,
    },
    "conv-autoencoder": {**length(16, 8, "training"), "width": 8, "latent": 16},
    "pca": {"components": 8},
    "pixel-gaussian": {},
    "mean-image": {},
    "one-line: spot": {"measure": "brightest_spot_9"},
    "one-line: area": {"measure": "area"},
}
# Forms that draw nothing, or nothing but where a search begins.
SEEDLESS = ("pca", "pixel-gaussian", "mean-image", "one-line: spot", "one-line: area")
# Detectors that share a fit among several devices; each other one refuses them.
SEVERAL = ("mae-classifier", "mae", "rd4ad", "ast", "dae", "draem", "conv-autoencoder", "ensemble")
UNTRAINED = ("patchcore", "patchcore: near", *SEEDLESS)


def made(form: str, **device: Any) -> Detector:
    """A detector in this form, on the CPU.  device: further settings of the device."""
    method = method_named(form.partition(":")[0])
    where = {f"device.{key}": value for key, value in {"accelerator": "cpu", **device}.items()}
    return method.detector(overridden(method.settings(SITUATION), {**FORMS[form], **where}))


def test_every_detector_is_tested() -> None:
    assert {form.partition(":")[0] for form in FORMS} == set(DETECTORS)


@pytest.fixture(scope="module", params=list(FORMS))
def form(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def trial(form: str, tmp_path_factory: pytest.TempPathFactory) -> DetectorTrial:
    draws = form not in SEEDLESS
    folder = tmp_path_factory.mktemp("trial")
    return DetectorTrial(lambda: made(form), folder, draws=draws, refusals=(UserError,), device=CPU)


@pytest.mark.parametrize("check", DETECTOR_CHECKS)
def test_the_suite_holds(check: str, trial: DetectorTrial) -> None:
    DETECTOR_CHECKS[check](trial)


def test_on_two_processors_it_says_what_it_says_on_one(trial: DetectorTrial) -> None:
    before = torch.get_num_threads()
    images = np.concatenate([trial.images] * 3)
    torch.set_num_threads(1)
    alone = trial.fitted.inspect(images)
    torch.set_num_threads(2)
    beside = trial.fitted.inspect(images)
    torch.set_num_threads(before)
    assert np.array_equal(alone.scores, beside.scores)
    assert (alone.maps is None) == (beside.maps is None)
    assert alone.maps is None or np.array_equal(alone.maps, beside.maps)
    for name, scores in alone.other_scores.items():
        assert np.array_equal(scores, beside.other_scores[name])


def test_it_is_found_again_by_what_it_wrote(trial: DetectorTrial, tmp_path: Path) -> None:
    trial.fitted.save(tmp_path)
    loaded = load_detector(tmp_path, CPU)
    assert type(loaded) is type(trial.fitted)
    assert np.array_equal(loaded.inspect(trial.images).scores, trial.fitted.inspect(trial.images).scores)
    content = read_json(tmp_path / "settings.json")
    assert (content["channels"], content["image_size"]) == (1, [32, 32])


def test_stopped_twice_it_goes_on_to_the_same(
    form: str, trial: DetectorTrial, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.set_num_threads(1)  # trainings side by side stop after the step that each is at, and count it again
    expected = trial.fitted.inspect(trial.images).scores  # fitted before steps are counted
    take, left, taken = Journal.take, 0, 0

    def stopping(self: Journal, *given: Any, **facts: Any) -> str:
        nonlocal left, taken
        if left == 0:
            raise KeyboardInterrupt
        left, taken = left - 1, taken + 1
        return take(self, *given, **facts)

    def fit() -> Any:
        return made(form, checkpoint_minutes=1e-9).fit(made_up_slices(), seed=3, folder=tmp_path)

    monkeypatch.setattr(Journal, "take", stopping)
    # Of those with two trainings of 8 steps, the second time is in the second training.
    for steps in () if form in UNTRAINED else (5, 7):
        left = steps
        with pytest.raises(KeyboardInterrupt):
            fit()
    left = 1000
    continued = fit()
    assert np.array_equal(continued.inspect(trial.images).scores, expected)
    lengths = {line["stage"]: line["steps"] for line in Run(tmp_path).steps()}
    assert taken == sum(lengths.values())  # no step was counted twice: each fit went on from the checkpoint


@pytest.mark.parametrize("form", FORMS)
def test_nothing_to_learn_from_is_said(form: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no healthy slice"):
        made(form).fit(made_up_slices(count=0), seed=0, folder=tmp_path)


class Untouched:
    """Healthy slices that nobody may look at."""

    image_size, channels = (32, 32), 1

    def __len__(self) -> int:
        return 40

    def read(self, indices: Any) -> Any:
        raise AssertionError(f"slices {indices} were read")

    neighbours = read


@pytest.mark.parametrize("several", [{"devices": 2}, {"nodes": 2}])
@pytest.mark.parametrize("form", FORMS)
def test_several_devices_are_shared_or_refused_before_anything_is_done(
    form: str, several: dict[str, int], tmp_path: Path
) -> None:
    name = form.partition(":")[0]
    detector = made(form, **several)
    assert getattr(detector, "one_device", False) == (name not in SEVERAL)
    if name not in SEVERAL or name == "ensemble":  # one of its members, pca, trains on one
        refused = "pca" if name == "ensemble" else name
        with pytest.raises(UserError, match=rf"^{refused} trains on one device; use --set device\.devices=1"):
            detector.fit(Untouched(), seed=0, folder=tmp_path)
        assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("form", FORMS)
def test_before_it_is_fitted_it_cannot_inspect(form: str) -> None:
    assert not hasattr(made(form), "inspect")
    assert not hasattr(made(form), "save")


def test_settings_of_another_version_are_said(trial: DetectorTrial, tmp_path: Path) -> None:
    trial.fitted.save(tmp_path)
    content = json.loads((tmp_path / "settings.json").read_text())
    content["settings"]["from_the_future"] = True
    (tmp_path / "settings.json").write_text(json.dumps(content))
    with pytest.raises(UserError, match="from_the_future"):
        load_detector(tmp_path, CPU)

"""What every detector must keep: its scores depend on the image and the fitted model alone, and outlive the process."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from anomae.detectors.registry import DETECTORS, load_detector
from anomae.detectors.teacher_settings import (
    PatchMemorySettings,
    ReverseDistillationSettings,
    StudentTeacherSettings,
    TeacherSettings,
)
from anomae.errors import UserError
from anomae.recipes.named import named_recipe
from anomae.recipes.overrides import overridden
from anomae.slices.store import Slices
from anomae.training.checkpoint import save_checkpoint
from anomae.training.settings import DeviceSettings

SIDE = 32
CPU = DeviceSettings(accelerator="cpu")
SHORT = {
    "autoencoder.patch": 8, "autoencoder.training.steps": 30, "classifier.training.steps": 20, "classifier.patch": 8,
    "device.accelerator": "cpu",
}  # fmt: skip


def made_up_images(count: int, seed: int) -> np.ndarray:
    """Smooth blobs in 0..1, (count, SIDE, SIDE) float16: as a store would hold them."""
    generator = np.random.default_rng(seed)
    y, x = np.mgrid[:SIDE, :SIDE] / SIDE - 0.5
    radius = generator.uniform(0.25, 0.4, (count, 1, 1))
    stripes = np.sin(generator.uniform(8, 20, (count, 1, 1)) * x) * 0.2 + 0.6
    return (np.where(np.hypot(x, y)[None] < radius, stripes, 0.0)).astype(np.float16)


HEALTHY = Slices(made_up_images(40, 0))
NEW = made_up_images(21, 1).astype(np.float32)


TINY = TeacherSettings(backbone="tiny", weights="random", input_size=32)
FEW = {"epochs": None, "steps": 8, "batch": 8}
WITH_TEACHER: dict[str, Any] = {
    "rd4ad": ReverseDistillationSettings(
        teacher=TINY, training=ReverseDistillationSettings().training.model_copy(update=FEW), device=CPU
    ),
    "ast": StudentTeacherSettings(
        teacher=TINY, student_width=16, flow_width=8, device=CPU,
        **{stage: getattr(StudentTeacherSettings(), stage).model_copy(update=FEW) for stage in ("flow", "student")},
    ),
    "patchcore": PatchMemorySettings(teacher=TINY, memory=100, candidates=200, device=CPU),
}  # fmt: skip


def make_detector(name: str, device: DeviceSettings = CPU) -> Any:
    if name in WITH_TEACHER:
        return DETECTORS[name](WITH_TEACHER[name].model_copy(update={"device": device}))
    settings = overridden(named_recipe("phantom", "paper", (SIDE, SIDE)), SHORT).model_copy(update={"device": device})
    return DETECTORS[name](settings) if name == "mae-classifier" else DETECTORS[name](settings.autoencoder, device)


@pytest.fixture(scope="module", params=list(DETECTORS))
def fitted(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    return make_detector(request.param).fit(HEALTHY, seed=3, folder=tmp_path_factory.mktemp("fit"), shown=False)


def test_findings_have_the_shapes_that_the_protocol_says(fitted: Any) -> None:
    findings = fitted.inspect(NEW)
    assert findings.scores.shape == (len(NEW),)
    assert findings.scores.dtype == np.float64
    assert np.isfinite(findings.scores).all()
    assert len(np.unique(findings.scores)) > len(NEW) // 2
    if findings.maps is not None:
        assert findings.maps.shape == NEW.shape
        assert findings.maps.dtype == np.float32
        assert (findings.maps >= 0).all()


def test_a_score_does_not_depend_on_batch_or_order(fitted: Any) -> None:
    whole = fitted.inspect(NEW)
    alone = np.concatenate([fitted.inspect(NEW[i : i + 1]).scores for i in range(5)])
    assert np.array_equal(whole.scores[:5], alone)
    order = np.random.default_rng(0).permutation(len(NEW))
    assert np.array_equal(fitted.inspect(NEW[order]).scores, whole.scores[order])
    crowd = np.concatenate([NEW[7:9], made_up_images(40, 5).astype(np.float32)])
    assert np.array_equal(fitted.inspect(crowd).scores[:2], whole.scores[7:9])


def test_inspecting_twice_gives_the_same(fitted: Any) -> None:
    first, second = fitted.inspect(NEW), fitted.inspect(NEW)
    assert np.array_equal(first.scores, second.scores)
    if first.maps is not None:
        assert np.array_equal(first.maps, second.maps)


def test_saved_and_loaded_it_says_the_same(fitted: Any, tmp_path: Path) -> None:
    fitted.save(tmp_path)
    loaded = load_detector(tmp_path, CPU)
    assert type(loaded) is type(fitted)
    assert np.array_equal(loaded.inspect(NEW).scores, fitted.inspect(NEW).scores)
    assert not [path for path in tmp_path.rglob("*") if path.suffix in (".pkl", ".pt", ".pth", ".bin")]


@pytest.mark.parametrize("name", DETECTORS)
def test_same_seed_same_scores_other_seed_others(name: str, fitted: Any, tmp_path: Path) -> None:
    if fitted.name != name:
        return
    again = make_detector(name).fit(HEALTHY, seed=3, folder=tmp_path / "again", shown=False)
    other = make_detector(name).fit(HEALTHY, seed=4, folder=tmp_path / "other", shown=False)
    assert np.array_equal(again.inspect(NEW).scores, fitted.inspect(NEW).scores)
    assert not np.array_equal(other.inspect(NEW).scores, fitted.inspect(NEW).scores)


class Stopped(Exception):
    pass


@pytest.mark.parametrize("name", DETECTORS)
def test_a_fit_that_was_stopped_goes_on_to_the_same(
    name: str, fitted: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped in the midst of each training, by an error just after a checkpoint was written."""
    if fitted.name != name:
        return
    often, written = DeviceSettings(accelerator="cpu", checkpoint_minutes=1e-9), 0

    def save_and_stop(*everything: Any) -> None:
        nonlocal written
        save_checkpoint(*everything)
        written += 1
        if written in (3, 10):
            raise Stopped

    monkeypatch.setattr("anomae.training.loop.save_checkpoint", save_and_stop)
    stops = 0
    while True:
        try:
            continued = make_detector(name, often).fit(HEALTHY, seed=3, folder=tmp_path, shown=False)
            break
        except Stopped:
            stops += 1
    assert stops == {"patchcore": 0, "rd4ad": 1}.get(name, 2)  # nothing is trained, or not for long
    assert np.array_equal(continued.inspect(NEW).scores, fitted.inspect(NEW).scores)


@pytest.mark.parametrize("name", DETECTORS)
def test_nothing_to_learn_from_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no healthy slice"):
        make_detector(name).fit(Slices(made_up_images(0, 0)), seed=0, folder=tmp_path, shown=False)


@pytest.mark.parametrize("name", DETECTORS)
def test_an_unfitted_detector_says_so(name: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="not fitted"):
        make_detector(name).inspect(NEW)
    with pytest.raises(UserError, match="no fitted detector"):
        load_detector(tmp_path)
    (tmp_path / "settings.json").write_text(json.dumps({"detector": "strange"}))
    with pytest.raises(UserError, match="'strange'"):
        load_detector(tmp_path)

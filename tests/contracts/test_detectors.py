"""What every detector must keep: its scores depend on the image and the fitted model alone, and outlive the process."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import anomae.detectors
from anomae.detectors.anomae.detector import Anomae
from anomae.detectors.anomae.settings import SOURCES, AnomaeSettings
from anomae.detectors.anovaegan.detector import AnoVaeGan
from anomae.detectors.anovaegan.settings import AnoVaeGanSettings
from anomae.detectors.ast.detector import StudentTeacherDetector
from anomae.detectors.baselines.conv_autoencoder import ConvAutoencoderDetector
from anomae.detectors.baselines.mean_image import MeanImage
from anomae.detectors.baselines.one_line import OneLine
from anomae.detectors.baselines.pca import PrincipalComponents
from anomae.detectors.baselines.pixel_gaussian import PixelGaussian
from anomae.detectors.baselines.settings import (
    ConvAutoencoderSettings,
    MeanImageSettings,
    OneLineSettings,
    PixelGaussianSettings,
    PrincipalComponentsSettings,
)
from anomae.detectors.dae.detector import DenoisingAutoencoderDetector
from anomae.detectors.dae.settings import DenoisingSettings
from anomae.detectors.draem.detector import DraemDetector
from anomae.detectors.draem.settings import DraemSettings
from anomae.detectors.fanogan.detector import FAnoGan
from anomae.detectors.fanogan.settings import FAnoGanSettings
from anomae.detectors.patchcore.detector import PatchMemoryDetector
from anomae.detectors.rd4ad.detector import ReverseDistillationDetector
from anomae.detectors.registry import DETECTORS, load_detector
from anomae.detectors.teacher_settings import (
    PatchMemorySettings,
    ReverseDistillationSettings,
    StudentTeacherSettings,
    TeacherSettings,
)
from anomae.errors import UserError
from anomae.files import read_json_lines
from anomae.recipes.anomae_settings import anomae_settings
from anomae.recipes.named import named_recipe
from anomae.recipes.overrides import overridden
from anomae.slices.store import Slices
from anomae.training.journal import Journal
from anomae.training.settings import DeviceSettings

SIDE = 32
CPU = DeviceSettings(accelerator="cpu")
SHORT = {
    "autoencoder.patch": 8,
    "autoencoder.training.steps": 30,
    "classifier.training.steps": 20,
    "classifier.patch": 8,
    "device.accelerator": "cpu",
}


def made_up_images(count: int, seed: int) -> np.ndarray:
    """Smooth blobs in 0..1, (count, SIDE, SIDE) float16: as a store would hold them."""
    generator = np.random.default_rng(seed)
    y, x = np.mgrid[:SIDE, :SIDE] / SIDE - 0.5
    radius = generator.uniform(0.25, 0.4, (count, 1, 1))
    stripes = np.sin(generator.uniform(8, 20, (count, 1, 1)) * x) * 0.2 + 0.6
    return (np.where(np.hypot(x, y)[None] < radius, stripes, 0.0)).astype(np.float16)


# of eight scans of five slices
HEALTHY = Slices(made_up_images(40, 0), order=(np.arange(40) // 5, np.arange(40) % 5))
NEW = made_up_images(21, 1).astype(np.float32)


BRIEF = {"width": 8, "latent": 16, "critic_steps": 2, "training": {"steps": 16, "batch": 8}}
TINY = TeacherSettings(backbone="tiny", weights="random", input_size=32)
FEW = {"epochs": None, "steps": 8, "batch": 8}
SOME = {**FEW, "steps": 16}


def make_paper(name: str, device: DeviceSettings) -> Any:
    settings = overridden(named_recipe("phantom", "paper", (SIDE, SIDE)), SHORT).model_copy(update={"device": device})
    return DETECTORS[name](settings) if name == "mae-classifier" else DETECTORS[name](settings.autoencoder, device)


def make_fanogan(arch: str, device: DeviceSettings) -> Any:
    lengths = {key: {"steps": 8, "batch": 4} for key in ("training", "encoder_training")}
    return FAnoGan(FAnoGanSettings(arch=arch, **{**BRIEF, **lengths}, device=device))


def make_rd4ad(device: DeviceSettings) -> Any:
    training = ReverseDistillationSettings().training.model_copy(update=SOME)
    return ReverseDistillationDetector(ReverseDistillationSettings(teacher=TINY, training=training, device=device))


def make_ast(device: DeviceSettings) -> Any:
    stages = {name: getattr(StudentTeacherSettings(), name).model_copy(update=FEW) for name in ("flow", "student")}
    return StudentTeacherDetector(
        StudentTeacherSettings(teacher=TINY, student_width=16, flow_width=8, device=device, **stages)
    )


def make_autoencoder(device: DeviceSettings) -> Any:
    training = ConvAutoencoderSettings().training.model_copy(update=SOME)
    return ConvAutoencoderDetector(ConvAutoencoderSettings(width=8, latent=16, training=training, device=device))


def make_anomae(device: DeviceSettings, **changed: Any) -> Any:
    settings = anomae_settings("phantom", (SIDE, SIDE), aligned=True).model_dump()
    head = {**settings["head"], "training": {**settings["head"]["training"], "steps": 8, "batch": 16}}
    autoencoder = {**settings["autoencoder"], "patch": 8}
    autoencoder["training"] = {**autoencoder["training"], "steps": 8, "batch": 8}
    hidden = {"width": 16, "depth": 1, "heads": 2}
    hidden["training"] = {**settings["hidden"]["training"], "steps": 8, "batch": 8}
    few = {"pool": 128, "sizes": (32,), "heads": 2, "backbone": "tiny", "weights": "random"}
    parts = {"head": head, "autoencoder": autoencoder, "hidden": hidden, "memory": {"images": 5}}
    content = {**settings, **few, **parts, **changed}
    return Anomae(AnomaeSettings.model_validate({**content, "device": device.model_dump()}))


def make_dae(device: DeviceSettings) -> Any:
    training = DenoisingSettings().training.model_copy(update=SOME)
    return DenoisingAutoencoderDetector(DenoisingSettings(width=8, halvings=2, training=training, device=device))


def make_draem(device: DeviceSettings) -> Any:
    training = DraemSettings().training.model_copy(update=SOME)
    settings = DraemSettings(width=8, segmentation_width=8, halvings=2, training=training, device=device)
    return DraemDetector(settings)


# Every detector in a form that is fitted in a second or two; a name before the colon.
FORMS: dict[str, Callable[[DeviceSettings], Any]] = {
    "mae-classifier": lambda device: make_paper("mae-classifier", device),
    "mae": lambda device: make_paper("mae", device),
    "anomae": make_anomae,
    "anomae: all sources": lambda device: make_anomae(device, sources=SOURCES, sizes=(32, 48), heads=1),
    "anomae: neighbours": lambda device: make_anomae(device, sources=("features", "pixels", "mirror", "neighbours")),
    "anomae: candidates": lambda device: make_anomae(
        device, sources=("features", "pixels"), lesions={"kind": "centre"}, window=(0, 1)
    ),
    "anovaegan": lambda device: AnoVaeGan(AnoVaeGanSettings(**BRIEF, device=device)),
    "anovaegan: original": lambda device: AnoVaeGan(
        AnoVaeGanSettings(**BRIEF, slope_of="columns", dropout_on="both", test_latent="sample", device=device)
    ),
    "fanogan: unified": lambda device: make_fanogan("unified", device),
    "fanogan: schlegl": lambda device: make_fanogan("schlegl", device),
    "rd4ad": make_rd4ad,
    "ast": make_ast,
    "patchcore": lambda device: PatchMemoryDetector(
        PatchMemorySettings(teacher=TINY, memory=100, candidates=200, device=device)
    ),
    "patchcore: near": lambda device: PatchMemoryDetector(
        PatchMemorySettings(teacher=TINY, memory=100, candidates=200, near=0.3, device=device)
    ),
    "dae": make_dae,
    "draem": make_draem,
    "conv-autoencoder": make_autoencoder,
    "pca": lambda device: PrincipalComponents(PrincipalComponentsSettings(components=8, device=device)),
    "pixel-gaussian": lambda device: PixelGaussian(PixelGaussianSettings(device=device)),
    "mean-image": lambda device: MeanImage(MeanImageSettings(device=device)),
    "one-line: spot": lambda device: OneLine(OneLineSettings(measure="brightest_spot_9", device=device)),
    "one-line: area": lambda device: OneLine(OneLineSettings(measure="area", device=device)),
}
# Forms that draw nothing, or nothing but where a search begins.
SEEDLESS = ("pca", "pixel-gaussian", "mean-image", "one-line: spot", "one-line: area")
UNTRAINED = ("patchcore", "patchcore: near", *SEEDLESS)


def test_every_detector_is_tested() -> None:
    assert {form.partition(":")[0] for form in FORMS} == set(DETECTORS)
    assert anomae.detectors.DETECTORS is DETECTORS


def test_the_names_of_detectors_can_be_had_without_torch() -> None:
    code = "import anomae.detectors, sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


@pytest.fixture(scope="module", params=list(FORMS))
def form(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def fitted(form: str, tmp_path_factory: pytest.TempPathFactory) -> Any:
    return FORMS[form](CPU).fit(HEALTHY, seed=3, folder=tmp_path_factory.mktemp("fit"))


def test_findings_have_the_shapes_that_the_protocol_says(fitted: Any) -> None:
    findings = fitted.inspect(NEW)
    assert findings.scores.shape == (len(NEW),)
    assert "neighbours" not in findings.other_scores  # a column that the stage `score` adds
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


def test_same_seed_same_scores_other_seed_others(form: str, fitted: Any, tmp_path: Path) -> None:
    again = FORMS[form](CPU).fit(HEALTHY, seed=3, folder=tmp_path / "again")
    other = FORMS[form](CPU).fit(HEALTHY, seed=4, folder=tmp_path / "other")
    assert np.array_equal(again.inspect(NEW).scores, fitted.inspect(NEW).scores)
    if form in SEEDLESS:
        np.testing.assert_allclose(other.inspect(NEW).scores, fitted.inspect(NEW).scores, rtol=1e-3)
    else:
        assert not np.array_equal(other.inspect(NEW).scores, fitted.inspect(NEW).scores)


def test_stopped_twice_it_goes_on_to_the_same(
    form: str, fitted: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    often = DeviceSettings(accelerator="cpu", checkpoint_minutes=1e-9)
    take, left, taken = Journal.take, 0, 0

    def stopping(self: Journal, *given: Any, **facts: Any) -> str:
        nonlocal left, taken
        if left == 0:
            raise KeyboardInterrupt
        left, taken = left - 1, taken + 1
        return take(self, *given, **facts)

    monkeypatch.setattr(Journal, "take", stopping)
    # Of those with two trainings of 8 steps, the second time is in the second training.
    for steps in () if form in UNTRAINED else (5, 7):
        left = steps
        with pytest.raises(KeyboardInterrupt):
            FORMS[form](often).fit(HEALTHY, seed=3, folder=tmp_path)
    left = 1000
    continued = FORMS[form](often).fit(HEALTHY, seed=3, folder=tmp_path)
    assert np.array_equal(continued.inspect(NEW).scores, fitted.inspect(NEW).scores)
    lengths = {line["stage"]: line["steps"] for line in read_json_lines(tmp_path / "journal.jsonl")}
    assert taken == sum(lengths.values())  # no step was counted twice: each fit went on from the checkpoint


@pytest.mark.parametrize("form", FORMS)
def test_nothing_to_learn_from_is_refused(form: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no healthy slice"):
        FORMS[form](CPU).fit(Slices(made_up_images(0, 0)), seed=0, folder=tmp_path)


@pytest.mark.parametrize("form", FORMS)
def test_an_unfitted_detector_says_so(form: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="not fitted"):
        FORMS[form](CPU).inspect(NEW)
    with pytest.raises(UserError, match="no fitted detector"):
        load_detector(tmp_path)
    (tmp_path / "settings.json").write_text(json.dumps({"detector": "strange"}))
    with pytest.raises(UserError, match="'strange'"):
        load_detector(tmp_path)


def test_settings_of_another_version_are_said(fitted: Any, tmp_path: Path) -> None:
    fitted.save(tmp_path)
    content = json.loads((tmp_path / "settings.json").read_text())
    content["settings"]["from_the_future"] = True
    (tmp_path / "settings.json").write_text(json.dumps(content))
    with pytest.raises(UserError, match="from_the_future"):
        load_detector(tmp_path, CPU)

"""f-AnoGAN, both architectures: it learns what healthy looks like, then finds it; the encoder leaves the GAN alone."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from anomae.detectors.adversarial_settings import Length
from anomae.detectors.fanogan.detector import FAnoGan, FittedFAnoGan
from anomae.detectors.fanogan.method import METHOD
from anomae.detectors.fanogan.settings import FAnoGanSettings
from anomae.detectors.method import Situation
from anomae.errors import UserError
from anomae.recipes.overrides import overridden
from anomae.slices.store import Slices
from anomae.training.checkpoint import read_tensors
from anomae.training.settings import DeviceSettings

CPU = DeviceSettings(accelerator="cpu")


def settings_of(arch: str, **changes: Any) -> FAnoGanSettings:
    """Small, and long enough for stripes: of 32 pixels (unified), of 16 (schlegl)."""
    unified = arch == "unified"
    rate, steps, encoder_steps = (3e-3, 160, 70) if unified else (2e-3, 80, 100)
    small = {
        "width": 8,
        "latent": 8,
        "dropout": 0.0,
        "critic_steps": 3 if unified else 1,
        "flip": False,
        "lr": rate,
        "training": Length(steps=steps, batch=8),
        "device": CPU,
        "encoder_lr": rate,
        "encoder_training": Length(steps=encoder_steps, batch=8),
    }
    return FAnoGanSettings.model_validate({"arch": arch, **small, **changes})


@pytest.fixture(scope="module", params=["unified", "schlegl"])
def stripes(
    request: pytest.FixtureRequest, learned: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory
) -> Any:
    side = {"unified": 32, "schlegl": 16}[request.param]
    return learned(FAnoGan(settings_of(request.param)), tmp_path_factory.mktemp("fit"), side)


def test_it_rebuilds_healthy_images_and_finds_lesions(stripes: Any) -> None:
    assert stripes.error < 0.5
    assert roc_auc_score(stripes.labels, stripes.findings.scores) > 0.85


def test_the_score_is_made_of_pixels_and_features(stripes: Any) -> None:
    said, new, fitted = stripes.findings.other_scores, stripes.new, stripes.fitted.fitted
    arch = stripes.fitted.settings.arch
    assert np.array_equal(stripes.findings.scores, said["mse"] + said["features"])
    assert np.array_equal(stripes.findings.maps, np.abs(new - stripes.findings.reconstructions)[:, 0])
    for settings, expected in (
        (settings_of(arch, score="residual"), said["mse"]),
        (settings_of(arch, kappa=0.5), said["mse"] + 0.5 * said["features"]),
    ):
        other = FittedFAnoGan(settings, fitted)
        np.testing.assert_allclose(other.inspect(new).scores, expected, rtol=1e-6)
    shown = fitted.scale.shown(torch.from_numpy(new))
    rebuilt = fitted.scale.shown(torch.from_numpy(stripes.findings.reconstructions))
    with torch.no_grad():
        features = [fitted.networks["critic"].features(images) for images in (shown, rebuilt)]
        latents = [fitted.networks["encoder"](images)[0].tanh() for images in (shown, rebuilt)]
    np.testing.assert_allclose(said["features"], (features[0] - features[1]).square().mean((1, 2, 3)), rtol=1e-3)
    np.testing.assert_allclose(said["latent"], (latents[0] - latents[1]).square().mean(1), rtol=1e-3, atol=1e-6)


def test_the_encoder_leaves_generator_and_critic_as_they_were(stripes: Any) -> None:
    before, _ = read_tensors(stripes.folder / "checkpoints" / "fanogan.safetensors")
    for name in ("generator", "critic"):
        for key, tensor in stripes.fitted.fitted.networks[name].state_dict().items():
            assert torch.equal(tensor, before[f"model.{name}.{key}"]), key


def test_each_way_of_training_is_another_fit(few_stripes: Slices, tmp_path: Path) -> None:
    def weights(name: str, **settings: Any) -> bytes:
        short = {"training": Length(steps=2, batch=4), "encoder_training": Length(steps=2, batch=4)}
        detector = FAnoGan(settings_of("unified", **short, **settings))
        detector.fit(few_stripes, seed=0, folder=tmp_path / name).save(tmp_path / name / "fitted")
        return (tmp_path / name / "fitted" / "weights.safetensors").read_bytes()

    fits = [
        weights("plain"),
        weights("columns", slope_of="columns"),
        weights("fresh", critic_batches="fresh"),
        weights("flip", flip=True),
        weights("dropout", dropout=0.5),
        weights("rms", encoder_optimizer="rmsprop"),
        weights("kappa", kappa=0.0),
    ]
    assert len(set(fits)) == len(fits)
    assert weights("again") == fits[0]


def test_each_architecture_brings_its_authors_numbers() -> None:
    unified, schlegl = FAnoGanSettings(), FAnoGanSettings(arch="schlegl")
    assert (unified.width, unified.betas, unified.critic_batches, unified.flip) == (32, (0.5, 0.9), "same", False)
    assert (schlegl.width, schlegl.betas, schlegl.critic_batches, schlegl.flip) == (64, (0.0, 0.9), "fresh", True)
    assert (unified.encoder_optimizer, unified.encoder_lr) == ("adam", 1e-4)
    assert (schlegl.encoder_optimizer, schlegl.encoder_lr) == ("rmsprop", 5e-5)
    assert (schlegl.training.batch, schlegl.encoder_training.steps, schlegl.dropout) == (64, 50_000, 0.0)
    assert FAnoGanSettings(arch="schlegl", width=8).width == 8
    assert FAnoGanSettings.model_validate(schlegl.model_dump(mode="json")) == schlegl


@pytest.mark.parametrize("recipe", ["phantom", "small", "brats2020"])
def test_an_architecture_that_is_set_brings_its_authors_numbers_too(recipe: str) -> None:
    """--set arch=schlegl left the numbers of the other form, a mixture that neither authors had."""
    usual = METHOD.settings(Situation(recipe, "paper", (64, 64)))
    found = overridden(usual, {"encoder_lr": 3e-4, "arch": "schlegl"})
    authors = FAnoGanSettings(arch="schlegl")
    sizes = set() if recipe == "brats2020" else {"width", "latent", "critic_steps", "training", "encoder_training"}
    for name in set(FAnoGanSettings.model_fields) - {"encoder_lr"}:
        assert getattr(found, name) == getattr(usual if name in sizes else authors, name), name
    assert found.encoder_lr == 3e-4
    assert overridden(usual, {"arch": "schlegl"}).encoder_lr == authors.encoder_lr
    assert overridden(usual, {"arch": "unified"}) == usual


def test_sizes_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    for arch, side, said in (("unified", 15, "even sides"), ("schlegl", 50, "48, 64, 96, 128")):
        images = Slices(np.zeros((2, side, side)))
        with pytest.raises(UserError, match=said):
            FAnoGan(settings_of(arch)).fit(images, seed=0, folder=tmp_path)

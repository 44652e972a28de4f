"""The masked autoencoder as a detector, on images of one and of three channels."""

from collections.abc import Callable
from dataclasses import FrozenInstanceError
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from anomae.detectors.mae.detector import FittedMaskedAutoencoder, MaskedAutoencoderDetector
from anomae.detectors.mae.method import METHOD
from anomae.detectors.method import Situation
from anomae.detectors.settings import MaeSettings
from anomae.errors import UserError
from anomae.files import read_json
from anomae.models.reconstruction_errors import ERRORS
from anomae.recipes.overrides import overridden
from anomae.seeds import content_seed
from anomae.slices.store import Slices

SIDE = 16
SHORT = {
    "autoencoder.patch": 4,
    "autoencoder.training.steps": 40,
    "autoencoder.training.batch": 8,
    "device.accelerator": "cpu",
}


def settings_of(**changes: Any) -> Any:
    return overridden(METHOD.recipe(Situation("phantom", "paper", (SIDE, SIDE))), {**SHORT, **changes})


def waves(count: int, channels: int, seed: int) -> np.ndarray:
    """(count, channels, SIDE, SIDE) float32: stripes, each channel shifted and dimmer than the one before."""
    phase = np.random.default_rng(seed).uniform(0, 2 * np.pi, (count, 1, 1, 1))
    shift = np.arange(channels)[:, None, None]
    pattern = 0.5 + 0.4 * np.cos(4 * np.pi * np.arange(SIDE) / SIDE + phase + shift)
    return np.broadcast_to(pattern / (1 + shift), (count, channels, SIDE, SIDE)).astype(np.float32)


@pytest.fixture(scope="module", params=[1, 3])
def channels(request: pytest.FixtureRequest) -> int:
    return int(request.param)


@pytest.fixture(scope="module")
def fitted(channels: int, tmp_path_factory: pytest.TempPathFactory) -> FittedMaskedAutoencoder:
    healthy = Slices(waves(24, channels, 0))
    return MaskedAutoencoderDetector(settings_of()).fit(healthy, seed=1, folder=tmp_path_factory.mktemp("fit"))


def test_findings_are_what_the_protocol_says(fitted: FittedMaskedAutoencoder, channels: int) -> None:
    images = waves(5, channels, 2)
    findings = fitted.inspect(images)
    rebuilt = findings.reconstructions
    assert rebuilt is not None
    assert rebuilt.shape == images.shape
    assert np.array_equal(rebuilt, fitted.reconstruct(images))
    assert findings.maps is not None
    assert findings.maps.dtype == np.float32
    np.testing.assert_allclose(findings.maps, np.abs(images - rebuilt).mean(axis=1), rtol=1e-6)
    assert tuple(findings.other_scores) == ERRORS
    difference = images.astype(np.float64) - rebuilt
    np.testing.assert_allclose(findings.other_scores["mse"], (difference**2).mean(axis=(1, 2, 3)), rtol=1e-5)
    np.testing.assert_allclose(findings.other_scores["mae"], np.abs(difference).mean(axis=(1, 2, 3)), rtol=1e-5)
    assert np.array_equal(findings.scores, findings.other_scores[fitted.settings.autoencoder.error])
    assert (fitted.name, fitted.map_name) == ("mae", "absolute residual, prepared intensity")


def test_no_error_depends_on_the_batch(fitted: FittedMaskedAutoencoder, channels: int) -> None:
    """To the bit: several threads share the sum over one large image, and not that over one of many."""
    images, rebuilt = np.random.default_rng(0).random((2, 10, channels, 224, 224), dtype=np.float32)
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        whole = fitted.error_scores(images, rebuilt)
        assert whole.shape == (10, len(ERRORS))
        for size in (1, 3):
            blocks = [slice(at, at + size) for at in range(0, 10, size)]
            parts = [fitted.error_scores(images[block], rebuilt[block]) for block in blocks]
            assert np.array_equal(np.concatenate(parts), whole)
    finally:
        torch.set_num_threads(threads)


def test_what_is_visible_in_every_pass_is_given_back(tmp_path: Path) -> None:
    """Of each image, the patches pasted are its own, in all channels."""
    settings = settings_of(**{"autoencoder.passes": 1, "autoencoder.training.steps": 2})
    fitted = MaskedAutoencoderDetector(settings).fit(Slices(waves(8, 3, 0)), seed=1, folder=tmp_path)
    images = waves(6, 3, 4)
    kept = (fitted.reconstruct(images) == images).all(axis=1)  # (n, h, w): in all channels or in none
    assert np.array_equal(kept, (fitted.reconstruct(images) == images).any(axis=1))
    shares = kept.mean(axis=(1, 2))
    assert shares == pytest.approx(np.full(6, 0.25))
    assert not np.array_equal(kept, (fitted.reconstruct(images, variant=1) == images).all(axis=1))


def test_an_image_of_one_channel_has_the_masks_that_it_had_without_the_axis() -> None:
    image = waves(1, 1, 0)[0]
    assert content_seed(7, image) == content_seed(7, image[0])


def test_an_anomaly_in_any_one_channel_is_seen(tmp_path: Path) -> None:
    settings = settings_of(**{"autoencoder.training.steps": 80, "autoencoder.error": "mse"})
    fitted = MaskedAutoencoderDetector(settings).fit(Slices(waves(64, 3, 0)), seed=1, folder=tmp_path)
    healthy = waves(12, 3, 5)
    before = fitted.inspect(healthy)
    for channel in range(3):
        altered = healthy.copy()
        altered[:, channel, 4:10, 4:10] += 1.0
        after = fitted.inspect(altered)
        assert before.scores.max() < after.scores.min()
        assert after.maps is not None
        assert after.maps[:, 4:10, 4:10].mean() > 2 * after.maps[:, 12:].mean()


def test_saved_and_loaded_it_says_the_same(fitted: FittedMaskedAutoencoder, channels: int, tmp_path: Path) -> None:
    fitted.save(tmp_path)
    content = read_json(tmp_path / "settings.json")
    assert (content["detector"], content["channels"], content["image_size"]) == ("mae", channels, [SIDE, SIDE])
    loaded = MaskedAutoencoderDetector.load(tmp_path, fitted.settings.device)
    images = waves(5, channels, 2)
    assert np.array_equal(loaded.inspect(images).scores, fitted.inspect(images).scores)
    assert loaded.settings == fitted.settings


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda images: images[0], "the shape"),
        (lambda images: images[:, 0], "the shape"),
        (lambda images: images[:0], "no image"),
        (lambda images: np.concatenate([images, images], axis=1), "channel"),
        (lambda images: images[:, :, :8], "8x16"),
        (lambda images: np.pad(images, ((0, 0), (0, 0), (0, 16), (0, 16))), "32x32"),
        (lambda images: np.where(images == images.max(), np.nan, images), "not finite"),
        (lambda images: np.where(images == images.max(), np.inf, images), "not finite"),
    ],
)
def test_images_unlike_those_that_were_fitted_on_are_refused(
    change: Callable[[np.ndarray], np.ndarray], sentence: str, fitted: FittedMaskedAutoencoder, channels: int
) -> None:
    images = change(waves(3, channels, 2))
    for judge in (fitted.inspect, fitted.reconstruct):
        with pytest.raises(UserError, match=sentence):
            judge(images)


def test_what_is_fitted_does_not_change(fitted: FittedMaskedAutoencoder) -> None:
    with pytest.raises(FrozenInstanceError):
        fitted.seed = 2  # type: ignore[misc]


def test_one_detector_may_be_fitted_twice(channels: int, tmp_path: Path) -> None:
    detector, images = MaskedAutoencoderDetector(settings_of()), waves(4, channels, 3)
    first = detector.fit(Slices(waves(8, channels, 0)), seed=1, folder=tmp_path / "one")
    before = first.inspect(images).scores
    second = detector.fit(Slices(waves(8, channels, 9)), seed=2, folder=tmp_path / "two")
    assert np.array_equal(first.inspect(images).scores, before)
    assert not np.array_equal(second.inspect(images).scores, before)


def test_an_image_that_cannot_be_cut_into_patches_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"patches of 5; set autoencoder\.patch"):
        MaskedAutoencoderDetector(settings_of(**{"autoencoder.patch": 5})).fit(
            Slices(waves(4, 1, 0)), seed=0, folder=tmp_path
        )


def test_an_image_that_is_one_patch_is_refused_unless_nothing_is_to_be_hidden(tmp_path: Path) -> None:
    """It was trained as a plain autoencoder, and the run said that three quarters were hidden."""
    healthy, whole = Slices(waves(4, 1, 0)), {"autoencoder.patch": SIDE, "autoencoder.training.steps": 1}
    with pytest.raises(
        UserError, match=r"one patch of 16; set autoencoder\.patch to a divisor of the sides, 2 say, or"
    ):
        MaskedAutoencoderDetector(settings_of(**whole)).fit(healthy, seed=0, folder=tmp_path / "hidden")
    plain = settings_of(**whole, **{"autoencoder.mask_ratio": 0})
    assert MaskedAutoencoderDetector(plain).fit(healthy, seed=0, folder=tmp_path / "plain").network.patch_count == 1


@pytest.mark.parametrize("recipe", ["brats2020", "small", "phantom"])
def test_settings_hold_in_every_recipe(recipe: str) -> None:
    settings = METHOD.recipe(Situation(recipe, "paper", (64, 64)))
    assert isinstance(settings, MaeSettings)
    assert MaeSettings.model_validate_json(settings.model_dump_json()) == settings
    assert (METHOD.name, METHOD.profiles) == ("mae", ("paper",))

"""The source `denoised`: channels of the denoising autoencoder's residual on the grid of patches."""

from pathlib import Path

import numpy as np
import pytest
import torch

from anomae.detectors.anomae.denoised import Denoised, Reduced, reduced_size
from anomae.detectors.anomae.detector import Anomae
from anomae.detectors.anomae.settings import AnomaeSettings
from anomae.detectors.anomae.sources import View
from anomae.detectors.anomae.window import Window
from anomae.detectors.dae.detector import DenoisingAutoencoderDetector, FittedDenoisingAutoencoder
from anomae.detectors.dae.settings import DenoisingSettings
from anomae.errors import UserError
from anomae.models.unet import fits
from anomae.recipes.overrides import overridden
from anomae.slices.store import Slices

from .conftest import recipe_settings, three_channels

WINDOW = Window((0.0,), (1.25,))


def made(sources: str) -> AnomaeSettings:
    return AnomaeSettings.model_validate({**recipe_settings(), "sources": sources})


@pytest.fixture(scope="module")
def images(healthy: np.ndarray) -> np.ndarray:
    return three_channels(healthy)[:, :2] * np.array([1.0, 0.01], np.float32)[:, None, None]


@pytest.fixture(scope="module")
def denoiser(images: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> FittedDenoisingAutoencoder:
    settings = DenoisingSettings.model_validate({"width": 8, "training": {"steps": 40, "batch": 8, "lr": 2e-3}})
    return DenoisingAutoencoderDetector(settings).fit(Slices(images), seed=0, folder=tmp_path_factory.mktemp("fit"))


def test_residuals_have_a_sign_and_their_size_is_the_map(
    denoiser: FittedDenoisingAutoencoder, images: np.ndarray
) -> None:
    residuals = denoiser.residuals(images[:5])
    assert residuals.shape == images[:5].shape
    assert (residuals > 0).any()
    assert (residuals < 0).any()
    assert np.array_equal(denoiser.residuals(images[3:4]), residuals[3:4])
    single = DenoisingSettings.model_validate({**denoiser.settings.model_dump(), "median": 1})
    plain = FittedDenoisingAutoencoder(single, denoiser.fitted)
    spans = np.array(denoiser.fitted.scale.spans)[:, None, None]
    size = np.abs(plain.residuals(images[:5]) * spans).mean(axis=1)
    np.testing.assert_allclose(size, plain.inspect(images[:5]).maps, rtol=1e-5, atol=1e-7)


def test_healthy_slices_are_reduced_by_means(images: np.ndarray) -> None:
    assert reduced_size((128, 128), 64, 3) == (64, 64)
    assert reduced_size((128, 96), 64, 3) == (64, 48)
    assert reduced_size((32, 32), 64, 3) == (32, 32)
    assert reduced_size((30, 9), 64, 3) == (32, 8)
    slices = Slices(images)
    reduced = Reduced(slices, (16, 16))
    assert (len(reduced), reduced.channels) == (len(slices), 2)
    means = images.reshape(len(images), 2, 16, 2, 16, 2).mean((3, 5))
    np.testing.assert_allclose(reduced.read(np.arange(3)), means[:3], rtol=1e-5, atol=1e-6)
    beside = reduced.neighbours(np.arange(3))
    np.testing.assert_allclose(beside, np.repeat(means[:3, None], 2, axis=1), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("longer", "halvings", "holds"), [(8, 3, False), (11, 3, False), (12, 3, True), (64, 6, False)]
)
def test_a_size_that_cannot_be_halved_is_refused_by_the_settings(longer: int, halvings: int, holds: bool) -> None:
    """Law: what the settings allow can be halved, where images are no smaller than that."""
    chosen = {"sources": "pixels,denoised", "denoised_size": longer, "denoiser.halvings": halvings}
    assert fits(reduced_size((256, 256), longer, halvings), halvings) == holds
    if holds:
        overridden(made("pixels"), chosen)
    else:
        with pytest.raises(UserError, match=r"denoised_size is too small for denoiser\.halvings"):
            overridden(made("pixels"), chosen)
    overridden(made("pixels"), {**chosen, "sources": "pixels"})


def test_images_that_cannot_be_halved_are_refused_by_their_own_size(healthy: np.ndarray, tmp_path: Path) -> None:
    """The store's 32 px were called 64x64 pixels, and preparing them otherwise was the cure."""
    settings = overridden(made("pixels,denoised"), {"denoised_size": 128, "denoiser.halvings": 6})
    with pytest.raises(UserError, match=r"32x32 pixels are too small .* 6 times; set fewer denoiser\.halvings"):
        Anomae(settings).fit(Slices(healthy), seed=0, folder=tmp_path)


def test_channels_are_those_of_the_residual(denoiser: FittedDenoisingAutoencoder, images: np.ndarray) -> None:
    seen = WINDOW.seen(torch.from_numpy(images[:4]))
    found = Denoised(denoiser, WINDOW).of(View(seen, seen, (4, 4)))
    assert found.shape == (4, 10, 4, 4)
    residual = torch.from_numpy(denoiser.residuals(WINDOW.prepared(seen).numpy()))
    patches = residual.unflatten(3, (4, 8)).unflatten(2, (4, 8)).permute(0, 1, 2, 4, 3, 5).flatten(4)
    mean, size, highest, lowest, around = found.unflatten(1, (5, 2)).unbind(1)
    assert torch.allclose(mean, patches.mean(4), atol=1e-6)
    assert torch.allclose(size, patches.abs().mean(4), atol=1e-6)
    assert torch.equal(highest, patches.amax(4))
    assert torch.equal(lowest, -patches.amin(4))
    assert torch.allclose(around[:, :, 1, 1], mean[:, :, :3, :3].mean((2, 3)), atol=1e-6)


def test_what_is_brighter_and_what_is_darker_differ_in_sign(
    denoiser: FittedDenoisingAutoencoder, images: np.ndarray
) -> None:
    seen = WINDOW.seen(torch.from_numpy(images[:8]))
    source, means = Denoised(denoiser, WINDOW), []
    for change in (0.3, -0.3):
        altered = seen.clone()
        altered[:, 0, 8:16, 8:16] = (altered[:, 0, 8:16, 8:16] + change).clamp(0, 1)
        means.append(source.of(View(altered, altered, (4, 4)))[:, 0, 1, 1])  # signed, of the first channel
    assert (means[0] > means[1] + 0.1).all()

"""The denoising autoencoder: it finds bright discs, and its map and scores are what they are said to be."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError
from scipy.ndimage import median_filter
from sklearn.metrics import roc_auc_score

from anomae.detectors.dae.detector import DenoisingAutoencoderDetector, FittedDenoisingAutoencoder
from anomae.detectors.dae.settings import DenoisingSettings
from anomae.errors import UserError
from anomae.slices.store import Slices
from anomae.training.settings import DeviceSettings, TrainingSettings

CPU = DeviceSettings(accelerator="cpu", precision="fp32")
SHORT = TrainingSettings(steps=200, batch=8, lr=5e-3, weight_decay=0.0)
SMALL = DenoisingSettings(width=8, halvings=2, training=SHORT, device=CPU)


@pytest.fixture(scope="module")
def fitted(healthy_heads: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("fit")
    return DenoisingAutoencoderDetector(SMALL).fit(Slices(healthy_heads), seed=0, folder=folder)


@pytest.fixture(scope="module")
def findings(fitted: Any, spotted_heads: tuple[np.ndarray, ...]) -> Any:
    return fitted.inspect(spotted_heads[0][:, None])


def test_bright_spots_are_found_far_better_than_by_chance(findings: Any, spotted_heads: tuple[np.ndarray, ...]) -> None:
    """50 and 50 images: by chance 0.5, with a standard deviation of 0.06."""
    _, labels, discs = spotted_heads
    assert roc_auc_score(labels, findings.scores) > 0.75
    assert roc_auc_score(discs[50:].ravel(), findings.maps[50:].ravel()) > 0.85


def test_healthy_images_come_back(findings: Any, spotted_heads: tuple[np.ndarray, ...], healthy_heads: Any) -> None:
    plain, rebuilt = spotted_heads[0][:50], findings.reconstructions[:50, 0]
    assert np.square(rebuilt - plain).mean() < 0.5 * np.square(healthy_heads.mean(axis=0) - plain).mean()


def test_map_and_scores_by_definition(fitted: Any, findings: Any, spotted_heads: tuple[np.ndarray, ...]) -> None:
    scale = fitted.fitted.scale
    within = np.clip(spotted_heads[0], *scale.low, *scale.high)
    residual = np.abs(within - findings.reconstructions[:, 0])
    expected = np.stack([median_filter(image, 5, mode="mirror") for image in residual])
    np.testing.assert_allclose(findings.maps, expected, atol=1e-5)
    ranged = expected.reshape(100, -1) / scale.spans[0]
    highest = np.sort(ranged, axis=1)[:, -10:]  # 1 % of 1,024 pixels
    np.testing.assert_allclose(findings.other_scores["top"], highest.mean(axis=1), atol=1e-5)
    np.testing.assert_allclose(findings.other_scores["peak"], ranged.max(axis=1), atol=1e-5)
    np.testing.assert_allclose(findings.other_scores["mean"], ranged.mean(axis=1), atol=1e-5)
    assert np.array_equal(findings.scores, findings.other_scores["top"])
    other = FittedDenoisingAutoencoder(SMALL.model_copy(update={"score": "peak", "median": 1}), fitted.fitted)
    found = other.inspect(spotted_heads[0][:, None])
    np.testing.assert_allclose(found.maps, residual, atol=1e-5)
    assert np.array_equal(found.scores, found.other_scores["peak"])


def test_the_map_of_several_channels_is_the_mean_of_theirs(healthy_heads: np.ndarray, tmp_path: Path) -> None:
    """In prepared intensities, where the channels have other ranges; the scores are of the network's range."""
    images = np.stack([healthy_heads, 100 - 50 * healthy_heads, healthy_heads**2], axis=1)
    few = SMALL.model_copy(update={"training": SHORT.model_copy(update={"steps": 2})})
    fitted = DenoisingAutoencoderDetector(few).fit(Slices(images), seed=0, folder=tmp_path)
    findings, scale = fitted.inspect(images), fitted.fitted.scale
    low, high = (np.array(ends, dtype=np.float32)[:, None, None] for ends in (scale.low, scale.high))
    residuals = np.abs(np.clip(images, low, high) - findings.reconstructions)
    filtered = np.stack([median_filter(image, (1, 5, 5), mode="mirror") for image in residuals])
    np.testing.assert_allclose(findings.maps, filtered.mean(axis=1), rtol=1e-3, atol=1e-3)
    ranged = (filtered / (high - low)).mean(axis=1)
    np.testing.assert_allclose(findings.other_scores["peak"], ranged.max(axis=(1, 2)), rtol=1e-3)


def test_each_setting_of_the_noise_makes_another_fit(healthy_heads: np.ndarray, tmp_path: Path) -> None:
    few = SHORT.model_copy(update={"steps": 2})

    def weights(name: str, **changes: Any) -> bytes:
        detector = DenoisingAutoencoderDetector(SMALL.model_copy(update={"training": few, **changes}))
        detector.fit(Slices(healthy_heads), seed=0, folder=tmp_path / name).save(tmp_path / name / "fitted")
        return (tmp_path / name / "fitted" / "weights.safetensors").read_bytes()

    fits = [
        weights("plain"),
        weights("cells", noise_cells=4),
        weights("std", noise_std=0.5),
        weights("all", tissue=0.9),
    ]
    assert len(set(fits)) == len(fits)
    assert weights("again") == fits[0]


def test_what_it_cannot_do_is_said(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="12x18 pixels 2 times; prepare them with sides that are multiples of 4"):
        DenoisingAutoencoderDetector(SMALL).fit(Slices(np.zeros((4, 12, 18))), seed=0, folder=tmp_path)
    with pytest.raises(ValidationError, match="median must be odd"):
        DenoisingSettings(median=4)


def test_the_defaults_are_the_originals_numbers() -> None:
    settings = DenoisingSettings()
    assert (settings.width, settings.halvings, settings.noise_cells, settings.noise_std) == (128, 3, 16, 0.2)
    assert (settings.training.steps, settings.training.batch, settings.training.lr) == (67_200, 16, 1e-4)

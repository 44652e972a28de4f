"""The convolutional autoencoder learns: it rebuilds what it has not seen better than the mean image does."""

from pathlib import Path

import numpy as np
import pytest

from anomae.detectors.baselines.conv_autoencoder import ConvAutoencoderDetector
from anomae.detectors.baselines.mean_image import MeanImage
from anomae.detectors.baselines.settings import ConvAutoencoderSettings, MeanImageSettings
from anomae.errors import UserError
from anomae.slices.store import Slices
from anomae.training.settings import DeviceSettings, TrainingSettings

CPU = DeviceSettings(accelerator="cpu", precision="fp32")


def discs(count: int, seed: int, side: int = 16) -> np.ndarray:
    """A bright disc of some size somewhere near the middle, (count, side, side)."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:side, :side] / side - 0.5
    (at_y, at_x), radius = random.uniform(-0.2, 0.2, (2, count, 1, 1)), random.uniform(0.15, 0.3, (count, 1, 1))
    return (np.hypot(y - at_y, x - at_x) < radius).astype(np.float32)


def test_it_rebuilds_unseen_discs_better_than_their_mean_does(tmp_path: Path) -> None:
    training = TrainingSettings(steps=150, batch=8, lr=5e-3, weight_decay=0.0)
    settings = ConvAutoencoderSettings(width=8, latent=16, training=training, device=CPU)
    healthy, unseen = Slices(discs(64, 0)), discs(32, 1)[:, None]
    findings = ConvAutoencoderDetector(settings).fit(healthy, seed=0, folder=tmp_path).inspect(unseen)
    mean = MeanImage(MeanImageSettings()).fit(healthy, seed=0, folder=tmp_path).inspect(unseen)
    errors = [np.square(unseen - found.reconstructions).mean() for found in (findings, mean)]
    assert errors[0] < 0.75 * errors[1]
    # The discs are 0 and 1: the network's range is that of the images, and so are the errors.
    squared = np.square(unseen - findings.reconstructions).mean(axis=(1, 2, 3))
    np.testing.assert_allclose(findings.scores, squared, rtol=1e-5)
    np.testing.assert_array_equal(findings.scores, findings.other_scores["mse"])
    np.testing.assert_allclose(findings.other_scores["mae"], findings.maps.mean(axis=(1, 2)), rtol=1e-5)


def test_images_that_cannot_be_halved_are_refused(tmp_path: Path) -> None:
    odd = Slices(np.zeros((4, 17, 32), dtype=np.float32))
    with pytest.raises(UserError, match="17x32 pixels; prepare them with even sides"):
        ConvAutoencoderDetector(ConvAutoencoderSettings()).fit(odd, seed=0, folder=tmp_path)

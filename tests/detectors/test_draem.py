"""DRAEM: it finds bright discs, and its map and scores are what they are said to be."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.ndimage import uniform_filter
from sklearn.metrics import roc_auc_score

from anomae.detectors.draem.detector import DraemDetector, FittedDraem, box_side
from anomae.detectors.draem.settings import DraemSettings
from anomae.errors import UserError
from anomae.slices.store import Slices
from anomae.training.settings import DeviceSettings, TrainingSettings

CPU = DeviceSettings(accelerator="cpu", precision="fp32")
SHORT = TrainingSettings(steps=200, batch=8, lr=5e-3, weight_decay=0.0)
# Few steps: every sample gets an anomaly, and the image does not shine through.
SMALL = DraemSettings(
    width=8, segmentation_width=8, halvings=2, anomalous=1.0, most_seen=0.0, training=SHORT, device=CPU
)


@pytest.fixture(scope="module")
def fitted(healthy_heads: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> Any:
    return DraemDetector(SMALL).fit(Slices(healthy_heads), seed=0, folder=tmp_path_factory.mktemp("fit"))


@pytest.fixture(scope="module")
def findings(fitted: Any, spotted_heads: tuple[np.ndarray, ...]) -> Any:
    return fitted.inspect(spotted_heads[0][:, None])


def test_bright_spots_are_found_far_better_than_by_chance(findings: Any, spotted_heads: tuple[np.ndarray, ...]) -> None:
    """50 and 50 images: by chance 0.5, with a standard deviation of 0.06."""
    _, labels, discs = spotted_heads
    assert roc_auc_score(labels, findings.scores) > 0.75
    assert roc_auc_score(discs[50:].ravel(), findings.maps[50:].ravel()) > 0.85


def test_map_and_scores_by_definition(fitted: Any, findings: Any, spotted_heads: tuple[np.ndarray, ...]) -> None:
    shown = fitted.fitted.scale.shown(torch.from_numpy(spotted_heads[0][:, None]))
    with torch.no_grad():
        reconstructions, logits = fitted.fitted.networks["draem"](shown)
    expected = 1 / (1 + np.exp(-logits.double().numpy()))
    np.testing.assert_allclose(findings.maps, expected, atol=1e-4)
    scale = fitted.fitted.scale
    prepared = scale.low[0] + scale.spans[0] * reconstructions.numpy()
    np.testing.assert_allclose(findings.reconstructions, prepared, atol=1e-4)
    smooth = uniform_filter(expected, (0, 3, 3), mode="constant")  # 21 of 256 is 3 of 32
    np.testing.assert_allclose(findings.other_scores["max"], smooth.max(axis=(1, 2)), atol=1e-4)
    np.testing.assert_allclose(findings.other_scores["mean"], smooth.mean(axis=(1, 2)), atol=1e-4)
    assert np.array_equal(findings.scores, findings.other_scores["max"])
    other = FittedDraem(SMALL.model_copy(update={"score": "mean"}), fitted.fitted)
    assert np.array_equal(other.inspect(spotted_heads[0][:, None]).scores, findings.other_scores["mean"])


def test_the_box_is_21_of_256_pixels() -> None:
    assert [box_side((side, side // 2)) for side in (256, 128, 64, 32, 8)] == [21, 11, 5, 3, 1]


def test_each_setting_of_the_anomalies_makes_another_fit(healthy_heads: np.ndarray, tmp_path: Path) -> None:
    few = SHORT.model_copy(update={"steps": 2})

    def weights(name: str, **changes: Any) -> bytes:
        detector = DraemDetector(SMALL.model_copy(update={"training": few, **changes}))
        detector.fit(Slices(healthy_heads), seed=0, folder=tmp_path / name).save(tmp_path / name / "fitted")
        return (tmp_path / name / "fitted" / "weights.safetensors").read_bytes()

    fits = [
        weights("plain"),
        weights("half", anomalous=0.5),
        weights("seen", most_seen=0.8),
        weights("gamma", gamma=0.0),
        weights("tissue", tissue=0.9),
    ]
    assert len(set(fits)) == len(fits)
    assert weights("again") == fits[0]


def test_what_it_cannot_do_is_said(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="12x18 pixels 2 times; prepare them with sides"):
        DraemDetector(SMALL).fit(Slices(np.zeros((4, 12, 18))), seed=0, folder=tmp_path)


def test_the_defaults_are_the_originals_numbers() -> None:
    settings = DraemSettings()
    assert (settings.width, settings.segmentation_width, settings.anomalous, settings.most_seen) == (128, 64, 0.5, 0.8)
    assert (settings.training.epochs, settings.training.batch, settings.training.lr) == (700, 8, 1e-4)

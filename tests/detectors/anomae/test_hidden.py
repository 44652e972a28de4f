"""The source `hidden`: learns to predict features of healthy patches, and does not expect foreign ones."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from anomae.detectors.anomae.evidence import Evidence
from anomae.detectors.anomae.hidden import Hidden, fit_hidden, read_hidden, written_hidden
from anomae.detectors.anomae.settings import AnomaeSettings
from anomae.detectors.anomae.sources import Features, make_backbone
from anomae.detectors.anomae.window import Window
from anomae.files import read_json_lines
from anomae.slices.store import Slices
from anomae.training.devices import make_fabric

from .conftest import one_channel, recipe_settings, three_channels

WINDOW = Window((0.0,), (1.0,))
SHORT: dict[str, Any] = {"steps": 150, "batch": 16, "lr": 3e-3, "warmup_steps": 10}


def settings(**hidden: Any) -> AnomaeSettings:
    changed = {"sources": ("hidden",), "sizes": (64,), "device": {"accelerator": "cpu", "precision": "fp32"}}
    small = {"width": 64, "depth": 2, "heads": 2, "training": SHORT}
    return AnomaeSettings.model_validate({**recipe_settings(), **changed, "hidden": {**small, **hidden}})


def fit(healthy: np.ndarray, folder: Path, seed: int = 0, **hidden: Any) -> Hidden:
    chosen, generator = settings(**hidden), torch.Generator().manual_seed(0)
    few = torch.from_numpy(healthy[:8]).clamp(0, 1).flatten(0, 1)
    features = Features("tiny", *make_backbone("tiny", "random", generator, few))
    fabric = make_fabric(chosen.device)
    return fit_hidden(chosen, 64, Slices(healthy), features, WINDOW, seed, folder, fabric)


def evidence_of(source: Hidden, images: torch.Tensor) -> torch.Tensor:
    with torch.inference_mode():
        return Evidence([source], (64, 64), 8).raw(images)


@pytest.fixture(scope="module")
def fitted(healthy: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> tuple[Hidden, Path]:
    folder = tmp_path_factory.mktemp("hidden")
    return fit(healthy, folder), folder


@pytest.fixture
def new(spotted_heads: tuple[np.ndarray, np.ndarray, np.ndarray]) -> torch.Tensor:
    """Healthy heads that it was not trained on."""
    return torch.from_numpy(one_channel(spotted_heads[0][spotted_heads[1] == 0])).clamp(0, 1)


def test_it_expects_healthy_patches_better_than_their_mean_does(fitted: tuple[Hidden, Path], new: torch.Tensor) -> None:
    source, folder = fitted
    found = evidence_of(source, new)
    assert found.shape == (len(new), 4, 8, 8)
    with torch.inference_mode():
        scaled = source.network.scaled(source.features.of(Evidence([], (64, 64), 8).view(new)))
    assert float(found[:, 0].square().mean()) < 0.6 * float(scaled.square().mean())  # 0 is the mean of healthy patches
    lines = [line for line in read_json_lines(folder / "journal.jsonl") if line["stage"] == "hidden-64"]
    assert lines[-1]["step"] == 150
    assert lines[-1]["loss"] < lines[0]["loss"]


def test_a_foreign_patch_is_less_expected(fitted: tuple[Hidden, Path], new: torch.Tensor) -> None:
    source, altered = fitted[0], new.clone()
    random = torch.Generator().manual_seed(3)
    altered[:, 0, 12:16, 16:20] = torch.rand(len(new), 4, 4, generator=random)
    before, after = evidence_of(source, new), evidence_of(source, altered)
    grown = (after - before).mean(dim=0)  # (4, gh, gw)
    assert (grown[:, 3, 4] > 0.2 * before.mean(dim=(0, 2, 3))).all()
    assert grown[0, 3, 4] > 5 * grown[0].abs().mean()
    assert (after[:, 0, 3, 4] > before[:, 0, 3, 4]).float().mean() > 0.9


def test_channels_belong_together(fitted: tuple[Hidden, Path], new: torch.Tensor) -> None:
    root, absolute, away, around = evidence_of(fitted[0], new).unbind(1)
    assert (root >= absolute - 1e-6).all()
    assert (torch.stack([absolute, away]) >= 0).all()
    assert torch.allclose(around[:, 3, 4], root[:, 2:5, 3:6].mean((1, 2)), atol=1e-5)
    assert torch.allclose(around[:, 0, 0], root[:, :2, :2].mean((1, 2)), atol=1e-5)


def test_masks_are_of_the_image_and_the_seed(fitted: tuple[Hidden, Path], new: torch.Tensor) -> None:
    source = fitted[0]
    whole = evidence_of(source, new)
    order = torch.arange(len(new)).flip(0)
    assert torch.allclose(evidence_of(source, new[order]), whole[order], atol=1e-5)
    other = Hidden(source.features, source.network, source.settings, source.seed + 1)
    changed = evidence_of(other, new)
    assert not torch.allclose(changed[:, 0], whole[:, 0], atol=1e-3)
    assert torch.allclose(changed[:, 2], whole[:, 2], atol=1e-5)  # which needs no mask


def test_the_same_seed_gives_the_same_and_it_outlives_the_process(
    fitted: tuple[Hidden, Path], healthy: np.ndarray, new: torch.Tensor, tmp_path: Path
) -> None:
    source, _ = fitted
    again = fit(healthy, tmp_path)
    assert torch.equal(evidence_of(again, new), evidence_of(source, new))
    (read,) = read_hidden(written_hidden([source]), settings(), (32, 32), source.features, source.seed)
    assert torch.equal(evidence_of(read, new), evidence_of(source, new))


def test_squares_of_patches_may_be_hidden(healthy: np.ndarray, new: torch.Tensor, tmp_path: Path) -> None:
    source = fit(healthy, tmp_path, block=3, passes=4, mask_ratio=0.25, training={**SHORT, "steps": 3})
    assert torch.isfinite(evidence_of(source, new)).all()


def test_features_of_all_channels_are_expected_together(healthy: np.ndarray, tmp_path: Path) -> None:
    images = np.clip(three_channels(healthy) / np.array([1, 120, 8])[:, None, None], 0, 1).astype(np.float32)
    source = fit(images, tmp_path, training={**SHORT, "steps": 3})
    assert len(source.network.mean) == 3 * (16 + 32 + 64)
    found = evidence_of(source, torch.from_numpy(images[:3]))
    assert found.shape == (3, 4, 8, 8)
    other = torch.from_numpy(images[:3])
    other[:, 2, 12:16, 16:20] = 0
    assert not torch.allclose(evidence_of(source, other)[:, :, 3, 4], found[:, :, 3, 4])


@pytest.mark.parametrize("wrong", [{"passes": 1}, {"mask_ratio": 0}, {"mask_ratio": 1}, {"heads": 3}, {"block": 5}])
def test_settings_that_cannot_be_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        settings(**wrong)

"""The memory of patches with `near`: neighbours from about a patch's own place, and a memory spread over all places."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from anomae.detectors.patchcore import detector as module
from anomae.detectors.patchcore.detector import FittedPatchMemory, PatchMemoryDetector
from anomae.detectors.teacher_settings import PatchMemorySettings, TeacherSettings
from anomae.errors import UserError
from anomae.files import read_json, write_json
from anomae.models.patch_memory import patch_features
from anomae.progress import Console, reporting
from anomae.slices.store import Slices
from anomae.training.settings import DeviceSettings

TINY = TeacherSettings(backbone="tiny", weights="random", input_size=64)  # 8 x 8 places
CPU = DeviceSettings(accelerator="cpu", precision="fp32")


def fit(healthy: np.ndarray, folder: Path, **settings: Any) -> FittedPatchMemory:
    chosen = PatchMemorySettings(**{"teacher": TINY, "memory": 500, "candidates": 1000, "sigma": 0.0, **settings})
    detector = PatchMemoryDetector(chosen.model_copy(update={"device": CPU}))
    return detector.fit(Slices(healthy), seed=0, folder=folder)


def test_several_devices_are_refused(healthy_heads: np.ndarray, tmp_path: Path) -> None:
    two = PatchMemorySettings(teacher=TINY).model_copy(update={"device": DeviceSettings(accelerator="cpu", devices=2)})
    with pytest.raises(UserError, match="on one device"):
        PatchMemoryDetector(two).fit(Slices(healthy_heads), seed=0, folder=tmp_path)


def test_distances_by_definition(healthy_heads: np.ndarray, tmp_path: Path) -> None:
    """Every patch of five images kept; the images that are scored are as large as the teacher's input."""
    images = np.kron(healthy_heads, np.ones((1, 2, 2), np.float32))
    detector = fit(images[:5], tmp_path, near=0.25, memory=5 * 64)
    features = patch_features(detector.teacher.levels(torch.from_numpy(images[:12, None]))).double().numpy()
    known, new = (part.reshape(len(part), 96, 64).transpose(0, 2, 1) for part in (features[:5], features[5:]))
    expected = np.empty((7, 64))
    for place in range(64):
        near = [at for at in range(64) if np.hypot(at // 8 - place // 8, at % 8 - place % 8) <= 0.25 * 8]
        away = np.linalg.norm(new[:, place][:, None] - known[:, near].reshape(1, -1, 96), axis=2)
        expected[:, place] = away.min(axis=1)
    found = detector.inspect(images[5:12, None])
    np.testing.assert_allclose(found.other_scores["max"], expected.max(axis=1), atol=1e-3)
    np.testing.assert_allclose(found.other_scores["mean"], expected.mean(axis=1), atol=1e-3)
    anywhere = fit(images[:5], tmp_path, memory=5 * 64).inspect(images[5:12, None])
    assert (found.scores >= anywhere.scores - 1e-5).all()
    assert found.other_scores["mean"].sum() > anywhere.other_scores["mean"].sum()


def test_the_map_lies_where_the_patches_do(
    healthy_heads: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was stretched outwards, so that what was found near a border lay beside what it was found in."""
    detector = fit(healthy_heads[:5], tmp_path, score="smoothed")

    def one_patch(patches: torch.Tensor, *_: Any) -> torch.Tensor:
        distances = torch.zeros(len(patches))
        distances[8 * 1 + 6] = 1.0  # second row, seventh column of 8 x 8 patches
        return distances

    monkeypatch.setattr(module, "nearest_distance", one_patch)
    maps = detector.inspect(healthy_heads[:1, None]).maps
    assert maps is not None
    pixels = np.arange(32)
    centroid = [(maps[0].sum(axis=1) * pixels).sum(), (maps[0].sum(axis=0) * pixels).sum()] / maps[0].sum()
    assert centroid == pytest.approx((4 * 1 + 1.5, 4 * 6 + 1.5), abs=0.01)


def test_what_is_healthy_elsewhere_alone_lies_farther_from_a_memory_that_knows_places(tmp_path: Path) -> None:
    """A soft spot, in healthy images at one of two places, in the abnormal ones at a third."""
    random = np.random.default_rng(0)
    y, x = np.mgrid[:64, :64]

    def images(count: int, *places: tuple[int, int]) -> np.ndarray:
        noise = random.normal(0, 0.01, (count, 64, 64))
        spots = sum(np.exp(-0.5 * ((y - top) ** 2 + (x - left) ** 2) / 16) for top, left in places)
        return (noise + spots).astype(np.float32)

    # Spots lie on the same part of a patch and as far from the border, so that features differ in place alone.
    healthy = np.concatenate([images(20, (24, 24)), images(20, (24, 40))])
    new = np.concatenate([images(20, (24, 24)), images(20, (40, 24))])

    def rise(near: float | None) -> float:
        """How much farther from memory those of a new place lie, in distances of the healthy ones."""
        scores = fit(healthy, tmp_path, near=near, memory=2560, candidates=2560).inspect(new[:, None]).scores
        return float(np.median(scores[20:]) / np.median(scores[:20]))

    assert rise(0.15) > 1.2 * rise(None)


@pytest.mark.parametrize("subset", ["coreset", "random"])
def test_the_memory_is_spread_over_all_places(subset: str, healthy_heads: np.ndarray, tmp_path: Path) -> None:
    detector = fit(healthy_heads, tmp_path, near=0.0, memory=128, candidates=1500, subset=subset)
    assert detector.positions is not None
    assert detector.memory.shape == (128, 96)
    assert torch.bincount(detector.positions, minlength=64).tolist() == [2] * 64
    assert detector.memory.unique(dim=0).shape[0] > 64
    again = fit(healthy_heads, tmp_path, near=0.0, memory=128, candidates=1500, subset=subset)
    assert torch.equal(again.memory, detector.memory)


def test_without_near_nothing_new_is_kept(healthy_heads: np.ndarray, tmp_path: Path) -> None:
    fit(healthy_heads, tmp_path, near=None).save(tmp_path)
    assert b'"positions"' not in (tmp_path / "memory.safetensors").read_bytes()
    named = fit(healthy_heads, tmp_path, near=0.1)
    assert (
        named.description
        == "PatchCore-style memory of patches within 0.1 of the side (tiny residual network, random frozen)"
    )


def test_a_memory_of_features_that_were_taken_otherwise_is_refused(healthy_heads: np.ndarray, tmp_path: Path) -> None:
    fit(healthy_heads[:5], tmp_path).save(tmp_path)
    assert PatchMemoryDetector.load(tmp_path).memory.shape == (320, 96)
    content = read_json(tmp_path / "settings.json")
    write_json(tmp_path / "settings.json", {key: value for key, value in content.items() if key != "beyond"})
    with pytest.raises(UserError, match="fit it again"):
        PatchMemoryDetector.load(tmp_path)


@pytest.mark.parametrize("score", ["max", "mean", "smoothed"])
def test_a_memory_whose_maps_were_made_otherwise_says_so(
    score: str, healthy_heads: np.ndarray, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Thresholds of its stretched maps were held against new maps without a word."""
    fitted = fit(healthy_heads[:5], tmp_path, score=score)
    fitted.save(tmp_path)
    with reporting(Console()):
        PatchMemoryDetector.load(tmp_path)
    assert capsys.readouterr().err == ""
    content = read_json(tmp_path / "settings.json")
    write_json(tmp_path / "settings.json", {key: value for key, value in content.items() if key != "enlarged"})
    if score == "smoothed":
        with pytest.raises(UserError, match="enlarges otherwise; fit a new run"):
            PatchMemoryDetector.load(tmp_path)
        return
    images = healthy_heads[5:9, None]
    with reporting(Console()):
        found = PatchMemoryDetector.load(tmp_path, CPU).inspect(images)
    assert np.array_equal(found.scores, fitted.inspect(images).scores)
    assert capsys.readouterr().err.count("its scores hold, but thresholds on maps") == 1

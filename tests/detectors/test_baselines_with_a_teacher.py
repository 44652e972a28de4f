"""RD4AD, AST and the memory of patches: better than chance where they must be, and maps and scores by definition."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from sklearn.metrics import roc_auc_score

from anomae.detectors.ast.detector import FittedStudentTeacher
from anomae.detectors.patchcore.detector import FittedPatchMemory
from anomae.detectors.rd4ad.detector import FittedReverseDistillation
from anomae.detectors.registry import DETECTORS
from anomae.detectors.teacher_settings import (
    PatchMemorySettings,
    ReverseDistillationSettings,
    StudentTeacherSettings,
    TeacherSettings,
)
from anomae.errors import UserError
from anomae.models.patch_memory import patch_features
from anomae.slices.store import Slices
from anomae.training.settings import DeviceSettings, TrainingSettings

CPU = DeviceSettings(accelerator="cpu", precision="fp32")
TINY = TeacherSettings(backbone="tiny", weights="random", input_size=64)


def steps(count: int, lr: float, **others: Any) -> TrainingSettings:
    return TrainingSettings(steps=count, batch=8, lr=lr, min_lr=lr, weight_decay=0.0, **others)


SMALL: dict[str, Any] = {
    "rd4ad": ReverseDistillationSettings(
        teacher=TINY, sigma=2.0, training=steps(60, 0.005, betas=(0.5, 0.999)), device=CPU
    ),
    "ast": StudentTeacherSettings(
        teacher=TINY, flow_width=16, student_width=32, flow=steps(40, 0.002), student=steps(100, 0.002), device=CPU
    ),
    "patchcore": PatchMemorySettings(teacher=TINY, memory=500, candidates=1000, sigma=2.0, device=CPU),
}


@pytest.fixture(scope="module", params=SMALL)
def fitted(request: pytest.FixtureRequest, healthy_heads: np.ndarray, tmp_path_factory: Any) -> Any:
    detector = DETECTORS[request.param].detector(SMALL[request.param])
    return detector.fit(Slices(healthy_heads), seed=0, folder=tmp_path_factory.mktemp("fit"))


@pytest.fixture(scope="module")
def findings(fitted: Any, spotted_heads: tuple[np.ndarray, ...]) -> Any:
    return fitted.inspect(spotted_heads[0][:, None])


def test_bright_spots_are_found_far_better_than_by_chance(
    fitted: Any, findings: Any, spotted_heads: tuple[np.ndarray, ...]
) -> None:
    """50 and 50 images: by chance 0.5, with a standard deviation of 0.06; of 50 pairs 25, with one of 3.5."""
    _, labels, discs = spotted_heads
    assert roc_auc_score(labels, findings.scores) > 0.75
    plain, spotted = findings.maps[labels == 0], findings.maps[labels == 1]
    hotter = [
        there[disc].mean() > before[disc].mean() for before, there, disc in zip(plain, spotted, discs[50:], strict=True)
    ]
    assert np.mean(hotter) > 0.8


@pytest.mark.parametrize(("name", "length"), [("rd4ad", "training"), ("ast", "student")])
def test_a_batch_norm_of_one_position_is_refused_before_anything_is_trained(
    name: str, length: str, healthy_heads: np.ndarray, tmp_path: Path
) -> None:
    """It ended as a defect of the program, within the first step; one image of several positions is enough."""
    small = SMALL[name].model_copy(update={"teacher": TINY.model_copy(update={"input_size": 32})})
    for more, refused in (({"batch": 1}, True), ({"batch": 2, "accumulate": 2}, True), ({"batch": 2}, False)):
        training = getattr(small, length).model_copy(update={"steps": 1, **more})
        settings = small.model_copy(update={length: training})
        detector, folder = DETECTORS[name].detector(settings), tmp_path / str(more)
        if refused:
            with pytest.raises(UserError, match=f"a batch norm needs two; set a larger {length}.batch"):
                detector.fit(Slices(healthy_heads), seed=0, folder=folder)
            assert not folder.exists()
        else:
            detector.fit(Slices(healthy_heads), seed=0, folder=folder)


def test_it_says_which_teacher_it_has(fitted: Any, tmp_path: Path) -> None:
    assert "tiny residual network, random frozen" in fitted.description
    fitted.save(tmp_path)
    assert '"teacher": "tiny residual network, random frozen"' in (tmp_path / "settings.json").read_text()
    assert DETECTORS[fitted.name].detector.load(tmp_path, CPU).description == fitted.description


def test_the_chosen_score_is_one_of_those_given(fitted: Any, findings: Any) -> None:
    assert set(findings.other_scores) == {"max", "mean"} | ({"smoothed"} if fitted.name == "patchcore" else set())
    assert np.array_equal(findings.scores, findings.other_scores["max"])
    assert (findings.other_scores["mean"] <= findings.other_scores["max"]).all()


def fit(name: str, healthy: np.ndarray, folder: Path, **changes: Any) -> Any:
    few = {"training": steps(2, 0.005), "flow": steps(2, 0.01), "student": steps(2, 0.01)}
    settings = SMALL[name]
    update = {key: value for key, value in few.items() if hasattr(settings, key)} | changes
    detector = DETECTORS[name].detector(settings.model_copy(update=update))
    return detector.fit(Slices(healthy), seed=0, folder=folder)


@pytest.mark.parametrize("combine", ["sum", "product"])
def test_map_and_score_of_rd4ad_by_definition(combine: str, healthy_heads: np.ndarray, tmp_path: Path) -> None:
    """Against numpy and scipy; the image is as large as the teacher's input, so the map is shown as it was made."""
    images = np.kron(healthy_heads[:6], np.ones((1, 2, 2), np.float32))
    detector: FittedReverseDistillation = fit("rd4ad", images, tmp_path, combine=combine)
    found = detector.inspect(images[:, None])
    with torch.no_grad():
        taught = detector.teacher.levels(torch.from_numpy(images[:, None]))
        decoded = detector.network(taught)
    large = []
    for a, b in zip(taught, decoded, strict=True):
        a, b = a.double().numpy(), b.double().numpy()
        cosine = (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
        places = np.linspace(0, cosine.shape[1] - 1, 64)  # aligned corners
        low = np.minimum(places.astype(int), cosine.shape[1] - 2)
        weights = np.zeros((64, cosine.shape[1]))
        weights[np.arange(64), low] = 1 - (places - low)
        weights[np.arange(64), low + 1] = places - low
        large.append(weights @ (1 - cosine) @ weights.T)
    combined = np.sum(large, axis=0) if combine == "sum" else np.prod(large, axis=0)
    expected = gaussian_filter(combined, (0, 2.0, 2.0))
    assert np.allclose(found.maps, expected, atol=1e-5)
    assert np.allclose(found.scores, expected.max(axis=(1, 2)), atol=1e-5)
    assert np.allclose(found.other_scores["mean"], expected.mean(axis=(1, 2)), atol=1e-5)


def test_map_and_score_of_ast_by_definition(healthy_heads: np.ndarray, tmp_path: Path) -> None:
    images = healthy_heads[:6]
    detector: FittedStudentTeacher = fit("ast", images, tmp_path, teacher=TINY.model_copy(update={"input_size": 96}))
    found = detector.inspect(images[:, None])
    features = detector.teacher.levels(torch.from_numpy(images[:, None]))[0]
    cached = np.load(tmp_path / "cache" / "features.npy")
    assert np.allclose(cached, features.numpy(), atol=1e-4)
    angles = np.arange(3)[:, None] * 10000 ** (-2 * np.arange(8) / 16)
    line = np.concatenate([np.sin(angles), np.cos(angles)], axis=1)  # (3, 16)
    where = np.empty((1, 32, 3, 3), np.float32)
    where[0, :16], where[0, 16:] = line.T[:, None, :], line.T[:, :, None]  # x, then y
    with torch.no_grad():
        condition = torch.from_numpy(where).expand(6, -1, -1, -1)
        taught, _ = detector.networks["flow"](features, condition)
        expected = (taught - detector.networks["student"](features, condition)).square().mean(dim=1).numpy()
    assert np.allclose(found.scores, expected.max(axis=(1, 2)), rtol=1e-4)
    assert np.allclose(found.other_scores["mean"], expected.mean(axis=(1, 2)), rtol=1e-4)
    assert found.maps is not None
    assert found.maps.shape == images.shape


@pytest.mark.parametrize("subset", ["random", "coreset"])
def test_a_memory_of_all_patches_knows_the_images_it_saw(
    subset: str, healthy_heads: np.ndarray, tmp_path: Path
) -> None:
    images = healthy_heads[:6]
    detector: FittedPatchMemory = fit("patchcore", images, tmp_path, memory=6 * 64, subset=subset)
    features = patch_features(detector.teacher.levels(torch.from_numpy(images[:, None])))  # (6, 96, 8, 8)
    assert torch.allclose(detector.memory, features.permute(0, 2, 3, 1).reshape(-1, 96), atol=1e-4)
    assert detector.inspect(images[:, None]).scores.max() < 1e-3
    assert detector.inspect(images[:, None, ::-1].copy()).scores.min() > 0.1


def test_a_memory_keeps_no_more_than_it_may(healthy_heads: np.ndarray, tmp_path: Path) -> None:
    for subset in ("random", "coreset"):
        detector = fit("patchcore", healthy_heads, tmp_path, memory=30, candidates=100, subset=subset)
        assert detector.memory.shape == (30, 96)
        assert len(torch.unique(detector.memory, dim=0)) == 30

"""The teacher: what it is shown, what it says of itself, and that it comes back from disk as it was."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from anomae.detectors.teacher import Teacher
from anomae.detectors.teacher_settings import TeacherSettings
from anomae.errors import MissingExtra, UserError
from anomae.slices.store import Slices

TINY = TeacherSettings(backbone="tiny", weights="random", input_size=64)


def test_the_window_is_measured_on_normals_and_cuts_off(healthy_heads: np.ndarray) -> None:
    settings = TINY.model_copy(update={"percentiles": (1.0, 99.0)})
    teacher = Teacher.of_normals(settings, (8,), Slices(healthy_heads), 0)
    assert teacher.windows[0] == pytest.approx(tuple(np.percentile(healthy_heads, (1, 99))))
    low, high = teacher.windows[0]
    flat = [torch.full((1, 1, 32, 32), value) for value in (low - 1, low, (low + high) / 2, high, high + 1)]
    red = [float(teacher.pictures(image)[0, 0, 5, 5]) * 58.395 + 123.675 for image in flat]
    assert red == pytest.approx([0, 0, 127.5, 255, 255], abs=1e-3)


def test_any_scale_of_intensity_gives_the_same_pictures(healthy_heads: np.ndarray) -> None:
    one, other = healthy_heads, healthy_heads * 350 - 1000
    pictures = [
        Teacher.of_normals(TINY, (8,), Slices(images), 0).pictures(torch.from_numpy(images[:4, None]))
        for images in (one, other)
    ]
    assert torch.allclose(*pictures, atol=1e-3)


@pytest.mark.parametrize(("shape", "size"), [((32, 32), (64, 64)), ((48, 96), (32, 64)), ((100, 10), (64, 32))])
def test_the_longer_side_becomes_the_input_size(shape: tuple[int, int], size: tuple[int, int]) -> None:
    images = np.random.default_rng(0).random((3, 1, *shape), dtype=np.float32)
    teacher = Teacher.of_normals(TINY, (4, 32), Slices(images), 0)
    assert teacher.size == size
    assert teacher.pictures(torch.from_numpy(images)).shape == (3, 3, *size)
    assert [level.shape[2:] for level in teacher.levels(torch.from_numpy(images))] == [
        (size[0] // 4, size[1] // 4),
        (size[0] // 32, size[1] // 32),
    ]


def test_batches_shrink_as_pictures_grow() -> None:
    image, cpu = Slices(np.random.default_rng(0).random((2, 32, 32), dtype=np.float32)), torch.device("cpu")
    teacher, batches = Teacher.of_normals(TINY, (4,), image, 0), {}
    for side in (64, 256, 512, 2048):
        larger = replace(teacher, settings=TINY.model_copy(update={"input_size": side}))
        assert larger.size == (side, side)
        batches[side] = larger.batch(cpu), replace(larger, windows=teacher.windows * 4).batch(cpu)
    assert batches == {64: (16, 16), 256: (16, 4), 512: (4, 1), 2048: (1, 1)}


def test_a_constant_training_set_still_has_a_window() -> None:
    teacher = Teacher.of_normals(TINY, (8,), Slices(np.zeros((4, 32, 32), np.float32)), 0)
    assert torch.isfinite(teacher.levels(torch.zeros(1, 1, 32, 32))[0]).all()


def test_each_channel_is_a_grey_picture_in_its_own_window(healthy_heads: np.ndarray, tmp_path: Path) -> None:
    """Features of two channels are those of one after those of the other, whatever the scale of each."""
    both = np.stack([healthy_heads, healthy_heads[:, ::-1] * 350 - 1000], axis=1)
    first = Teacher.of_normals(TINY, (4, 16), Slices(both[:, 0]), 0)
    teacher = replace(first, windows=Teacher.of_normals(TINY, (4, 16), Slices(both), 0).windows)
    assert teacher.windows[0] == first.windows[0]
    assert teacher.windows[1] == pytest.approx([bound * 350 - 1000 for bound in first.windows[0]], rel=1e-4)
    assert teacher.channels == 2
    assert teacher.widths == [2 * width for width in first.widths] == [32, 128]
    images = torch.from_numpy(both[:3])
    assert teacher.pictures(images).shape == (6, 3, 64, 64)
    second = replace(first, windows=teacher.windows[1:])
    for level, one, other in zip(
        teacher.levels(images), first.levels(images[:, :1]), second.levels(images[:, 1:]), strict=True
    ):
        assert torch.allclose(level, torch.cat([one, other], dim=1), atol=1e-5)
    teacher.save(tmp_path / "teacher.safetensors")
    loaded = Teacher.load(tmp_path / "teacher.safetensors", TINY, (4, 16))
    assert (loaded.windows, loaded.channels) == (teacher.windows, 2)
    assert torch.equal(loaded.levels(images)[1], teacher.levels(images)[1])


def test_saved_and_loaded_it_sees_the_same(healthy_heads: np.ndarray, tmp_path: Path) -> None:
    images = torch.from_numpy(healthy_heads[:3, None])
    teacher = Teacher.of_normals(TINY, (4, 16), Slices(healthy_heads), 5)
    teacher.save(tmp_path / "teacher.safetensors")
    loaded = Teacher.load(tmp_path / "teacher.safetensors", TINY, (4, 16))
    assert loaded.description == teacher.description == "tiny residual network, random frozen"
    assert loaded.windows == teacher.windows
    assert all(torch.equal(a, b) for a, b in zip(loaded.levels(images), teacher.levels(images), strict=True))
    assert not any(parameter.requires_grad for parameter in loaded.network.parameters())


def test_random_weights_are_those_of_the_seed(healthy_heads: np.ndarray) -> None:
    images = torch.from_numpy(healthy_heads[:3, None])
    first, again, other = (Teacher.of_normals(TINY, (8,), Slices(healthy_heads), seed) for seed in (1, 1, 2))
    assert torch.equal(first.levels(images)[0], again.levels(images)[0])
    assert not torch.allclose(first.levels(images)[0], other.levels(images)[0])


def test_a_named_file_is_named_in_the_description(healthy_heads: np.ndarray, tmp_path: Path) -> None:
    teacher = Teacher.of_normals(TINY, (8,), Slices(healthy_heads), 0)
    torch.save(teacher.network.state_dict(), tmp_path / "own.pth")
    settings = TINY.model_copy(update={"weights": str(tmp_path / "own.pth")})
    named = Teacher.of_normals(settings, (8,), Slices(healthy_heads), 9)
    assert named.description == "tiny residual network, weights of own.pth"
    images = torch.from_numpy(healthy_heads[:3, None])
    assert torch.equal(named.levels(images)[0], teacher.levels(images)[0])


def test_without_the_package_the_default_says_what_to_install(
    healthy_heads: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match="pip install 'anomae'"):
        Teacher.of_normals(TeacherSettings(), (8,), Slices(healthy_heads), 0)


def test_settings_that_cannot_be_are_refused() -> None:
    for wrong in ({"input_size": 100}, {"percentiles": (99, 1)}, {"backbone": "resnet1"}, {"layers": 3}):
        with pytest.raises(ValidationError):
            TeacherSettings.model_validate(wrong)
    with pytest.raises(UserError, match="no healthy slice"):
        Teacher.of_normals(TINY, (8,), Slices(np.zeros((0, 32, 32), np.float32)), 0)

"""Features taken once are to the bit those that are taken each time."""

from pathlib import Path

import numpy as np
import pytest
import torch

from anomae.detectors import teacher_feed
from anomae.detectors.method import Situation
from anomae.detectors.registry import method_named
from anomae.detectors.teacher import Teacher
from anomae.detectors.teacher_feed import TeacherFeed
from anomae.detectors.teacher_settings import TeacherSettings
from anomae.recipes.overrides import overridden
from anomae.testing import made_up_images, made_up_slices

CPU = torch.device("cpu")


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("backbone", ["tiny", "efficientnet_lite0"])
def test_kept_or_taken_again_they_are_the_same(backbone: str, channels: int, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = TeacherSettings(backbone=backbone, weights="random", input_size=64)
    healthy = made_up_slices(channels)
    teacher = Teacher.of_normals(settings, (4, 8, 16), healthy, 0)
    kept = TeacherFeed(teacher, healthy, CPU)
    assert kept._kept is not None
    monkeypatch.setattr(teacher_feed, "RESIDENT_BYTES", {"cpu": 1000})
    again = TeacherFeed(teacher, healthy, CPU)
    assert again._kept is None
    indices = np.array(
        [3, 39, 0, 3, 17, 38, 5, 21, 11, 12, 13, 14, 30, 31, 32, 33]
    )  # the last images, one of them twice
    for one, other, width in zip(kept(indices), again(indices), teacher.widths, strict=True):
        assert one.shape[:2] == (16, width)
        assert one.stride() == other.stride()
        assert torch.equal(one, other)


def test_rd4ad_learns_the_same_from_either(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    method = method_named("rd4ad")
    situation = Situation("phantom", "paper", (32, 32), aligned=True)
    given = {"teacher.input_size": 32, "training.steps": 6, "training.batch": 16, "device.accelerator": "cpu"}
    settings = overridden(method.settings(situation), given)
    images, found = made_up_images(5, 1).astype(np.float32), []
    for name, most in (("kept", 1 << 30), ("again", 0)):
        monkeypatch.setattr(teacher_feed, "RESIDENT_BYTES", {"cpu": most})
        found.append(method.detector(settings).fit(made_up_slices(), seed=2, folder=tmp_path / name).inspect(images))
    assert np.array_equal(found[0].scores, found[1].scores)
    assert np.array_equal(found[0].maps, found[1].maps)

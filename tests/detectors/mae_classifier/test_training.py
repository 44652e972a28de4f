"""What the classifier is shown: of every image one negative and one positive, empty ones as the settings say."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import anomae.detectors.mae_classifier.training as module
from anomae.detectors.mae_classifier.method import METHOD
from anomae.detectors.mae_classifier.training import Samples, train_classifier
from anomae.detectors.method import Situation
from anomae.errors import UserError
from anomae.models.transformer.classifier import AnomalyClassifier
from anomae.models.transformer.sizes import SIZES
from anomae.recipes.overrides import overridden
from anomae.slices.store import Slices
from anomae.training.devices import make_fabric

SIDE, COUNT, EMPTY = 16, 20, 8


def images_with_empty_ones() -> np.ndarray:
    images = np.random.default_rng(0).random((COUNT, 1, SIDE, SIDE)).astype(np.float32)
    images[:EMPTY] = 0
    return images


def targets_seen(images: np.ndarray, folder: Path, monkeypatch: pytest.MonkeyPatch, **changes: Any) -> Tensor:
    """The targets of two epochs of training."""
    short = {"classifier.patch": 4, "autoencoder.patch": 4, "classifier.training.batch": 4, **changes}
    steps = {"classifier.training.epochs": 2, "classifier.training.steps": None, "device.accelerator": "cpu"}
    recipe = METHOD.recipe(Situation("phantom", "paper", (SIDE, SIDE)))
    settings = overridden(recipe, {**short, **steps})
    seen: list[Tensor] = []
    loss = module.F.binary_cross_entropy_with_logits

    def watched(logits: Tensor, targets: Tensor) -> Tensor:
        seen.append(targets.detach().clone())
        return loss(logits, targets)

    monkeypatch.setattr(module.F, "binary_cross_entropy_with_logits", watched)
    generator = torch.Generator().manual_seed(0)
    size = SIZES[settings.classifier.size][0]
    network = AnomalyClassifier((SIDE, SIDE), 4, size, settings.classifier.pooling, generator, 1)
    samples = Samples(Slices(images), Slices(images * 0.9), Slices(images * 0.9))
    fabric = make_fabric(settings.device)
    train_classifier(fabric, network, samples, settings, scale=1.0, seed=1, folder=folder, choice=None)
    return torch.cat(seen)


@pytest.mark.parametrize(("empty", "images"), [("altered", COUNT), ("dropped", COUNT - EMPTY)])
def test_there_are_as_many_altered_as_unaltered(
    empty: str, images: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Paper: each reconstruction gives one altered sample; empty slices do not become second negatives."""
    targets = targets_seen(images_with_empty_ones(), tmp_path, monkeypatch, **{"classifier.empty": empty})
    assert len(targets) == 2 * 2 * images
    assert float(targets.sum()) == 2 * images


def test_nothing_but_empty_slices_is_refused_where_they_are_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nothing = np.zeros((COUNT, 1, SIDE, SIDE), np.float32)
    with pytest.raises(UserError, match=r"Every healthy training slice is empty.*classifier\.empty=altered"):
        targets_seen(nothing, tmp_path, monkeypatch, **{"classifier.empty": "dropped"})

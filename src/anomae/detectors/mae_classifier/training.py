"""How the anomaly classifier learns (paper section 3): what is healthy, what is pseudo-abnormal, and the loss."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from anomae.detectors.mae_classifier.pseudo_abnormal import alter
from anomae.detectors.protocol import Images
from anomae.detectors.settings import ClassifierSettings, MethodSettings
from anomae.errors import UserError
from anomae.models.crops import erase_random, random_resized_crops
from anomae.models.differences import difference
from anomae.models.transformer.classifier import AnomalyClassifier, drop_path_keep, layer_decay_groups
from anomae.models.transformer.sizes import SIZES
from anomae.training.checkpoint import load_weights
from anomae.training.images import ImageFeed
from anomae.training.loop import Choice, Training, train

BLOCK = 512  # images looked at together


@dataclass(frozen=True, slots=True)
class Samples:
    """What the classifier learns from, n training images each, in one order.

    images: X.  negatives: X^.  positives: what X^' is made from, or, with frozen boxes, X^' itself.
    """

    images: Images
    negatives: Images
    positives: Images


def classifier_inputs(images: Tensor, seen: Tensor, settings: ClassifierSettings, scale: float) -> Tensor:
    """(B, C, H, W): what the network is shown of images X and of X^ or X^' (for input "image": of the image itself)."""
    kind = "reconstruction" if settings.input == "image" else settings.input
    return difference(images, seen, kind=kind) * scale


def input_spread(samples: Samples, settings: ClassifierSettings) -> float:
    """Standard deviation of the network's input over at most 1,024 training normals, evenly spaced."""
    indices = np.unique(np.linspace(0, len(samples.images) - 1, 1024).astype(np.int64))
    pair = torch.from_numpy(samples.images.read(indices)), torch.from_numpy(samples.negatives.read(indices))
    return max(float(classifier_inputs(*pair, settings, 1.0).std()), 1e-6)


def train_classifier(
    fabric: Any,
    network: AnomalyClassifier,
    samples: Samples,
    settings: MethodSettings,
    *,
    scale: float,
    seed: int,
    folder: Path,
    choice: Choice | None,
) -> None:
    """Binary cross-entropy between reconstructions (0) and their pseudo-abnormal copies (1); two samples an image.

    Trains `network` in place and leaves it with the last weights, or with those that `choice` measured best.
    Empty slices are altered as any others (the text), or give neither sample (`classifier.empty`): one of each kind for
    every image.  Raises UserError where they are to be left out and all are empty.
    """
    chosen = settings.classifier
    learned = _learned_from(samples.images, chosen)
    feed, feed_negative, feed_positive = (
        ImageFeed(images, fabric.device) for images in (samples.images, samples.negatives, samples.positives)
    )

    def batch_loss(model: nn.Module, indices: npt.NDArray[np.int64], generator: torch.Generator) -> Tensor:
        rows, positive = learned[indices // 2], torch.from_numpy(indices % 2 == 1).to(fabric.device)
        images, altered = feed(rows), feed_positive(rows)
        if chosen.boxes == "redrawn":
            altered = alter(altered, settings.pseudo_abnormal, generator)
        seen = torch.where(positive[:, None, None, None], altered, feed_negative(rows))
        inputs = _augmented(classifier_inputs(images, seen, chosen, scale), chosen, generator)
        depth = SIZES[chosen.size][0].depth
        keep = drop_path_keep(depth, len(inputs), chosen.drop_path, generator) if chosen.drop_path else None
        targets = positive.float() * (1 - chosen.label_smoothing) + chosen.label_smoothing / 2
        return F.binary_cross_entropy_with_logits(model(inputs, keep), targets)

    length = chosen.training
    training = Training(
        stage="classifier",
        count=2 * len(learned),
        batch_loss=batch_loss,
        settings=length,
        seed=seed,
        folder=folder,
        checkpoint_minutes=settings.device.checkpoint_minutes,
        groups=layer_decay_groups(network, length.layer_decay, length.weight_decay, length.lr),
        choice=choice,
    )
    train(fabric, network, training)
    if choice is not None:
        load_weights(training.best, network)


def _learned_from(images: Images, settings: ClassifierSettings) -> npt.NDArray[np.int64]:
    """The indices of the images that give samples: all, or those that are not empty, which all channels must be."""
    if settings.empty == "altered":
        return np.arange(len(images))
    blocks = (images.read(slice(start, start + BLOCK)) for start in range(0, len(images), BLOCK))
    filled = np.concatenate([(block.max(axis=(2, 3)) > block.min(axis=(2, 3))).any(axis=1) for block in blocks])
    if not filled.any():
        raise UserError(
            "Every healthy training slice is empty, so there is nothing to alter; prepare scans with content, or use "
            "--set classifier.empty=altered."
        )
    return np.flatnonzero(filled)


def _augmented(inputs: Tensor, settings: ClassifierSettings, generator: torch.Generator) -> Tensor:
    if settings.crop_scale is not None or settings.flip:
        scale = settings.crop_scale or (1.0, 1.0)
        inputs = random_resized_crops(inputs, scale=scale, flip=settings.flip, generator=generator)
    return erase_random(inputs, settings.erase, generator=generator) if settings.erase else inputs

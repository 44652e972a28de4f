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
from anomae.models.crops import erase_random, random_resized_crops
from anomae.models.differences import difference
from anomae.models.transformer.classifier import AnomalyClassifier, drop_path_keep, layer_decay_groups
from anomae.models.transformer.sizes import SIZES
from anomae.training.checkpoint import read_tensors
from anomae.training.images import ImageFeed
from anomae.training.loop import Choice, Training, train


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
    Empty slices give no positives (released code): altered or not, they look the same.
    """
    chosen = settings.classifier
    feed, feed_negative, feed_positive = (
        ImageFeed(images, fabric.device) for images in (samples.images, samples.negatives, samples.positives)
    )

    def batch_loss(model: nn.Module, indices: npt.NDArray[np.int64], generator: torch.Generator) -> Tensor:
        rows, positive = indices // 2, torch.from_numpy(indices % 2 == 1).to(fabric.device)
        images, altered = feed(rows), feed_positive(rows)
        if chosen.boxes == "redrawn":
            altered = alter(altered, settings.pseudo_abnormal, generator)
        positive &= (images.amax(dim=(2, 3)) > images.amin(dim=(2, 3))).any(dim=1)
        seen = torch.where(positive[:, None, None, None], altered, feed_negative(rows))
        inputs = _augmented(classifier_inputs(images, seen, chosen, scale), chosen, generator)
        depth = SIZES[chosen.size][0].depth
        keep = drop_path_keep(depth, len(inputs), chosen.drop_path, generator) if chosen.drop_path else None
        targets = positive.float() * (1 - chosen.label_smoothing) + chosen.label_smoothing / 2
        return F.binary_cross_entropy_with_logits(model(inputs, keep), targets)

    length = chosen.training
    training = Training(
        stage="classifier",
        count=2 * len(samples.images),
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
        network.load_state_dict(read_tensors(training.best)[0])


def _augmented(inputs: Tensor, settings: ClassifierSettings, generator: torch.Generator) -> Tensor:
    if settings.crop_scale is not None or settings.flip:
        scale = settings.crop_scale or (1.0, 1.0)
        inputs = random_resized_crops(inputs, scale=scale, flip=settings.flip, generator=generator)
    return erase_random(inputs, settings.erase, generator=generator) if settings.erase else inputs

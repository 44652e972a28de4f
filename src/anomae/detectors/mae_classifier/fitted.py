"""The paper's detector once fitted: the probability of "pseudo-abnormal" for |X - X^|, where, and what healthy is."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from anomae.detectors.inference import check_images, in_fixed_batches, in_use
from anomae.detectors.mae.detector import MAP_NAME, FittedMaskedAutoencoder, residual_maps
from anomae.detectors.mae_classifier.pseudo_abnormal import alter_once
from anomae.detectors.mae_classifier.training import classifier_inputs
from anomae.detectors.protocol import Findings, Images4
from anomae.detectors.settings import MethodSettings
from anomae.files import write_json
from anomae.models.reconstruction_errors import ERRORS
from anomae.models.transformer.classifier import AnomalyClassifier
from anomae.seeds import derive_seed
from anomae.training.checkpoint import write_tensors


@dataclass(frozen=True, slots=True, eq=False)
class FittedPseudoAbnormalClassifier:
    """The score is the probability of "pseudo-abnormal".

    autoencoder: None where the classifier sees the images themselves (classifier.input is "image").  input_scale: what
    the classifier's input is multiplied by.
    """

    name: ClassVar[str] = "mae-classifier"
    description: ClassVar[str] = ""
    trained_families: ClassVar[tuple[str, ...]] = ("boxes",)

    settings: MethodSettings
    network: AnomalyClassifier
    autoencoder: FittedMaskedAutoencoder | None
    input_scale: float
    seed: int

    @property
    def map_name(self) -> str:
        """What a map's numbers are; "" where there is no masked autoencoder, and so no map."""
        return "" if self.autoencoder is None else MAP_NAME

    def inspect(self, images: Images4) -> Findings:
        """Images (n, c, h, w): probability of pseudo-abnormal, map |X - X^|, the reconstruction X^, its errors.

        Raises UserError for images unlike those that were fitted on.
        """
        check_images(images, self.network.channels, self.network.image_size)
        if self.autoencoder is None:
            return Findings(self._probabilities(images, images))
        reconstructions = self.autoencoder.reconstruct(images)
        errors = self.autoencoder.error_scores(images, reconstructions)
        others = {name: errors[:, index] for index, name in enumerate(ERRORS)}
        scores = self._probabilities(images, reconstructions)
        return Findings(scores, residual_maps(images, reconstructions), reconstructions, others)

    def pretext(self, images: Images4) -> dict[str, npt.NDArray[np.float64]]:
        """Scores (n,) of healthy images (n, c, h, w) whose reconstruction was altered: of X^' where `inspect` has X^.

        The boxes depend on each reconstruction and the seed alone.  On images that were not trained on this shows
        whether the classifier has learned what it was trained to tell (it may have learned the training images
        instead).  Raises UserError for images unlike those that were fitted on.
        """
        check_images(images, self.network.channels, self.network.image_size)
        rebuilt = images if self.autoencoder is None else self.autoencoder.reconstruct(images)
        return {"boxes": self._probabilities(images, self.altered(rebuilt))}

    def altered(self, rebuilt: Images4) -> Images4:
        """Reconstructions (n, c, h, w) with the boxes of the pretext task, drawn for each."""
        # The name of these draws: another one would give every run that was reported other boxes.
        seed = derive_seed(self.seed, "own task")
        return alter_once(rebuilt, self.settings.pseudo_abnormal, seed)

    def save(self, folder: Path) -> None:
        """Write classifier and masked autoencoder, each into a folder of its own, and settings.json last."""
        if self.autoencoder is not None:
            self.autoencoder.save(folder / "autoencoder")
        write_tensors(folder / "classifier" / "weights.safetensors", dict(self.network.state_dict()))
        content = {
            "detector": self.name,
            "seed": self.seed,
            "input_scale": self.input_scale,
            "image_size": list(self.network.image_size),
            "channels": self.network.channels,
            "settings": self.settings.model_dump(mode="json"),
        }
        write_json(folder / "settings.json", content)

    def _probabilities(self, images: Images4, reconstructions: Images4) -> npt.NDArray[np.float64]:
        from scipy.special import expit

        logits = logits_of(self.network, images, reconstructions, self.settings, self.input_scale)
        return np.asarray(expit(logits.astype(np.float64)), dtype=np.float64)


def logits_of(
    network: nn.Module, images: Images4, reconstructions: Images4, settings: MethodSettings, scale: float
) -> npt.NDArray[np.float32]:
    """(n,): what a classifier says of images X and of X^ or X^', (n, c, h, w) each."""
    with in_use(settings.device) as device:
        used = network.to(device)
        both = np.stack([images, reconstructions], axis=1)  # (n, 2, c, h, w)

        def logits(pair: torch.Tensor, _: npt.NDArray[np.float32]) -> tuple[torch.Tensor]:
            return (used(classifier_inputs(pair[:, 0], pair[:, 1], settings.classifier, scale)),)

        return in_fixed_batches(both, device, logits)[0]

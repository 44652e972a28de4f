"""The paper's detector: a classifier that learned to tell reconstructions of healthy images from altered ones.

Paper section 3: masked autoencoder, pseudo-abnormal module, anomaly classifier; the score is the predicted probability
of "pseudo-abnormal" for |X - X^|.  Where the text is silent the released code decides; where they differ, the setting
names both (`anomae.detectors.mae_classifier.recipes`).
"""

from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from anomae.detectors.mae.detector import FittedMaskedAutoencoder, MaskedAutoencoderDetector
from anomae.detectors.mae.reconstruction_cache import Cached, cached_reconstructions
from anomae.detectors.mae_classifier.fitted import FittedPseudoAbnormalClassifier, logits_of
from anomae.detectors.mae_classifier.pseudo_abnormal import alter_once, keep_samples
from anomae.detectors.mae_classifier.training import Samples, input_spread, train_classifier
from anomae.detectors.patches import refuse_uncut
from anomae.detectors.protocol import HealthySlices, Images, Images4
from anomae.detectors.settings import MaeSettings, MethodSettings
from anomae.errors import UserError
from anomae.files import read_json
from anomae.models.transformer.classifier import AnomalyClassifier
from anomae.models.transformer.sizes import SIZES
from anomae.seeds import derive_seed
from anomae.training.checkpoint import load_weights
from anomae.training.devices import make_fabric
from anomae.training.loop import Choice
from anomae.training.settings import DeviceSettings

# Labelled images, (images, labels (n,) 0/1), looked at only where the settings say so.
Labelled = tuple[HealthySlices, npt.NDArray[np.int8]]


class PseudoAbnormalClassifier:
    """Masked autoencoder, then a classifier of its differences; the score is the probability of "pseudo-abnormal"."""

    name: ClassVar[str] = FittedPseudoAbnormalClassifier.name
    settings_type: ClassVar[type[MethodSettings]] = MethodSettings

    def __init__(self, settings: MethodSettings) -> None:
        """Keep the settings; nothing is built before `fit`."""
        self.settings = settings

    def chooses_by_labels(self) -> bool:
        """Whether labelled validation images choose the checkpoint (profile `released`)."""
        return self.settings.classifier.choice == "validation_auroc"

    def fit(
        self, healthy: HealthySlices, *, seed: int, folder: Path, validation: Labelled | None = None
    ) -> FittedPseudoAbnormalClassifier:
        """Train the masked autoencoder, reconstruct the training images once, train the classifier.

        validation: looked at only where `chooses_by_labels`.  Raises UserError where that choice lacks labelled images
        of both kinds or there is nothing to learn from, Diverged where a loss is lost.
        """
        settings, chosen = self.settings, self.settings.classifier
        if self.chooses_by_labels() and (validation is None or len(np.unique(validation[1])) < 2):
            raise UserError(
                "Choosing the checkpoint by validation AUROC needs labelled healthy and abnormal validation images; "
                "this store has none. Use --set classifier.choice=last."
            )
        if len(healthy) == 0:
            raise UserError("There is no healthy slice to learn from.")
        self.refuse_size(healthy.image_size)
        weights_seed = derive_seed(seed, "classifier", "weights")
        network = _build(settings, healthy.image_size, healthy.channels, weights_seed)
        fabric = make_fabric(settings.device)
        autoencoder = None
        if chosen.input != "image":
            autoencoder = self._masked().fit(healthy, seed=seed, folder=folder, fabric=fabric)
        samples = _samples(settings, autoencoder, healthy, folder / "cache", fabric, seed)
        if chosen.start == "encoder":
            _start_from_encoder(network, settings, autoencoder)
        scale = 1.0 / input_spread(samples, chosen) if chosen.scale_input else 1.0
        if fabric.is_global_zero:
            path = folder / "samples" / "pseudo_abnormal.npz"
            keep_samples(path, healthy, samples.negatives, settings.pseudo_abnormal, seed)
        choice = None
        if self.chooses_by_labels() and validation is not None:
            choice = _choice_by_labels(*validation, settings, autoencoder, scale)
        train_classifier(fabric, network, samples, settings, scale=scale, seed=seed, folder=folder, choice=choice)
        return FittedPseudoAbnormalClassifier(settings, network.eval(), autoencoder, scale, seed)

    def refuse_size(self, image_size: tuple[int, int]) -> None:
        """Raise UserError where `fit` refuses images of (h, w) pixels."""
        refuse_uncut(image_size, self.settings.classifier.patch, "classifier.patch")
        if self.settings.classifier.input != "image":
            self._masked().refuse_size(image_size)

    def _masked(self) -> MaskedAutoencoderDetector:
        settings = self.settings
        return MaskedAutoencoderDetector(MaeSettings(autoencoder=settings.autoencoder, device=settings.device))

    @classmethod
    def load(cls, folder: Path, device: DeviceSettings | None = None) -> FittedPseudoAbnormalClassifier:
        """Read what `save` wrote.  Raises UserError where something is missing or broken."""
        content = read_json(folder / "settings.json")
        device = device or DeviceSettings()
        settings = MethodSettings.model_validate(content["settings"]).model_copy(update={"device": device})
        height, width = content["image_size"]
        network = _build(settings, (height, width), int(content["channels"]), seed=0)
        load_weights(folder / "classifier" / "weights.safetensors", network)
        autoencoder = None
        if settings.classifier.input != "image":
            autoencoder = MaskedAutoencoderDetector.load(folder / "autoencoder", device)
        return FittedPseudoAbnormalClassifier(
            settings, network.eval(), autoencoder, float(content["input_scale"]), int(content["seed"])
        )


def _samples(
    settings: MethodSettings,
    autoencoder: FittedMaskedAutoencoder | None,
    healthy: HealthySlices,
    cache: Path,
    fabric: Any,
    seed: int,
) -> Samples:
    """X^ of every training image, made once; for settings that want it, a second X^, and X^' drawn once."""
    negatives: Images = healthy
    positives: Images = healthy
    if autoencoder is not None:

        def cached(name: str, variant: int) -> Cached:
            def reconstruct(block: Images4) -> Images4:
                return autoencoder.reconstruct(block, variant=variant)

            return cached_reconstructions(cache / f"{name}.npy", healthy, reconstruct, fabric)

        negatives = cached("reconstructions", 0)
        positives = cached("second reconstructions", 1) if settings.classifier.positives == "separate" else negatives
    if settings.classifier.boxes == "frozen":

        def freeze(block: Images4) -> Images4:
            return alter_once(block, settings.pseudo_abnormal, seed)

        positives = cached_reconstructions(cache / "pseudo-abnormal.npy", positives, freeze, fabric)
    return Samples(healthy, negatives, positives)


def _choice_by_labels(
    images: HealthySlices,
    labels: npt.NDArray[np.int8],
    settings: MethodSettings,
    autoencoder: FittedMaskedAutoencoder | None,
    scale: float,
) -> Choice:
    """AUROC on labelled validation images at the end of each epoch: what the released code does, not the text."""
    from scipy.stats import rankdata

    shown = images.read(slice(None))
    reconstructions = shown if autoencoder is None else autoencoder.reconstruct(shown)

    def measure(model: nn.Module) -> float:
        ranks = rankdata(logits_of(model, shown, reconstructions, settings, scale))
        abnormal = labels == 1
        count = int(np.sum(abnormal))
        return float((ranks[abnormal].sum() - count * (count + 1) / 2) / (count * (len(labels) - count)))

    epochs = settings.classifier.training.epochs
    return Choice(measure, max(1, min(100, round(epochs or 20))))


def _build(settings: MethodSettings, image_size: tuple[int, int], channels: int, seed: int) -> AnomalyClassifier:
    chosen = settings.classifier
    if chosen.size not in SIZES:
        raise UserError(f"There is no network size {chosen.size!r}; there are {', '.join(SIZES)}.")
    refuse_uncut(image_size, chosen.patch, "classifier.patch")
    generator = torch.Generator().manual_seed(seed)
    return AnomalyClassifier(image_size, chosen.patch, SIZES[chosen.size][0], chosen.pooling, generator, channels)


def _start_from_encoder(
    network: AnomalyClassifier, settings: MethodSettings, autoencoder: FittedMaskedAutoencoder | None
) -> None:
    wanted, own = settings.classifier, settings.autoencoder
    same = (wanted.size, wanted.patch) == (own.size, own.patch)
    if autoencoder is None or not same:
        raise UserError(
            "classifier.start=encoder needs a masked autoencoder of the same size and patch; "
            "set classifier.size and classifier.patch to those of the autoencoder, or classifier.start=scratch."
        )
    network.load_encoder(autoencoder.network.state_dict())

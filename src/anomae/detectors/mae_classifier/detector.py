"""The paper's detector: a classifier that learned to tell reconstructions of healthy images from altered ones.

Paper section 3: masked autoencoder, pseudo-abnormal module, anomaly classifier; the score is the predicted probability
of "pseudo-abnormal" for |X - X^|.  Where the text is silent the released code decides; where they differ, the setting
names both (`anomae.recipes.named`).
"""

from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from anomae.detectors.inference import in_fixed_batches, in_use
from anomae.detectors.mae.detector import MaskedAutoencoderDetector
from anomae.detectors.mae.reconstruction_cache import Cached, cached_reconstructions
from anomae.detectors.mae_classifier.pseudo_abnormal import alter_once, keep_samples
from anomae.detectors.mae_classifier.training import Samples, classifier_inputs, input_spread, train_classifier
from anomae.detectors.protocol import Findings, HealthySlices, Images
from anomae.detectors.settings import MethodSettings
from anomae.errors import UserError
from anomae.files import read_json, write_json
from anomae.models.reconstruction_errors import ERRORS
from anomae.models.transformer.classifier import AnomalyClassifier
from anomae.models.transformer.sizes import SIZES
from anomae.seeds import derive_seed
from anomae.training.checkpoint import read_tensors, write_tensors
from anomae.training.devices import make_fabric
from anomae.training.loop import Choice
from anomae.training.settings import DeviceSettings

# Labelled images, (images, labels (n,) 0/1), looked at only where the settings say so.
Labelled = tuple[HealthySlices, npt.NDArray[np.int8]]


class PseudoAbnormalClassifier:
    """Masked autoencoder, then a classifier of its differences; the score is the probability of "pseudo-abnormal"."""

    name = "mae-classifier"

    def __init__(self, settings: MethodSettings) -> None:
        """Keep the settings; nothing is built before `fit` or `load`."""
        self.settings = settings
        self.seed = 0
        self.autoencoder: MaskedAutoencoderDetector | None = None
        if settings.classifier.input != "image":
            self.autoencoder = MaskedAutoencoderDetector(settings.autoencoder, settings.device)
        self.network: AnomalyClassifier | None = None
        self.input_scale = 1.0

    def fit(
        self,
        healthy: HealthySlices,
        *,
        seed: int,
        folder: Path,
        validation: Labelled | None = None,
    ) -> Self:
        """Train the masked autoencoder, reconstruct the training images once, train the classifier.

        validation: looked at only where settings.classifier.choice is "validation_auroc".  Raises UserError where that
        choice lacks labelled images of both kinds or there is nothing to learn from, Diverged where a loss is lost.
        """
        chosen, self.seed = self.settings.classifier, seed
        if chosen.choice == "validation_auroc" and (validation is None or len(np.unique(validation[1])) < 2):
            raise UserError(
                "Choosing the checkpoint by validation AUROC needs labelled healthy and abnormal validation images; "
                "this store has none. Use --set classifier.choice=last."
            )
        if len(healthy) == 0:
            raise UserError("There is no healthy slice to learn from.")
        network = self._build(healthy.image_size, derive_seed(seed, "classifier", "weights"))
        fabric = make_fabric(self.settings.device)
        if self.autoencoder is not None:
            self.autoencoder.fit(healthy, seed=seed, folder=folder, fabric=fabric)
        samples = self._samples(healthy, folder / "cache", fabric)
        if chosen.start == "encoder":
            self._start_from_encoder(network)
        if chosen.scale_input:
            self.input_scale = 1.0 / input_spread(samples, chosen)
        if fabric.is_global_zero:
            path = folder / "samples" / "pseudo_abnormal.npz"
            keep_samples(path, healthy, samples.negatives, self.settings.pseudo_abnormal, seed)
        choice = None
        if chosen.choice == "validation_auroc" and validation is not None:
            choice = self._choice_by_labels(*validation)
        train_classifier(
            fabric,
            network,
            samples,
            self.settings,
            scale=self.input_scale,
            seed=seed,
            folder=folder,
            choice=choice,
        )
        self.network = network.eval()
        return self

    def inspect(self, images: npt.NDArray[np.float32]) -> Findings:
        """Judge images (n, h, w): probability of pseudo-abnormal, map |X - X^|, the reconstruction X^, other scores."""
        if self.autoencoder is None:
            return Findings(_probability(self._logits(images, images)))
        reconstructions = self.autoencoder.reconstruct(images)
        errors = self.autoencoder.error_scores(images, reconstructions)
        others = {name: errors[:, index] for index, name in enumerate(ERRORS)}
        scores = _probability(self._logits(images, reconstructions))
        return Findings(scores, np.abs(images - reconstructions), reconstructions, others)

    def own_task(self, images: npt.NDArray[np.float32]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Probability of "pseudo-abnormal" of healthy images (n, h, w), and of the same altered: (n,) each.

        Unaltered: X^.  Altered: X^', whose boxes depend on each reconstruction and the seed alone.  On images that
        were not trained on it shows whether the classifier has learned what it was trained to tell (it may have learned
        the training images instead).
        """
        rebuilt = images if self.autoencoder is None else self.autoencoder.reconstruct(images)
        altered = alter_once(rebuilt, self.settings.pseudo_abnormal, derive_seed(self.seed, "own task"))
        return _probability(self._logits(images, rebuilt)), _probability(self._logits(images, altered))

    def save(self, folder: Path) -> None:
        """Write classifier and masked autoencoder, each into a folder of its own, and settings.json last."""
        network = self._fitted()
        if self.autoencoder is not None:
            self.autoencoder.save(folder / "autoencoder")
        write_tensors(folder / "classifier" / "weights.safetensors", dict(network.state_dict()))
        content = {"settings": self.settings.model_dump(mode="json"), "image_size": list(network.image_size)}
        facts = {"detector": self.name, "seed": self.seed, "input_scale": self.input_scale}
        write_json(folder / "settings.json", {**facts, **content})

    @classmethod
    def load(cls, folder: Path, device: DeviceSettings | None = None) -> Self:
        """Read what `save` wrote.  Raises UserError where something is missing or broken."""
        content = read_json(folder / "settings.json")
        settings = MethodSettings.model_validate(content["settings"])
        detector = cls(settings.model_copy(update={"device": device or DeviceSettings()}))
        height, width = content["image_size"]
        network = detector._build((height, width), 0)
        network.load_state_dict(read_tensors(folder / "classifier" / "weights.safetensors")[0])
        detector.seed, detector.network = int(content["seed"]), network.eval()
        detector.input_scale = float(content["input_scale"])
        if detector.autoencoder is not None:
            detector.autoencoder = MaskedAutoencoderDetector.load(folder / "autoencoder", detector.settings.device)
        return detector

    def _samples(self, healthy: HealthySlices, cache: Path, fabric: Any) -> Samples:
        """X^ of every training image, made once; for settings that want it, a second X^, and X^' drawn once."""
        chosen, autoencoder = self.settings.classifier, self.autoencoder
        negatives: Images = healthy
        positives: Images = healthy
        if autoencoder is not None:

            def cached(name: str, variant: int) -> Cached:
                def reconstruct(block: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
                    return autoencoder.reconstruct(block, variant=variant)

                return cached_reconstructions(cache / f"{name}.npy", healthy, reconstruct, fabric)

            negatives = cached("reconstructions", 0)
            positives = cached("second reconstructions", 1) if chosen.positives == "separate" else negatives
        if chosen.boxes == "frozen":

            def freeze(block: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
                return alter_once(block, self.settings.pseudo_abnormal, self.seed)

            positives = cached_reconstructions(cache / "pseudo-abnormal.npy", positives, freeze, fabric)
        return Samples(healthy, negatives, positives)

    def _choice_by_labels(self, images: HealthySlices, labels: npt.NDArray[np.int8]) -> Choice:
        """AUROC on labelled validation images at the end of each epoch: what the released code does, not the text."""
        from scipy.stats import rankdata

        shown = images.read(slice(None))
        reconstructions = shown if self.autoencoder is None else self.autoencoder.reconstruct(shown)

        def measure(model: nn.Module) -> float:
            ranks = rankdata(self._logits(shown, reconstructions, model))
            ill = int(np.sum(labels == 1))
            return float((ranks[labels == 1].sum() - ill * (ill + 1) / 2) / (ill * (len(labels) - ill)))

        epochs = self.settings.classifier.training.epochs
        return Choice(measure, max(1, min(100, round(epochs or 20))))

    def _build(self, image_size: tuple[int, int], seed: int) -> AnomalyClassifier:
        chosen = self.settings.classifier
        if chosen.size not in SIZES:
            raise UserError(f"There is no network size {chosen.size!r}; there are {', '.join(SIZES)}.")
        if image_size[0] % chosen.patch or image_size[1] % chosen.patch:
            raise UserError(
                f"Images of {image_size[0]}x{image_size[1]} pixels cannot be cut into patches of {chosen.patch}; "
                f"set classifier.patch to a divisor of the sides."
            )
        generator = torch.Generator().manual_seed(seed)
        return AnomalyClassifier(image_size, chosen.patch, SIZES[chosen.size][0], chosen.pooling, generator)

    def _start_from_encoder(self, network: AnomalyClassifier) -> None:
        wanted, own = self.settings.classifier, self.settings.autoencoder
        same = (wanted.size, wanted.patch) == (own.size, own.patch)
        if self.autoencoder is None or self.autoencoder.network is None or not same:
            raise UserError(
                "classifier.start=encoder needs a masked autoencoder of the same size and patch; "
                "set classifier.size and classifier.patch to those of the autoencoder, or classifier.start=scratch."
            )
        network.load_encoder(self.autoencoder.network.state_dict())

    def _fitted(self) -> AnomalyClassifier:
        if self.network is None:
            raise UserError("This classifier was not fitted yet.")
        return self.network

    def _logits(
        self,
        images: npt.NDArray[np.float32],
        reconstructions: npt.NDArray[np.float32],
        network: nn.Module | None = None,
    ) -> npt.NDArray[np.float32]:
        chosen, scale = self.settings.classifier, self.input_scale
        with in_use(self.settings.device) as device:
            used = (network or self._fitted()).to(device)
            both = np.stack([images, reconstructions], axis=1)  # (n, 2, h, w)

            def logits(pair: torch.Tensor, _: npt.NDArray[np.float32]) -> tuple[torch.Tensor]:
                return (used(classifier_inputs(pair[:, 0], pair[:, 1], chosen, scale)),)

            return in_fixed_batches(both, device, logits)[0]


def _probability(logits: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    from scipy.special import expit

    probability: npt.NDArray[np.float64] = expit(logits.astype(np.float64))
    return probability

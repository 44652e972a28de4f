"""A convolutional autoencoder: what does not come back from 128 numbers is abnormal.

The simplest of the learned baselines: encoder and generator of AnoVAEGAN (anomae.models.conv_autoencoding)
without noise, prior or critic, trained on the mean squared error with AdamW.
"""

from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from anomae.detectors.baselines.fitted_scale import FittedScale
from anomae.detectors.baselines.settings import ConvAutoencoderSettings
from anomae.detectors.fitted_networks import FittedNetworks
from anomae.detectors.protocol import Findings, HealthySlices
from anomae.errors import UserError
from anomae.files import read_json
from anomae.models.conv_autoencoding import ConvAutoencoder, fits
from anomae.models.reconstruction_errors import ERRORS, error_scores, mean_squared_error
from anomae.seeds import derive_seed
from anomae.training.devices import make_fabric
from anomae.training.images import ImageFeed
from anomae.training.loop import Training, train
from anomae.training.settings import DeviceSettings


class ConvAutoencoderDetector:
    """The score is what a plain convolutional autoencoder could not rebuild (`settings.error`)."""

    name = "conv-autoencoder"

    def __init__(self, settings: ConvAutoencoderSettings) -> None:
        """Keep the settings; nothing is built before `fit` or `load`."""
        self.settings = settings
        self.fitted: FittedNetworks | None = None

    def fit(self, healthy: HealthySlices, *, seed: int, folder: Path) -> Self:
        """Train on healthy slices.  A fit stopped at any moment goes on from its checkpoint in `folder`.

        Raises UserError where there is nothing to learn from or the image has odd sides or fewer than 16 pixels,
        Diverged where the loss is no longer finite.
        """
        settings = self.settings
        if len(healthy) == 0:
            raise UserError("There is no healthy slice to learn from.")
        weights = torch.Generator().manual_seed(derive_seed(seed, self.name, "weights"))
        networks = self._build(healthy.image_size, weights)
        scale = FittedScale.measured(healthy, settings.percentiles, lowest=0.0)
        fabric = make_fabric(settings.device)
        feed = ImageFeed(healthy, fabric.device)

        def batch_loss(model: nn.Module, places: npt.NDArray[np.int64], _: torch.Generator) -> Tensor:
            shown_images = scale.shown(feed(places))  # (B, H, W)
            return mean_squared_error(shown_images, model(shown_images)).mean()

        training = Training(
            stage=self.name,
            count=len(healthy),
            batch_loss=batch_loss,
            settings=settings.training,
            seed=seed,
            folder=folder,
            checkpoint_minutes=settings.device.checkpoint_minutes,
        )
        train(fabric, networks["autoencoder"], training)
        self.fitted = FittedNetworks(networks, scale, healthy.image_size, seed)
        return self

    def inspect(self, images: npt.NDArray[np.float32]) -> Findings:
        """Judge images (n, h, w): errors in the network's range 0..1, map |x - x^|, and x^."""
        reconstructions, measured = self._fitted().apply(images, self.settings.device, self._judge)
        scores = {name: measured[:, index].astype(np.float64) for index, name in enumerate(ERRORS)}
        return Findings(scores[self.settings.error], np.abs(images - reconstructions), reconstructions, scores)

    def save(self, folder: Path) -> None:
        """Write weights.safetensors and, last, settings.json."""
        self._fitted().save(folder, self.name, self.settings)

    @classmethod
    def load(cls, folder: Path, device: DeviceSettings | None = None) -> Self:
        """Read what `save` wrote.  Raises UserError where something is missing or broken."""
        content = read_json(folder / "settings.json")
        settings = ConvAutoencoderSettings.model_validate(content["settings"])
        detector = cls(settings.model_copy(update={"device": device or DeviceSettings()}))
        detector.fitted = FittedNetworks.load(folder, content, detector._build)
        return detector

    def _fitted(self) -> FittedNetworks:
        if self.fitted is None:
            raise UserError("This convolutional autoencoder was not fitted yet.")
        return self.fitted

    def _build(self, image_size: tuple[int, int], generator: torch.Generator) -> dict[str, nn.Module]:
        if not fits(image_size):
            raise UserError(
                f"The convolutional autoencoder cannot halve images of {image_size[0]}x{image_size[1]} pixels; prepare "
                f"them with even sides of at least 16."
            )
        return {"autoencoder": ConvAutoencoder(image_size, self.settings.width, self.settings.latent, generator)}

    def _judge(self, images: Tensor, _: npt.NDArray[np.float32]) -> tuple[Tensor, Tensor]:
        fitted = self._fitted()
        shown = fitted.scale.shown(images)
        reconstructions = fitted.networks["autoencoder"](shown)
        return fitted.scale.prepared(reconstructions), error_scores(shown, reconstructions, 1.0)

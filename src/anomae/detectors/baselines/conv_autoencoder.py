"""A convolutional autoencoder: what does not come back from 128 numbers is abnormal.

The simplest of the learned baselines: encoder and generator of AnoVAEGAN (anomae.models.conv_autoencoding)
without noise, prior or critic, trained on the mean squared error with AdamW.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from anomae.detectors.baselines.settings import ConvAutoencoderSettings
from anomae.detectors.fitted_networks import Build, FittedNetworks, load_networks, named_scores
from anomae.detectors.method import Method, by_scale
from anomae.detectors.one_network import Shown, train_the_one
from anomae.detectors.protocol import Findings, HealthySlices, Images4
from anomae.errors import UserError
from anomae.models.conv_autoencoding import ConvAutoencoder, fits
from anomae.models.reconstruction_errors import ERRORS, error_scores, mean_squared_error
from anomae.slices.store import grey
from anomae.training.settings import DeviceSettings


@dataclass(frozen=True, slots=True, eq=False)
class FittedConvAutoencoder:
    """The score is what a plain convolutional autoencoder could not rebuild (`settings.error`)."""

    name: ClassVar[str] = "conv-autoencoder"
    map_name: ClassVar[str] = "absolute residual, prepared intensity"
    description: ClassVar[str] = ""
    settings: ConvAutoencoderSettings
    fitted: FittedNetworks

    def inspect(self, images: Images4) -> Findings:
        """Images (n, c, h, w): errors in the network's range 0..1, map |x - x^| (mean of the channels), and x^."""
        reconstructions, measured = self.fitted.apply(images, self.settings.device, self._rebuilt)
        scores = named_scores(measured, ERRORS)
        return Findings(scores[self.settings.error], grey(np.abs(images - reconstructions)), reconstructions, scores)

    def save(self, folder: Path) -> None:
        """Write weights.safetensors and, last, settings.json."""
        self.fitted.save(folder, self.name, self.settings)

    def _rebuilt(self, images: Tensor, _: npt.NDArray[np.float32]) -> tuple[Tensor, Tensor]:
        shown = self.fitted.scale.shown(images)
        reconstructions = self.fitted.networks["autoencoder"](shown)
        return self.fitted.scale.prepared(reconstructions), error_scores(shown, reconstructions, 1.0)


class ConvAutoencoderDetector:
    """Learns to rebuild healthy slices from few numbers."""

    name: ClassVar[str] = FittedConvAutoencoder.name
    settings_type = ConvAutoencoderSettings

    def __init__(self, settings: ConvAutoencoderSettings) -> None:
        """Keep the settings."""
        self.settings = settings

    def fit(self, healthy: HealthySlices, *, seed: int, folder: Path) -> FittedConvAutoencoder:
        """Train on healthy slices.  A fit stopped at any moment goes on from its checkpoint in `folder`.

        Raises UserError where there is nothing to learn from or the image has odd sides or fewer than 16 pixels,
        Diverged where the loss is no longer finite.
        """
        settings = self.settings
        build = _building(settings)
        begun = FittedNetworks.begun(self.name, healthy, build, percentiles=settings.percentiles, seed=seed)
        fitted = train_the_one(
            self.name, begun, healthy, _loss, settings=settings.training, device=settings.device, folder=folder
        )
        return FittedConvAutoencoder(settings, fitted)

    @classmethod
    def load(cls, folder: Path, device: DeviceSettings | None = None) -> FittedConvAutoencoder:
        """Read what `save` wrote.  Raises UserError where something is missing or broken."""
        return FittedConvAutoencoder(*load_networks(folder, ConvAutoencoderSettings, _building, device))


def _loss(model: nn.Module, shown: Shown, indices: npt.NDArray[np.int64], _: torch.Generator) -> Tensor:
    images = shown(indices)  # (B, C, H, W)
    return mean_squared_error(images, model(images)).mean()


def _building(settings: ConvAutoencoderSettings) -> Build:
    def build(image_size: tuple[int, int], channels: int, generator: torch.Generator) -> dict[str, nn.Module]:
        if not fits(image_size):
            raise UserError(
                f"The convolutional autoencoder cannot halve images of {image_size[0]}x{image_size[1]} pixels; prepare "
                f"them with even sides of at least 16."
            )
        return {"autoencoder": ConvAutoencoder(image_size, channels, settings.width, settings.latent, generator)}

    return build


_TRAINING = {"lr": 1e-3, "weight_decay": 0.0, "batch": 16}
METHOD = Method(
    ConvAutoencoderDetector,
    by_scale(
        ConvAutoencoderSettings,
        {
            "small": {"width": 16, "training": {**_TRAINING, "steps": 2000, "warmup_steps": 50}},
            "tiny": {"width": 8, "latent": 32, "training": {**_TRAINING, "steps": 150, "warmup_steps": 10}},
        },
    ),
)

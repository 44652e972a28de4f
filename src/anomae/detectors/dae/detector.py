"""A denoising autoencoder with coarse noise (Kascenas et al., MIDL 2022; "The role of noise", MedIA 2023).

A U-Net learns to take away noise that was drawn at 16x16, enlarged and rolled, from the tissue of healthy slices; what
it would take away from a new slice is abnormal.  Against the original: noise, its deviation and place, L2 loss, weight
standardisation, group norm, swish, three levels and the median filter of the map are the original's, the latter within
the slice; levels are halved by max pooling, narrow ones have fewer groups, Adam without AMSGrad follows one half cosine
over the whole length, nothing is held out, and of what lies outside the tissue nothing is cut from the map.  The
original scores pixels; the score of an image is ours.  Of several channels each has noise of its own, in the same
cells and rolled alike, and the map is the mean over them, as there; tissue is where any channel is bright enough.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from anomae.detectors.dae.settings import DenoisingSettings
from anomae.detectors.fitted_networks import Build, FittedNetworks, load_networks, named_scores
from anomae.detectors.one_network import Shown, train_the_one
from anomae.detectors.protocol import Findings, HealthySlices, Images4
from anomae.errors import UserError
from anomae.models.anomaly_maps import highest_mean
from anomae.models.coarse_noise import coarse_noise
from anomae.models.gan.residual_scores import median_filtered
from anomae.models.reconstruction_errors import mean_squared_error
from anomae.models.unet import UNet, fits
from anomae.training.settings import DeviceSettings

SCORES = ("top", "peak", "mean")


@dataclass(frozen=True, slots=True, eq=False)
class FittedDenoisingAutoencoder:
    """The score is how much a network that learned to remove noise would change the image, where most."""

    name: ClassVar[str] = "dae"
    map_name: ClassVar[str] = "absolute residual, median filtered, prepared intensity"
    description: ClassVar[str] = ""
    settings: DenoisingSettings
    fitted: FittedNetworks

    def inspect(self, images: Images4) -> Findings:
        """Images (n, c, h, w): map |x - x^|, median filtered, mean of the channels, and x^, in prepared intensities.

        x is the image within the network's range, lighter and darker pixels cut off; scores are in that range, 0..1.
        """
        maps, reconstructions, measured = self.fitted.apply(images, self.settings.device, self._denoised)
        scores = named_scores(measured, SCORES)
        return Findings(scores[self.settings.score], maps, reconstructions, scores)

    def residuals(self, images: Images4) -> Images4:
        """Images (n, c, h, w) -> x - x^ (n, c, h, w), signed, median filtered, in the network's range."""

        def found(block: Tensor, _: npt.NDArray[np.float32]) -> tuple[Tensor, ...]:
            shown = self.fitted.scale.shown(block)
            return (median_filtered(shown - self.fitted.networks["denoiser"](shown), self.settings.median),)

        return self.fitted.apply(images, self.settings.device, found)[0]

    def save(self, folder: Path) -> None:
        """Write weights.safetensors and, last, settings.json."""
        self.fitted.save(folder, self.name, self.settings)

    def _denoised(self, images: Tensor, _: npt.NDArray[np.float32]) -> tuple[Tensor, Tensor, Tensor]:
        settings, scale = self.settings, self.fitted.scale
        shown = scale.shown(images)
        reconstructions = self.fitted.networks["denoiser"](shown)  # (B, C, H, W)
        residuals = median_filtered((shown - reconstructions).abs(), settings.median)
        residual = residuals.mean(dim=1)  # (B, H, W)
        scores = [highest_mean(residual, settings.top_share), residual.amax(dim=(1, 2)), residual.mean(dim=(1, 2))]
        maps = scale.prepared_distances(residuals).mean(dim=1)
        return maps, scale.prepared(reconstructions), torch.stack(scores, dim=1)


class DenoisingAutoencoderDetector:
    """Learns to take coarse noise away from healthy slices."""

    name: ClassVar[str] = FittedDenoisingAutoencoder.name
    settings_type = DenoisingSettings

    def __init__(self, settings: DenoisingSettings) -> None:
        """Keep the settings."""
        self.settings = settings

    def fit(self, healthy: HealthySlices, *, seed: int, folder: Path, fabric: Any = None) -> FittedDenoisingAutoencoder:
        """Train on healthy slices.  A fit stopped at any moment goes on from its checkpoint in `folder`.

        fabric: of a larger fit that this one is the beginning of; None: one of its own.

        Raises UserError where there is nothing to learn from or the sides cannot be halved so often, Diverged where
        the loss is no longer finite.
        """
        settings, (channels, size) = self.settings, (healthy.channels, healthy.image_size)

        def loss(model: nn.Module, shown: Shown, indices: npt.NDArray[np.int64], generator: torch.Generator) -> Tensor:
            clean = shown(indices)  # (B, C, H, W)
            noise = coarse_noise(len(clean), channels, size, settings.noise_cells, settings.noise_std, generator)
            noisy = clean + noise * (clean > settings.tissue).any(dim=1, keepdim=True)
            return mean_squared_error(clean, model(noisy)).mean()

        build = _building(settings)
        fitted = train_the_one(
            self.name,
            FittedNetworks.begun(self.name, healthy, build, percentiles=settings.percentiles, seed=seed),
            healthy,
            loss,
            settings=settings.training,
            device=settings.device,
            folder=folder,
            optimizer=torch.optim.Adam,
            fabric=fabric,
        )
        return FittedDenoisingAutoencoder(settings, fitted)

    def refuse_size(self, image_size: tuple[int, int]) -> None:
        """Raise UserError where `fit` refuses images of (h, w) pixels."""
        _refuse_size(image_size, self.settings)

    @classmethod
    def load(cls, folder: Path, device: DeviceSettings | None = None) -> FittedDenoisingAutoencoder:
        """Read what `save` wrote.  Raises UserError where something is missing or broken."""
        return FittedDenoisingAutoencoder(*load_networks(folder, DenoisingSettings, _building, device))


def _building(settings: DenoisingSettings) -> Build:
    def build(image_size: tuple[int, int], channels: int, generator: torch.Generator) -> dict[str, nn.Module]:
        _refuse_size(image_size, settings)
        return {"denoiser": UNet((channels, channels), settings.width, settings.halvings, generator, standardised=True)}

    return build


def _refuse_size(image_size: tuple[int, int], settings: DenoisingSettings) -> None:
    (height, width), halvings = image_size, settings.halvings
    if min(image_size) <= settings.median // 2:
        raise UserError(
            f"A median filter of {settings.median} pixels does not fit images of {height}x{width}; "
            "set a smaller median."
        )
    if not fits(image_size, halvings):
        raise UserError(
            f"The denoising autoencoder cannot halve images of {height}x{width} pixels {halvings} times; prepare them "
            f"with sides that are multiples of {2**halvings}, or set fewer halvings."
        )

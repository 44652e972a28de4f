"""A denoising autoencoder with coarse noise (Kascenas et al., MIDL 2022; "The role of noise", MedIA 2023).

A U-Net learns to take away noise that was drawn at 16x16, enlarged and rolled, from the tissue of healthy slices; what
it would take away from a new slice is abnormal.  Against the original: noise, its deviation and place, L2 loss, weight
standardisation, group norm, swish, three levels and the median filter of the map are the original's, the latter within
the slice; levels are halved by max pooling, narrow ones have fewer groups, Adam without AMSGrad follows one half cosine
over the whole length, nothing is held out, and of what lies outside the tissue nothing is cut from the map.  The
original scores pixels; the score of an image is ours.
"""

from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from anomae.detectors.baselines.fitted_scale import FittedScale
from anomae.detectors.corruption_settings import DenoisingSettings
from anomae.detectors.fitted_networks import FittedNetworks
from anomae.detectors.protocol import Findings, HealthySlices
from anomae.errors import UserError
from anomae.files import read_json
from anomae.models.anomaly_maps import highest_mean
from anomae.models.coarse_noise import coarse_noise
from anomae.models.gan.residual_scores import median_filtered
from anomae.models.reconstruction_errors import mean_squared_error
from anomae.models.unet import UNet, fits
from anomae.seeds import derive_seed
from anomae.training.devices import make_fabric
from anomae.training.images import ImageFeed
from anomae.training.loop import Training, train
from anomae.training.settings import DeviceSettings

SCORES = ("top", "peak", "mean")


class DenoisingAutoencoderDetector:
    """The score is how much a network that learned to remove noise would change the image, where most."""

    name = "dae"

    def __init__(self, settings: DenoisingSettings) -> None:
        """Keep the settings; nothing is built before `fit` or `load`."""
        self.settings = settings
        self.fitted: FittedNetworks | None = None

    def fit(self, healthy: HealthySlices, *, seed: int, folder: Path) -> Self:
        """Train on healthy slices.  A fit stopped at any moment goes on from its checkpoint in `folder`.

        Raises UserError where there is nothing to learn from or the sides cannot be halved so often, Diverged where
        the loss is no longer finite.
        """
        settings = self.settings
        if len(healthy) == 0:
            raise UserError("There is no healthy slice to learn from.")
        weights = torch.Generator().manual_seed(derive_seed(seed, self.name, "weights"))
        networks = self._build(healthy.image_size, weights)
        scale = FittedScale.measured(healthy, settings.percentiles, lowest=0.0)
        fabric = make_fabric(settings.device)
        feed = ImageFeed(healthy, fabric.device)

        def batch_loss(model: nn.Module, places: npt.NDArray[np.int64], generator: torch.Generator) -> Tensor:
            clean = scale.shown(feed(places))  # (B, H, W)
            noise = coarse_noise(len(clean), healthy.image_size, settings.noise_cells, settings.noise_std, generator)
            noisy = clean + noise * (clean > settings.tissue)
            return mean_squared_error(clean, model(noisy[:, None])[:, 0]).mean()

        training = Training(
            stage=self.name,
            count=len(healthy),
            batch_loss=batch_loss,
            settings=settings.training,
            seed=seed,
            folder=folder,
            checkpoint_minutes=settings.device.checkpoint_minutes,
            optimizer=torch.optim.Adam,
        )
        train(fabric, networks["denoiser"], training)
        self.fitted = FittedNetworks(networks, scale, healthy.image_size, seed)
        return self

    def inspect(self, images: npt.NDArray[np.float32]) -> Findings:
        """Judge images (n, h, w): map |x - x^|, median filtered, and x^, both in prepared intensities.

        x is the image within the network's range, lighter and darker pixels cut off; scores are in that range, 0..1.
        """
        maps, reconstructions, measured = self._fitted().apply(images, self.settings.device, self._judge)
        scores = {name: measured[:, index].astype(np.float64) for index, name in enumerate(SCORES)}
        return Findings(scores[self.settings.score], maps, reconstructions, scores)

    def save(self, folder: Path) -> None:
        """Write weights.safetensors and, last, settings.json."""
        self._fitted().save(folder, self.name, self.settings)

    @classmethod
    def load(cls, folder: Path, device: DeviceSettings | None = None) -> Self:
        """Read what `save` wrote.  Raises UserError where something is missing or broken."""
        content = read_json(folder / "settings.json")
        settings = DenoisingSettings.model_validate(content["settings"])
        detector = cls(settings.model_copy(update={"device": device or DeviceSettings()}))
        detector.fitted = FittedNetworks.load(folder, content, detector._build)
        return detector

    def _fitted(self) -> FittedNetworks:
        if self.fitted is None:
            raise UserError("This denoising autoencoder was not fitted yet.")
        return self.fitted

    def _build(self, image_size: tuple[int, int], generator: torch.Generator) -> dict[str, nn.Module]:
        chosen = self.settings
        if not fits(image_size, chosen.halvings) or min(image_size) <= chosen.median // 2:
            raise UserError(
                f"The denoising autoencoder cannot halve images of {image_size[0]}x{image_size[1]} pixels "
                f"{chosen.halvings} times; prepare them with sides that are multiples of {2**chosen.halvings}, or set "
                f"fewer halvings."
            )
        return {"denoiser": UNet((1, 1), chosen.width, chosen.halvings, generator, standardised=True)}

    def _judge(self, images: Tensor, _: npt.NDArray[np.float32]) -> tuple[Tensor, Tensor, Tensor]:
        fitted, settings = self._fitted(), self.settings
        shown = fitted.scale.shown(images)
        reconstructions = fitted.networks["denoiser"](shown[:, None])[:, 0]
        residual = median_filtered((shown - reconstructions).abs(), settings.median)
        scores = [highest_mean(residual, settings.top_share), residual.amax(dim=(1, 2)), residual.mean(dim=(1, 2))]
        intensity = fitted.scale.high - fitted.scale.low
        return residual * intensity, fitted.scale.prepared(reconstructions), torch.stack(scores, dim=1)

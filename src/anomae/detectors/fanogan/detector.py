"""f-AnoGAN (Schlegl et al. 2019): a Wasserstein GAN of healthy images, then an encoder that finds an image in it.

Where it stands against the originals: `arch="unified"` is the form in the comparison of autoencoders (DEN), which the
paper's Table 1 most likely ran: 5x5 convolutions, images in 0..1, a patch critic that sees one batch five times.
`arch="schlegl"` is the method's own: residual blocks, images in -1..1, new images for each of the critic's steps,
RMSProp for the encoder; its code is for 64 pixels, other sizes are ours.  Both encoders end in tanh.  Put right, the
original kept as a setting: DEN's gradient penalty by column (`slope_of`).  Otherwise: DEN's early stop of the encoder
is left out (nothing is held out; the length is the stated budget), and DEN names no score of an image: the default is
the score of the method's authors, MSE(x, x^) + kappa MSE(f(x), f(x^)) with the critic's features f.  The map is the
mean over the channels.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from anomae.detectors.adversarial_settings import Length
from anomae.detectors.fanogan.settings import FAnoGanSettings
from anomae.detectors.fanogan.turns import adversarial_turn, encoder_turn
from anomae.detectors.fitted_networks import Build, FittedNetworks, load_networks, named_scores
from anomae.detectors.protocol import Findings, HealthySlices, Images4
from anomae.errors import UserError
from anomae.models import conv_autoencoding
from anomae.models.gan import resnet_gan
from anomae.models.gan.residual_scores import RESIDUALS, residual_scores
from anomae.slices.store import grey
from anomae.training.alternating import Turn, single_device, train_alternating
from anomae.training.images import ImageFeed
from anomae.training.settings import DeviceSettings
from anomae.training.steps import Steps

Networks = dict[str, Any]  # encoder, generator and critic, of either architecture


@dataclass(frozen=True, slots=True, eq=False)
class FittedFAnoGan:
    """Encoder, generator and critic; the score is the residual's square, in pixels and in the critic's features."""

    name: ClassVar[str] = "fanogan"
    map_name: ClassVar[str] = "absolute residual, prepared intensity"
    description: ClassVar[str] = ""
    settings: FAnoGanSettings
    fitted: FittedNetworks

    def inspect(self, images: Images4) -> Findings:
        """Images (n, c, h, w): scores in the network's range, map |x - x^| (mean of the channels), and x^ = G(E(x)).

        other_scores: the residuals, `features` (MSE of the critic's), and `latent` (MSE of E(x) and E(x^)).
        """
        reconstructions, measured = self.fitted.apply(images, self.settings.device, self._rebuilt)
        scores = named_scores(measured, (*RESIDUALS, "features", "latent"))
        scores["residual_and_features"] = scores["mse"] + self.settings.kappa * scores["features"]
        chosen = scores["mse" if self.settings.score == "residual" else "residual_and_features"]
        return Findings(chosen, grey(np.abs(images - reconstructions)), reconstructions, scores)

    def save(self, folder: Path) -> None:
        """Write weights.safetensors and, last, settings.json."""
        self.fitted.save(folder, self.name, self.settings)

    def _rebuilt(self, images: Tensor, _: npt.NDArray[np.float32]) -> tuple[Tensor, Tensor]:
        networks: Networks = self.fitted.networks
        shown = self.fitted.scale.shown(images)
        (latent,) = networks["encoder"](shown)
        reconstructions = networks["generator"](latent.tanh())
        (again,) = networks["encoder"](reconstructions)
        features = networks["critic"].features(shown) - networks["critic"].features(reconstructions)
        means = [features.square().mean(dim=(1, 2, 3)), (latent.tanh() - again.tanh()).square().mean(dim=1)]
        scores = torch.cat([residual_scores(shown, reconstructions), torch.stack(means, dim=1)], dim=1)
        return self.fitted.scale.prepared(reconstructions), scores


class FAnoGan:
    """Learns to make healthy images from noise, then to find the noise that an image is made of."""

    name: ClassVar[str] = FittedFAnoGan.name
    settings_type = FAnoGanSettings
    one_device: ClassVar[bool] = True

    def __init__(self, settings: FAnoGanSettings) -> None:
        """Keep the settings."""
        self.settings = settings

    def fit(self, healthy: HealthySlices, *, seed: int, folder: Path) -> FittedFAnoGan:
        """Train generator and critic, then the encoder.  A fit stopped at any moment goes on from `folder`.

        Raises UserError where there is nothing to learn from, the architecture cannot halve images of this size, or
        several devices or bf16 are asked for; Diverged where a loss is no longer finite.
        """
        settings, count = self.settings, len(healthy)
        device = single_device(self.name, settings.device)
        begun = FittedNetworks.begun(
            self.name,
            healthy,
            _building(settings),
            percentiles=settings.percentiles,
            lowest=0.0 if settings.arch == "unified" else -1.0,
            seed=seed,
        )
        networks: Networks = begun.networks
        for network in networks.values():
            network.to(device)
        feed = ImageFeed(healthy, device)

        def drawn(indices: npt.NDArray[np.int64], generator: torch.Generator) -> Tensor:
            images = begun.scale.shown(feed(indices))
            if not settings.flip:
                return images
            flipped = torch.rand(len(images), 1, 1, 1, generator=generator, device=device) < 0.5
            return torch.where(flipped, images.flip(3), images)

        def train(
            stage: str, learning: dict[str, torch.optim.Optimizer], length: Length, batches: int, turn: Turn
        ) -> None:
            taken = length.batch * batches
            steps = Steps(
                stage=stage,
                count=count,
                batch=taken,
                steps=length.total_steps(count, taken),
                networks={name: networks[name] for name in learning},
                optimizers=learning,
                seed=seed,
                folder=folder,
                checkpoint_minutes=settings.device.checkpoint_minutes,
            )
            train_alternating(steps, turn, device)

        both: dict[str, torch.optim.Optimizer] = {
            name: torch.optim.Adam(networks[name].parameters(), lr=settings.lr, betas=settings.betas, fused=True)
            for name in ("generator", "critic")
        }
        fresh = settings.critic_steps if settings.critic_batches == "fresh" else 1
        train(
            "fanogan",
            both,
            settings.training,
            fresh,
            lambda indices, generator: adversarial_turn(settings, drawn(indices, generator), networks, both, generator),
        )
        finding = _encoder_optimizer(settings, networks["encoder"])
        train(
            "fanogan-encoder",
            {"encoder": finding},
            settings.encoder_training,
            1,
            lambda indices, generator: encoder_turn(settings, drawn(indices, generator), networks, finding, generator),
        )
        return FittedFAnoGan(settings, begun)

    @classmethod
    def load(cls, folder: Path, device: DeviceSettings | None = None) -> FittedFAnoGan:
        """Read what `save` wrote.  Raises UserError where something is missing or broken."""
        return FittedFAnoGan(*load_networks(folder, FAnoGanSettings, _building, device))


def _building(settings: FAnoGanSettings) -> Build:
    def build(image_size: tuple[int, int], channels: int, generator: torch.Generator) -> dict[str, nn.Module]:
        of_images, width, latent = (image_size, channels), settings.width, settings.latent
        size = f"{image_size[0]}x{image_size[1]}"
        if settings.arch == "unified":
            if not conv_autoencoding.fits(image_size):
                raise UserError(
                    f"f-AnoGAN cannot halve images of {size} pixels; prepare them with even sides of at least 16."
                )
            return {
                "encoder": conv_autoencoding.ConvEncoder(*of_images, width, latent, 1, generator),
                "generator": conv_autoencoding.ConvGenerator(*of_images, width, latent, generator, squash=True),
                "critic": conv_autoencoding.PatchCritic(*of_images, width, generator),
            }
        if not resnet_gan.fits(image_size):
            raise UserError(
                f"f-AnoGAN of arch=schlegl cannot halve images of {size} pixels down to 3 to 8; prepare them at 48, "
                f"64, 96, 128, 160, 192 or 224 pixels, or use arch=unified."
            )
        return {
            "encoder": resnet_gan.ResnetEncoder(*of_images, width, latent, generator),
            "generator": resnet_gan.ResnetGenerator(*of_images, width, latent, generator),
            "critic": resnet_gan.ResnetCritic(*of_images, width, generator),
        }

    return build


def _encoder_optimizer(settings: FAnoGanSettings, encoder: nn.Module) -> torch.optim.Optimizer:
    if settings.encoder_optimizer == "rmsprop":
        # The original adds 1e-10 under the root; here 1e-5 is added to the root.
        return torch.optim.RMSprop(encoder.parameters(), lr=settings.encoder_lr, alpha=0.9, eps=1e-5)
    return torch.optim.Adam(encoder.parameters(), lr=settings.encoder_lr, betas=settings.betas, fused=True)

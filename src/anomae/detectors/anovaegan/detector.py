"""AnoVAEGAN (Baur et al. 2018/2019): a variational autoencoder whose reconstructions must convince a critic too.

Where it stands against the original: this is the dense, 128-number form of the authors' own later comparison (DEN),
which the paper's Table 1 most likely ran; the 2018 text had a spatial latent.  As there: layers, losses, three Adams,
one step of the autoencoder, one of its decoder against the critic, five of the critic on the same images.  Put right,
the original kept as a setting: the gradient penalty by image (`slope_of`), dropout on mu alone (`dropout_on`), z = mu
in use (`test_latent`).  Otherwise: no norm in the encoder (there it never learns), no early stop (nothing is held out;
the length is the stated budget), symmetric padding, and a score of an image, which the original has not.  Of several
channels errors are summed in training, and the map is their mean.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from anomae.detectors.anovaegan.settings import AnoVaeGanSettings
from anomae.detectors.fitted_networks import Build, FittedNetworks, load_networks, named_scores
from anomae.detectors.protocol import Findings, HealthySlices, Images4
from anomae.errors import UserError
from anomae.models.backbones.random_weights import drawn_keep
from anomae.models.conv_autoencoding import ConvEncoder, ConvGenerator, PatchCritic, fits
from anomae.models.gan.residual_scores import RESIDUALS, residual_scores
from anomae.models.gan.variational import divergence, sampled
from anomae.models.gan.wasserstein import critic_losses
from anomae.seeds import content_seed, derive_seed
from anomae.slices.store import grey
from anomae.training.alternating import descend, single_device, train_alternating
from anomae.training.images import ImageFeed
from anomae.training.settings import DeviceSettings
from anomae.training.steps import Steps


@dataclass(frozen=True, slots=True, eq=False)
class FittedAnoVaeGan:
    """Variational autoencoder with a critic; the score is a measure of the residual (`settings.score`)."""

    name: ClassVar[str] = "anovaegan"
    map_name: ClassVar[str] = "absolute residual, prepared intensity"
    description: ClassVar[str] = ""
    settings: AnoVaeGanSettings
    fitted: FittedNetworks

    def inspect(self, images: Images4) -> Findings:
        """Images (n, c, h, w): residual scores in the network's range 0..1, map |x - x^| (mean of the channels), x^."""
        reconstructions, measured = self.fitted.apply(images, self.settings.device, self._rebuilt)
        scores = named_scores(measured, RESIDUALS)
        return Findings(scores[self.settings.score], grey(np.abs(images - reconstructions)), reconstructions, scores)

    def save(self, folder: Path) -> None:
        """Write weights.safetensors and, last, settings.json."""
        self.fitted.save(folder, self.name, self.settings)

    def _rebuilt(self, images: Tensor, block: npt.NDArray[np.float32]) -> tuple[Tensor, Tensor]:
        networks, scale = self.fitted.networks, self.fitted.scale
        shown = scale.shown(images)
        latent, log_sigma = networks["encoder"](shown)
        if self.settings.test_latent == "sample":
            seeds = [content_seed(derive_seed(self.fitted.seed, "latent"), image) for image in block]
            noise = [torch.randn(latent.shape[1], generator=torch.Generator().manual_seed(seed)) for seed in seeds]
            latent = sampled(latent, log_sigma, torch.stack(noise).to(latent.device))
        reconstructions = networks["generator"](latent)
        return scale.prepared(reconstructions), residual_scores(shown, reconstructions)


class AnoVaeGan:
    """Learns to rebuild healthy slices from a latent that is nearly normal, and to convince a critic."""

    name: ClassVar[str] = FittedAnoVaeGan.name
    settings_type = AnoVaeGanSettings
    one_device: ClassVar[bool] = True

    def __init__(self, settings: AnoVaeGanSettings) -> None:
        """Keep the settings."""
        self.settings = settings

    def fit(self, healthy: HealthySlices, *, seed: int, folder: Path) -> FittedAnoVaeGan:
        """Train on healthy slices.  A fit stopped at any moment goes on from its checkpoint in `folder`.

        Raises UserError where there is nothing to learn from, the image has odd sides or fewer than 16 pixels, or
        several devices or bf16 are asked for; Diverged where a loss is no longer finite.
        """
        settings, count = self.settings, len(healthy)
        device = single_device(self.name, settings.device)
        build = _building(settings)
        begun = FittedNetworks.begun(self.name, healthy, build, percentiles=settings.percentiles, seed=seed)
        networks = begun.networks
        for network in networks.values():
            network.to(device)
        learning = {
            "autoencoder": [*networks["encoder"].parameters(), *networks["generator"].parameters()],
            "generator": list(networks["generator"].parameters()),
            "critic": list(networks["critic"].parameters()),
        }
        optimizers: dict[str, torch.optim.Optimizer] = {
            name: torch.optim.Adam(parameters, lr=settings.lr, betas=settings.betas, fused=True)
            for name, parameters in learning.items()
        }
        feed = ImageFeed(healthy, device)

        def turn(indices: npt.NDArray[np.int64], generator: torch.Generator) -> Mapping[str, Tensor]:
            return _turn(settings, begun.scale.shown(feed(indices)), networks, optimizers, generator)

        steps = Steps(
            stage=self.name,
            count=count,
            batch=settings.training.batch,
            steps=settings.training.total_steps(count, settings.training.batch),
            networks=networks,
            optimizers=optimizers,
            seed=seed,
            folder=folder,
            checkpoint_minutes=settings.device.checkpoint_minutes,
        )
        train_alternating(steps, turn, device)
        return FittedAnoVaeGan(settings, begun)

    @classmethod
    def load(cls, folder: Path, device: DeviceSettings | None = None) -> FittedAnoVaeGan:
        """Read what `save` wrote.  Raises UserError where something is missing or broken."""
        return FittedAnoVaeGan(*load_networks(folder, AnoVaeGanSettings, _building, device))


def _building(settings: AnoVaeGanSettings) -> Build:
    def build(image_size: tuple[int, int], channels: int, generator: torch.Generator) -> dict[str, nn.Module]:
        if not fits(image_size):
            raise UserError(
                f"AnoVAEGAN cannot halve images of {image_size[0]}x{image_size[1]} pixels; prepare them with even "
                f"sides of at least 16."
            )
        width, latent = settings.width, settings.latent
        return {
            "encoder": ConvEncoder(image_size, channels, width, latent, 2, generator),
            "generator": ConvGenerator(image_size, channels, width, latent, generator),
            "critic": PatchCritic(image_size, channels, width, generator),
        }

    return build


def _turn(
    settings: AnoVaeGanSettings,
    images: Tensor,
    networks: dict[str, nn.Module],
    optimizers: dict[str, torch.optim.Optimizer],
    generator: torch.Generator,
) -> dict[str, Tensor]:
    """One step of the autoencoder, one of its decoder against the critic, some of the critic."""
    encoder, critic = networks["encoder"], networks["critic"]

    def rebuilt(mu: Tensor, log_sigma: Tensor) -> tuple[Tensor, Tensor]:
        """Reconstructions (B, C, H, W) and their divergence, dropout and noise newly drawn."""
        mu = mu * drawn_keep(tuple(mu.shape), settings.dropout, generator)
        if settings.dropout_on == "both":
            log_sigma = log_sigma * drawn_keep(tuple(mu.shape), settings.dropout, generator)
        noise = torch.randn(mu.shape, generator=generator, device=mu.device)
        return networks["generator"](sampled(mu, log_sigma, noise)), divergence(mu, log_sigma)

    reconstructions, divergences = rebuilt(*encoder(images))
    residual = (images - reconstructions).abs().sum(dim=(1, 2, 3)).mean()
    loss = descend(residual + divergences.mean(), optimizers["autoencoder"])
    with torch.no_grad():
        latent = encoder(images)  # the encoder stays as it is for the rest of the step
    adversarial = descend(-critic(rebuilt(*latent)[0]).mean(), optimizers["generator"])
    losses = {"loss": loss, "residual": residual.detach(), "generator": adversarial}
    for _ in range(settings.critic_steps):
        with torch.no_grad():
            fake = rebuilt(*latent)[0]
        higher, penalty = critic_losses(critic, images, fake, generator, settings.slope_of)
        descend(higher + settings.penalty_weight * penalty, optimizers["critic"])
    return {**losses, "critic": higher.detach(), "penalty": penalty.detach()}

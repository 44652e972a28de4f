"""AnoVAEGAN (Baur et al. 2018/2019): a variational autoencoder whose reconstructions must convince a critic too.

Where it stands against the original: this is the dense, 128-number form of the authors' own later comparison (DEN),
which the paper's Table 1 most likely ran; the 2018 text had a spatial latent.  As there: layers, losses, three Adams,
one step of the autoencoder, one of its decoder against the critic, five of the critic on the same images.  Put right,
the original kept as a setting: the gradient penalty by image (`slope_of`), dropout on mu alone (`dropout_on`), z = mu
in use (`test_latent`).  Otherwise: no norm in the encoder (there it never learns), no early stop (nothing is held out;
the length is the stated budget), symmetric padding, and a score of an image, which the original has not.
"""

from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from anomae.detectors.adversarial_settings import AnoVaeGanSettings
from anomae.detectors.baselines.fitted_scale import FittedScale
from anomae.detectors.fitted_networks import FittedNetworks
from anomae.detectors.protocol import Findings, HealthySlices
from anomae.errors import UserError
from anomae.files import read_json
from anomae.models.backbones.random_weights import drawn_keep
from anomae.models.conv_autoencoding import ConvEncoder, ConvGenerator, PatchCritic, fits
from anomae.models.gan.residual_scores import RESIDUALS, residual_scores
from anomae.models.gan.variational import divergence, sampled
from anomae.models.gan.wasserstein import critic_losses
from anomae.seeds import content_seed, derive_seed
from anomae.training.alternating import Alternating, descend, single_device, train_alternating
from anomae.training.images import ImageFeed
from anomae.training.settings import DeviceSettings


class AnoVaeGan:
    """Variational autoencoder with a critic; the score is a measure of the residual (`settings.score`)."""

    name = "anovaegan"

    def __init__(self, settings: AnoVaeGanSettings) -> None:
        """Keep the settings; nothing is built before `fit` or `load`."""
        self.settings = settings
        self.fitted: FittedNetworks | None = None

    def fit(self, healthy: HealthySlices, *, seed: int, folder: Path) -> Self:
        """Train on healthy slices.  A fit stopped at any moment goes on from its checkpoint in `folder`.

        Raises UserError where there is nothing to learn from, the image has odd sides or fewer than 16 pixels, or
        several devices or bf16 are asked for; Diverged where a loss is no longer finite.
        """
        settings = self.settings
        if len(healthy) == 0:
            raise UserError("There is no healthy slice to learn from.")
        device = single_device(settings.device)
        weights = torch.Generator().manual_seed(derive_seed(seed, self.name, "weights"))
        networks = self._build(healthy.image_size, weights)
        for network in networks.values():
            network.to(device)
        scale = FittedScale.measured(healthy, settings.percentiles, lowest=0.0)
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

        def step(places: npt.NDArray[np.int64], generator: torch.Generator) -> dict[str, Tensor]:
            return self._step(scale.shown(feed(places)), networks, optimizers, generator)

        train_alternating(
            Alternating(
                stage="anovaegan",
                count=len(healthy),
                taken=settings.training.batch,
                steps=settings.training.total_steps(len(healthy), settings.training.batch),
                networks=networks,
                optimizers=optimizers,
                step=step,
                seed=seed,
                folder=folder,
                device=device,
                checkpoint_minutes=settings.device.checkpoint_minutes,
            )
        )
        self.fitted = FittedNetworks(networks, scale, healthy.image_size, seed)
        return self

    def inspect(self, images: npt.NDArray[np.float32]) -> Findings:
        """Judge images (n, h, w): residual scores in the network's range 0..1, map |x - x^|, and x^."""
        reconstructions, measured = self._fitted().apply(images, self.settings.device, self._judge)
        scores = {name: measured[:, index].astype(np.float64) for index, name in enumerate(RESIDUALS)}
        return Findings(scores[self.settings.score], np.abs(images - reconstructions), reconstructions, scores)

    def save(self, folder: Path) -> None:
        """Write weights.safetensors and, last, settings.json."""
        self._fitted().save(folder, self.name, self.settings)

    @classmethod
    def load(cls, folder: Path, device: DeviceSettings | None = None) -> Self:
        """Read what `save` wrote.  Raises UserError where something is missing or broken."""
        content = read_json(folder / "settings.json")
        settings = AnoVaeGanSettings.model_validate(content["settings"])
        detector = cls(settings.model_copy(update={"device": device or DeviceSettings()}))
        detector.fitted = FittedNetworks.load(folder, content, detector._build)
        return detector

    def _fitted(self) -> FittedNetworks:
        if self.fitted is None:
            raise UserError("This AnoVAEGAN was not fitted yet.")
        return self.fitted

    def _build(self, image_size: tuple[int, int], generator: torch.Generator) -> dict[str, nn.Module]:
        if not fits(image_size):
            raise UserError(
                f"AnoVAEGAN cannot halve images of {image_size[0]}x{image_size[1]} pixels; prepare them with even "
                f"sides of at least 16."
            )
        chosen = self.settings
        return {
            "encoder": ConvEncoder(image_size, chosen.width, chosen.latent, 2, generator),
            "generator": ConvGenerator(image_size, chosen.width, chosen.latent, generator),
            "critic": PatchCritic(image_size, chosen.width, generator),
        }

    def _step(
        self,
        images: Tensor,
        networks: dict[str, nn.Module],
        optimizers: dict[str, torch.optim.Optimizer],
        generator: torch.Generator,
    ) -> dict[str, Tensor]:
        settings, encoder, critic = self.settings, networks["encoder"], networks["critic"]

        def rebuilt(mu: Tensor, log_sigma: Tensor) -> tuple[Tensor, Tensor]:
            """Reconstructions (B, H, W) and their divergence, dropout and noise newly drawn."""
            mu = mu * drawn_keep(tuple(mu.shape), settings.dropout, generator)
            if settings.dropout_on == "both":
                log_sigma = log_sigma * drawn_keep(tuple(mu.shape), settings.dropout, generator)
            noise = torch.randn(mu.shape, generator=generator, device=mu.device)
            return networks["generator"](sampled(mu, log_sigma, noise)), divergence(mu, log_sigma)

        reconstructions, divergences = rebuilt(*encoder(images))
        residual = (images - reconstructions).abs().sum(dim=(1, 2)).mean()
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

    def _judge(self, images: Tensor, block: npt.NDArray[np.float32]) -> tuple[Tensor, Tensor]:
        fitted = self._fitted()
        shown = fitted.scale.shown(images)
        latent, log_sigma = fitted.networks["encoder"](shown)
        if self.settings.test_latent == "sample":
            seeds = [content_seed(derive_seed(fitted.seed, "latent"), image) for image in block]
            noise = [torch.randn(latent.shape[1], generator=torch.Generator().manual_seed(seed)) for seed in seeds]
            latent = sampled(latent, log_sigma, torch.stack(noise).to(latent.device))
        reconstructions = fitted.networks["generator"](latent)
        return fitted.scale.prepared(reconstructions), residual_scores(shown, reconstructions)

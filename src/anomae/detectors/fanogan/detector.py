"""f-AnoGAN (Schlegl et al. 2019): a Wasserstein GAN of healthy images, then an encoder that finds an image in it.

Where it stands against the originals: `arch="unified"` is the form in the comparison of autoencoders (DEN), which the
paper's Table 1 most likely ran: 5x5 convolutions, images in 0..1, a patch critic that sees one batch five times.
`arch="schlegl"` is the method's own: residual blocks, images in -1..1, new images for each of the critic's steps,
RMSProp for the encoder; its code is for 64 pixels, other sizes are ours.  Both encoders end in tanh.  Put right, the
original kept as a setting: DEN's gradient penalty by column (`slope_of`).  Otherwise: DEN's early stop of the encoder
is left out (nothing is held out; the length is the stated budget), and DEN names no score of an image: the default is
the score of the method's authors, MSE(x, x^) + kappa MSE(f(x), f(x^)) with the critic's features f.
"""

from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from anomae.detectors.adversarial_settings import FAnoGanSettings, Length
from anomae.detectors.baselines.fitted_scale import FittedScale
from anomae.detectors.fitted_networks import FittedNetworks
from anomae.detectors.protocol import Findings, HealthySlices
from anomae.errors import UserError
from anomae.files import read_json
from anomae.models import conv_autoencoding
from anomae.models.backbones.random_weights import drawn_keep
from anomae.models.gan import resnet_gan
from anomae.models.gan.residual_scores import RESIDUALS, residual_scores
from anomae.models.gan.wasserstein import critic_losses
from anomae.seeds import derive_seed
from anomae.training.alternating import Alternating, Step, descend, single_device, train_alternating
from anomae.training.images import ImageFeed
from anomae.training.settings import DeviceSettings

Networks = dict[str, Any]  # encoder, generator and critic, of either architecture


class FAnoGan:
    """Encoder, generator and critic; the score is the residual's square, in pixels and in the critic's features."""

    name = "fanogan"

    def __init__(self, settings: FAnoGanSettings) -> None:
        """Keep the settings; nothing is built before `fit` or `load`."""
        self.settings = settings
        self.fitted: FittedNetworks | None = None

    def fit(self, healthy: HealthySlices, *, seed: int, folder: Path) -> Self:
        """Train generator and critic, then the encoder.  A fit stopped at any moment goes on from `folder`.

        Raises UserError where there is nothing to learn from, the architecture cannot halve images of this size, or
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
        scale = FittedScale.measured(healthy, settings.percentiles, lowest=0.0 if settings.arch == "unified" else -1.0)
        feed = ImageFeed(healthy, device)

        def drawn(places: npt.NDArray[np.int64], generator: torch.Generator) -> Tensor:
            images = scale.shown(feed(places))
            if not settings.flip:
                return images
            turned = torch.rand(len(images), 1, 1, generator=generator, device=device) < 0.5
            return torch.where(turned, images.flip(2), images)

        optimizers: dict[str, torch.optim.Optimizer] = {
            name: torch.optim.Adam(networks[name].parameters(), lr=settings.lr, betas=settings.betas, fused=True)
            for name in ("generator", "critic")
        }
        finding = {"encoder": self._encoder_optimizer(networks["encoder"])}

        def adversarial(places: npt.NDArray[np.int64], generator: torch.Generator) -> dict[str, Tensor]:
            return self._adversarial_step(drawn(places, generator), networks, optimizers, generator)

        def encoding(places: npt.NDArray[np.int64], generator: torch.Generator) -> dict[str, Tensor]:
            return self._encoder_step(drawn(places, generator), networks, finding["encoder"], generator)

        def train(
            stage: str, learning: dict[str, torch.optim.Optimizer], length: Length, batches: int, step: Step
        ) -> None:
            taken = length.batch * batches
            train_alternating(
                Alternating(
                    stage=stage,
                    count=len(healthy),
                    taken=taken,
                    steps=length.total_steps(len(healthy), taken),
                    networks={name: networks[name] for name in learning},
                    optimizers=learning,
                    step=step,
                    seed=seed,
                    folder=folder,
                    device=device,
                    checkpoint_minutes=settings.device.checkpoint_minutes,
                )
            )

        fresh = settings.critic_steps if settings.critic_batches == "fresh" else 1
        train("fanogan", optimizers, settings.training, fresh, adversarial)
        train("fanogan-encoder", finding, settings.encoder_training, 1, encoding)
        self.fitted = FittedNetworks(networks, scale, healthy.image_size, seed)
        return self

    def inspect(self, images: npt.NDArray[np.float32]) -> Findings:
        """Judge images (n, h, w): scores in the network's range, map |x - x^|, and x^ = G(E(x)).

        other_scores: the residuals, `features` (MSE of the critic's), and `latent` (MSE of E(x) and E(x^)).
        """
        reconstructions, measured = self._fitted().apply(images, self.settings.device, self._judge)
        columns = measured.astype(np.float64).T
        scores = dict(zip((*RESIDUALS, "features", "latent"), columns, strict=True))
        scores["residual_and_features"] = scores["mse"] + self.settings.kappa * scores["features"]
        chosen = scores["mse" if self.settings.score == "residual" else "residual_and_features"]
        return Findings(chosen, np.abs(images - reconstructions), reconstructions, scores)

    def save(self, folder: Path) -> None:
        """Write weights.safetensors and, last, settings.json."""
        self._fitted().save(folder, self.name, self.settings)

    @classmethod
    def load(cls, folder: Path, device: DeviceSettings | None = None) -> Self:
        """Read what `save` wrote.  Raises UserError where something is missing or broken."""
        content = read_json(folder / "settings.json")
        settings = FAnoGanSettings.model_validate(content["settings"])
        detector = cls(settings.model_copy(update={"device": device or DeviceSettings()}))
        detector.fitted = FittedNetworks.load(folder, content, detector._build)
        return detector

    def _fitted(self) -> FittedNetworks:
        if self.fitted is None:
            raise UserError("This f-AnoGAN was not fitted yet.")
        return self.fitted

    def _build(self, image_size: tuple[int, int], generator: torch.Generator) -> Networks:
        width, latent = self.settings.width, self.settings.latent
        size = f"{image_size[0]}x{image_size[1]}"
        if self.settings.arch == "unified":
            if not conv_autoencoding.fits(image_size):
                raise UserError(
                    f"f-AnoGAN cannot halve images of {size} pixels; prepare them with even sides of at least 16."
                )
            return {
                "encoder": conv_autoencoding.ConvEncoder(image_size, width, latent, 1, generator),
                "generator": conv_autoencoding.ConvGenerator(image_size, width, latent, generator, squash=True),
                "critic": conv_autoencoding.PatchCritic(image_size, width, generator),
            }
        if not resnet_gan.fits(image_size):
            raise UserError(
                f"f-AnoGAN of arch=schlegl cannot halve images of {size} pixels down to 3 to 8; prepare them at 48, "
                f"64, 96, 128, 160, 192 or 224 pixels, or use arch=unified."
            )
        return {
            "encoder": resnet_gan.ResnetEncoder(image_size, width, latent, generator),
            "generator": resnet_gan.ResnetGenerator(image_size, width, latent, generator),
            "critic": resnet_gan.ResnetCritic(image_size, width, generator),
        }

    def _encoder_optimizer(self, encoder: nn.Module) -> torch.optim.Optimizer:
        settings = self.settings
        if settings.encoder_optimizer == "rmsprop":
            # The original adds 1e-10 under the root; here 1e-5 is added to the root.
            return torch.optim.RMSprop(encoder.parameters(), lr=settings.encoder_lr, alpha=0.9, eps=1e-5)
        return torch.optim.Adam(encoder.parameters(), lr=settings.encoder_lr, betas=settings.betas, fused=True)

    def _adversarial_step(
        self,
        images: Tensor,
        networks: Networks,
        optimizers: dict[str, torch.optim.Optimizer],
        generator: torch.Generator,
    ) -> dict[str, Tensor]:
        """One step of the generator, then the critic's."""
        settings, critic = self.settings, networks["critic"]
        batch = settings.training.batch
        same = settings.critic_batches == "same"
        parts = [images] * settings.critic_steps if same else images.reshape(-1, batch, *images.shape[1:])

        def imagined() -> Tensor:
            latent = torch.randn(batch, settings.latent, generator=generator, device=images.device)
            return networks["generator"](latent)  # type: ignore[no-any-return]

        adversarial = descend(-critic(imagined()).mean(), optimizers["generator"])
        for real in parts:
            with torch.no_grad():
                fake = imagined()
            higher, penalty = critic_losses(critic, real, fake, generator, settings.slope_of)
            loss = descend(higher + settings.penalty_weight * penalty, optimizers["critic"])
        return {"loss": loss, "generator": adversarial, "critic": higher.detach(), "penalty": penalty.detach()}

    def _encoder_step(
        self, images: Tensor, networks: Networks, optimizer: torch.optim.Optimizer, generator: torch.Generator
    ) -> dict[str, Tensor]:
        """E learns that G(E(x)) is like x in pixels and in the critic's features; G and the critic stay as they are."""
        critic = networks["critic"]
        (latent,) = networks["encoder"](images)
        latent = latent * drawn_keep(tuple(latent.shape), self.settings.dropout, generator)
        reconstructions = networks["generator"](latent.tanh())
        residual = (images - reconstructions).square().mean()
        with torch.no_grad():
            wanted = critic.features(images)
        features = (wanted - critic.features(reconstructions)).square().mean()
        loss = descend(residual + self.settings.kappa * features, optimizer)
        return {"loss": loss, "residual": residual.detach(), "features": features.detach()}

    def _judge(self, images: Tensor, _: npt.NDArray[np.float32]) -> tuple[Tensor, Tensor]:
        fitted = self._fitted()
        networks: Networks = fitted.networks
        shown = fitted.scale.shown(images)
        (latent,) = networks["encoder"](shown)
        reconstructions = networks["generator"](latent.tanh())
        (again,) = networks["encoder"](reconstructions)
        features = networks["critic"].features(shown) - networks["critic"].features(reconstructions)
        means = [features.square().mean(dim=(1, 2, 3)), (latent.tanh() - again.tanh()).square().mean(dim=1)]
        scores = torch.cat([residual_scores(shown, reconstructions), torch.stack(means, dim=1)], dim=1)
        return fitted.scale.prepared(reconstructions), scores

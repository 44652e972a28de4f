"""The steps of f-AnoGAN's two trainings: generator against critic, then the encoder."""

from typing import Any

import torch
from torch import Tensor

from anomae.detectors.fanogan.settings import FAnoGanSettings
from anomae.models.backbones.random_weights import drawn_keep
from anomae.models.gan.wasserstein import critic_losses
from anomae.training.alternating import descend


def adversarial_turn(
    settings: FAnoGanSettings,
    images: Tensor,
    networks: dict[str, Any],
    optimizers: dict[str, torch.optim.Optimizer],
    generator: torch.Generator,
) -> dict[str, Tensor]:
    """One step of the generator, then the critic's, on images (B, C, H, W); gives the losses by name."""
    critic, batch = networks["critic"], settings.training.batch
    same = settings.critic_batches == "same"
    batches = [images] * settings.critic_steps if same else images.reshape(-1, batch, *images.shape[1:])

    def imagined() -> Tensor:
        latent = torch.randn(batch, settings.latent, generator=generator, device=images.device)
        return networks["generator"](latent)  # type: ignore[no-any-return]

    adversarial = descend(-critic(imagined()).mean(), optimizers["generator"])
    for real in batches:
        with torch.no_grad():
            fake = imagined()
        higher, penalty = critic_losses(critic, real, fake, generator, settings.slope_of)
        loss = descend(higher + settings.penalty_weight * penalty, optimizers["critic"])
    return {"loss": loss, "generator": adversarial, "critic": higher.detach(), "penalty": penalty.detach()}


def encoder_turn(
    settings: FAnoGanSettings,
    images: Tensor,
    networks: dict[str, Any],
    optimizer: torch.optim.Optimizer,
    generator: torch.Generator,
) -> dict[str, Tensor]:
    """One step of E, on images (B, C, H, W): G(E(x)) is to be like x in pixels and in the critic's features.

    G and the critic stay as they are.  Gives the losses by name.
    """
    critic = networks["critic"]
    (latent,) = networks["encoder"](images)
    latent = latent * drawn_keep(tuple(latent.shape), settings.dropout, generator)
    reconstructions = networks["generator"](latent.tanh())
    residual = (images - reconstructions).square().mean()
    with torch.no_grad():
        wanted = critic.features(images)
    features = (wanted - critic.features(reconstructions)).square().mean()
    loss = descend(residual + settings.kappa * features, optimizer)
    return {"loss": loss, "residual": residual.detach(), "features": features.detach()}

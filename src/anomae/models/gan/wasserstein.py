"""What a Wasserstein critic learns, and the gradient penalty that keeps it near slope one (Gulrajani et al. 2017)."""

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

# Of what the slope is held to one: each image's whole gradient, or (DEN) each column of pixels of each channel.
SlopeOf = Literal["sample", "columns"]


def critic_losses(
    critic: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor, generator: torch.Generator, slope_of: SlopeOf
) -> tuple[Tensor, Tensor]:
    """How much higher the critic holds fake images than real ones, to be made small, and the penalty on its slope.

    critic: images (B, C, H, W) -> scores (B, h, w), of which an image's score is the mean.
    """
    scores = critic(torch.cat([fake, real]))
    higher = scores[: len(fake)].mean() - scores[len(fake) :].mean()
    return higher, gradient_penalty(critic, real, fake, generator, slope_of)


def gradient_penalty(
    critic: Callable[[Tensor], Tensor],
    real: Tensor,
    fake: Tensor,
    generator: torch.Generator,
    slope_of: SlopeOf = "sample",
) -> Tensor:
    """Mean of (|gradient| - 1)^2 at a random point between each real and its fake image; (B, C, H, W) each.

    slope_of: "sample": the norm is that of an image's whole gradient.  "columns": what DEN's code does instead: the
    gradient of the sum of all scores, squared and summed over the height alone, one norm for each column of a
    channel's pixels.
    """
    share = torch.rand(len(real), 1, 1, 1, generator=generator, device=real.device)
    between = (real + share * (fake - real)).detach().requires_grad_()
    scores = critic(between)
    total = scores.sum() if slope_of == "columns" else scores.mean(dim=(1, 2)).sum()
    (gradient,) = torch.autograd.grad(total, between, create_graph=True)
    # At a gradient of zero the derivative of its norm is taken as zero, not as NaN.
    norms: Tensor = torch.linalg.vector_norm(gradient, dim=2 if slope_of == "columns" else (1, 2, 3))
    return (norms - 1.0).square().mean()

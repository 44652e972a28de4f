"""The critic's loss: on critics whose gradient is known by hand."""

import pytest
import torch

from anomae.models.gan.wasserstein import critic_losses, gradient_penalty

PLANE = torch.linspace(-1, 2, 3 * 4 * 6, dtype=torch.float64).view(3, 4, 6)  # three channels


def linear(images: torch.Tensor) -> torch.Tensor:
    """Two patch scores an image, of gradient PLANE and 3 * PLANE: their mean has gradient 2 * PLANE."""
    score = (images * PLANE).sum(dim=(1, 2, 3))
    return torch.stack([score, 3 * score], dim=1)[:, :, None]


def pair(rng: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    real = torch.randn(5, 3, 4, 6, generator=rng, dtype=torch.float64)
    return real, torch.randn(5, 3, 4, 6, generator=rng, dtype=torch.float64)


def test_the_penalty_of_a_linear_critic_is_that_of_its_slope(rng: torch.Generator) -> None:
    slope = float((2 * PLANE).norm())
    found = gradient_penalty(linear, *pair(rng), rng)
    assert found.item() == pytest.approx((slope - 1) ** 2)
    columns = (4 * PLANE).norm(dim=1)  # the original's: of the sum of both scores, column by column of each channel
    found = gradient_penalty(linear, *pair(rng), rng, "columns")
    assert found.item() == pytest.approx(float((columns - 1).square().mean()))


def test_the_slope_is_measured_between_the_two_images(rng: torch.Generator) -> None:
    """Of a critic that is half the square, the gradient is the image: between r and r + d it has norm |r + a d|."""
    real = torch.zeros(4000, 1, 2, 2)
    fake = real + torch.tensor([[3.0, 0.0], [0.0, 4.0]])
    norms = 5 * torch.rand(100_000, generator=rng)
    found = gradient_penalty(lambda x: 0.5 * x.square().sum(dim=(2, 3)).unsqueeze(2), real, fake, rng)
    assert found.item() == pytest.approx(float((norms - 1).square().mean()), rel=0.05)


def test_the_penalty_teaches_the_critic_its_slope(rng: torch.Generator) -> None:
    """d/dw (w |PLANE| - 1)^2 = 2 (w |PLANE| - 1) |PLANE|: a gradient of a gradient."""
    weight = torch.tensor(0.7, dtype=torch.float64, requires_grad=True)
    norm = float(PLANE.norm())
    penalty = gradient_penalty(lambda x: weight * (x * PLANE).sum(dim=(1, 2, 3)).view(-1, 1, 1), *pair(rng), rng)
    (found,) = torch.autograd.grad(penalty, weight)
    assert found.item() == pytest.approx(2 * (0.7 * norm - 1) * norm)


def test_a_flat_critic_gives_numbers(rng: torch.Generator) -> None:
    weight = torch.zeros((), dtype=torch.float64, requires_grad=True)
    penalty = gradient_penalty(lambda x: weight * x[:, 0, :1, :1], *pair(rng), rng)
    (found,) = torch.autograd.grad(penalty, weight)
    assert penalty.item() == 1.0
    assert torch.isfinite(found)


def test_the_critic_is_to_hold_real_images_higher(rng: torch.Generator) -> None:
    real, fake = pair(rng)
    higher, penalty = critic_losses(linear, real, fake, rng, "sample")
    assert higher.item() == pytest.approx(float(linear(fake).mean() - linear(real).mean()))
    assert penalty.item() == pytest.approx((float((2 * PLANE).norm()) - 1) ** 2)

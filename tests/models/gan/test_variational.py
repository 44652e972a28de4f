"""The latent of a variational autoencoder, against torch.distributions."""

import torch
from torch.distributions import Normal, kl_divergence

from anomae.models.backbones.random_weights import drawn_keep
from anomae.models.gan.variational import divergence, sampled


def test_the_divergence_is_that_of_two_normals(rng: torch.Generator) -> None:
    mu, log_sigma = torch.randn(2, 7, 5, generator=rng)
    expected = kl_divergence(Normal(mu, log_sigma.exp()), Normal(0.0, 1.0)).sum(dim=1)
    torch.testing.assert_close(divergence(mu, log_sigma), expected)
    assert float(divergence(torch.zeros(1, 5), torch.zeros(1, 5))) == 0


def test_what_is_drawn_has_its_mean_and_deviation(rng: torch.Generator) -> None:
    mu, log_sigma = torch.tensor([[-1.0, 2.0]]), torch.tensor([[0.5, -1.0]])
    drawn = sampled(mu, log_sigma, torch.randn(100_000, 2, generator=rng))
    torch.testing.assert_close(drawn.mean(dim=0), mu[0], atol=0.02, rtol=0)
    torch.testing.assert_close(drawn.std(dim=0), log_sigma[0].exp(), atol=0, rtol=0.02)


def test_dropout_leaves_the_mean_and_takes_its_share(rng: torch.Generator) -> None:
    keep = drawn_keep((1000, 100), 0.2, rng)
    assert set(keep.unique().tolist()) == {0.0, 1.25}
    assert abs(float((keep == 0).float().mean()) - 0.2) < 0.01
    assert torch.equal(drawn_keep((3, 4), 0.0, rng), torch.ones(3, 4))

"""The latent of a variational autoencoder: drawn, and how far it is from a standard normal one (Kingma 2014)."""

from torch import Tensor


def sampled(mu: Tensor, log_sigma: Tensor, noise: Tensor) -> Tensor:
    """The latent (B, Z) of mean mu and standard deviation exp(log_sigma), from noise ~ N(0, 1); (B, Z) each."""
    return mu + noise * log_sigma.exp()


def divergence(mu: Tensor, log_sigma: Tensor) -> Tensor:
    """(B,) Kullback-Leibler divergence of N(mu, sigma^2) from N(0, 1), summed over the numbers of the latent."""
    return 0.5 * (mu.square() + (2 * log_sigma).exp() - 2 * log_sigma - 1).sum(dim=1)

"""A masked autoencoder of features: predicts what a frozen network makes of hidden patches from the visible ones."""

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from anomae.models.transformer.positions import sincos_positions
from anomae.models.transformer.sizes import Size
from anomae.models.transformer.vit import Block, initialise

SMALLEST_SPREAD = 1e-4
SMALLEST_PLACE_SPREAD = 0.1  # of the channel's own: where there is never tissue nothing varies


class FeatureAutoencoder(nn.Module):
    """A small transformer over all patches; hidden ones come in as one learned token, never with their features.

    It keeps what its features are over healthy images: mean and spread of each channel (C, 1, 1), and, once these are
    taken off, of each channel at each position (C, gh, gw).
    """

    mean: Tensor
    spread: Tensor
    place_mean: Tensor
    place_spread: Tensor

    def __init__(self, channels: int, grid: tuple[int, int], size: Size, generator: torch.Generator) -> None:
        """channels: of the features.  grid: (gh, gw) patches.  Weights are drawn from `generator`."""
        super().__init__()
        self.grid = grid
        self.embed = nn.Linear(channels, size.width)
        self.mask_token = nn.Parameter(torch.zeros(1, 1, size.width))
        self.pos_embed = nn.Parameter(sincos_positions(grid, size.width, False), requires_grad=False)
        self.blocks = nn.ModuleList(Block(size.width, size.heads) for _ in range(size.depth))
        self.norm = nn.LayerNorm(size.width, eps=1e-6)
        self.predict = nn.Linear(size.width, channels)
        initialise(self, generator)
        self.register_buffer("mean", torch.zeros(channels, 1, 1))
        self.register_buffer("spread", torch.ones(channels, 1, 1))
        self.register_buffer("place_mean", torch.zeros(channels, *grid))
        self.register_buffer("place_spread", torch.ones(channels, *grid))

    def measure(self, blocks: Iterable[Tensor]) -> None:
        """Take the statistics from features of healthy images, blocks (n, C, gh, gw); no more than sums are held."""
        count = 0
        total, squares = (torch.zeros(self.place_mean.shape, dtype=torch.float64) for _ in range(2))
        for block in blocks:
            wide = block.double().cpu()
            count, total, squares = count + len(wide), total + wide.sum(0), squares + wide.square().sum(0)
        place_mean, place_square = total / count, squares / count
        mean = place_mean.mean(dim=(1, 2), keepdim=True)
        spread = (place_square.mean(dim=(1, 2), keepdim=True) - mean.square()).clamp_min(0).sqrt()
        spread = spread.clamp_min(SMALLEST_SPREAD)
        place_spread = (place_square - place_mean.square()).clamp_min(0).sqrt() / spread
        self.mean.copy_(mean)
        self.spread.copy_(spread)
        self.place_mean.copy_((place_mean - mean) / spread)
        self.place_spread.copy_(place_spread.clamp_min(SMALLEST_PLACE_SPREAD))

    def scaled(self, features: Tensor) -> Tensor:
        """Features (B, C, gh, gw), mean and spread of each channel taken off."""
        return (features - self.mean) / self.spread

    def deviations(self, scaled: Tensor) -> Tensor:
        """Scaled features (B, C, gh, gw) in standard deviations from the mean of healthy patches at this position."""
        return (scaled - self.place_mean) / self.place_spread

    def forward(self, scaled: Tensor, hidden: Tensor) -> Tensor:
        """Predict scaled features of all patches, (B, C, gh, gw) float32.

        scaled: (B, C, gh, gw).  hidden: (B, gh, gw) bool; the prediction depends on no feature of a hidden patch.
        """
        tokens = self.embed(scaled.flatten(2).transpose(1, 2))  # (B, N, D)
        tokens = torch.where(hidden.flatten(1)[..., None], self.mask_token.to(tokens.dtype), tokens)
        tokens = tokens + self.pos_embed.to(tokens.dtype)
        for block in self.blocks:
            tokens = block(tokens)
        predicted: Tensor = self.predict(self.norm(tokens)).float()  # (B, N, C)
        return predicted.transpose(1, 2).reshape(scaled.shape)


def hidden_error(predicted: Tensor, scaled: Tensor, hidden: Tensor) -> Tensor:
    """Smooth L1 (beta 1) of predictions (B, C, gh, gw), averaged over channels and hidden (B, gh, gw) patches only."""
    errors = F.smooth_l1_loss(predicted, scaled, reduction="none").mean(dim=1)  # (B, gh, gw)
    return (errors * hidden).sum() / hidden.sum()


def hidden_residual(network: FeatureAutoencoder, scaled: Tensor, masks: Tensor) -> Tensor:
    """Features less what is predicted of them where they are hidden, (B, C, gh, gw) float32.

    masks: (passes, B, gh, gw) bool, each patch hidden in one pass.  Pass after pass, so that memory does not grow.
    """
    residual = torch.zeros_like(scaled)
    for hidden in masks:
        residual = torch.where(hidden[:, None], scaled - network(scaled, hidden), residual)
    return residual

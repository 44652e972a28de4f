"""The masked autoencoder (paper section 3, eq. 1; He et al. 2022): rebuilds an image from the patches it is shown.

From top to bottom: patches and their positions, which of them are visible, the transformer block, the network, its
loss, its reconstruction for use.  Parameters have the names of facebookresearch/mae and of timm.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from anomae.models.initialisation import initialise_transformer
from anomae.models.transformer.attention import attend
from anomae.models.transformer.sizes import Size
from anomae.models.transformer.tokens import gather_tokens, scatter_tokens
from anomae.models.transformer.visible_patches import drawn_visible


def patchify(images: Tensor, patch: int) -> Tensor:
    """(B, C, H, W) -> (B, N, P*P*C): patches row by row, within a patch pixels row by row, of a pixel its channels.

    Raises ValueError where a side is not a multiple of `patch`.
    """
    batch, channels, height, width = images.shape
    grid = patch_grid((height, width), patch)
    cut = images.reshape(batch, channels, grid[0], patch, grid[1], patch).permute(0, 2, 4, 3, 5, 1)
    return cut.reshape(batch, grid[0] * grid[1], patch * patch * channels)  # (B, N, P*P*C)


def unpatchify(patches: Tensor, image_size: tuple[int, int], patch: int) -> Tensor:
    """(B, N, P*P*C) -> (B, C, H, W): the inverse of `patchify`."""
    grid, channels = patch_grid(image_size, patch), patches.shape[2] // patch**2
    laid = patches.reshape(len(patches), *grid, patch, patch, channels).permute(0, 5, 1, 3, 2, 4)
    return laid.reshape(len(patches), channels, *image_size)  # (B, C, H, W)


def patch_grid(image_size: tuple[int, int], patch: int) -> tuple[int, int]:
    """(rows, columns) of patches of an image.  Raises ValueError where a side is not a multiple of `patch`."""
    height, width = image_size
    if height % patch or width % patch:
        raise ValueError(f"{height}x{width} pixels cannot be cut into patches of {patch}")
    return height // patch, width // patch


class PatchEmbedding(nn.Module):
    """A linear projection of each patch; the weight is kept in the shape of a convolution, as checkpoints have it."""

    def __init__(self, patch: int, width: int, channels: int = 1) -> None:
        super().__init__()
        self.proj = nn.Conv2d(channels, width, patch, patch)

    def forward(self, patches: Tensor) -> Tensor:
        """(B, K, P*P*C) -> (B, K, D): any patches, in any order."""
        return F.linear(patches, self.proj.weight.permute(0, 2, 3, 1).flatten(1), self.proj.bias)


def sincos_positions(grid: tuple[int, int], width: int, class_token: bool) -> Tensor:
    """(1, N, D), or (1, N+1, D) with zeros first for a class token; `grid` is (rows, columns) of patches.

    The first half of D encodes the column, the second the row; each half is the sines, then the cosines, of the index
    times 1 / 10000^(i / (D/4)) (MAE's positions).  width must be a multiple of 4 (ValueError).
    """
    if width % 4:
        raise ValueError(f"width {width} is not a multiple of 4")
    frequencies = 1.0 / 10000 ** (np.arange(width // 4, dtype=np.float64) / (width / 4))
    rows, columns = np.mgrid[: grid[0], : grid[1]]
    halves = []
    for indices in (columns, rows):
        angles = indices.reshape(-1, 1) * frequencies  # (N, D/4)
        halves.append(np.concatenate([np.sin(angles), np.cos(angles)], axis=1))
    positions = np.concatenate(halves, axis=1)  # (N, D)
    if class_token:
        positions = np.concatenate([np.zeros((1, width)), positions])
    return torch.from_numpy(positions).float()[None]


def visible_count(patches: int, mask_ratio: float) -> int:
    """How many of `patches` stay visible: int(N * (1 - alpha)) as in the reference MAE, at least 1."""
    return max(1, int(patches * (1.0 - mask_ratio)))


def training_visible(batch: int, patches: int, visible: int, generator: torch.Generator) -> Tensor:
    """(B, K) int64: for each sample, K patches drawn uniformly without repetition, on the generator's device."""
    noise = torch.rand(batch, patches, generator=generator, device=generator.device)
    return noise.argsort(dim=1)[:, :visible]


def random_visible(seeds: Sequence[int], patches: int, visible: int, passes: int, covering: bool = False) -> Tensor:
    """(B, passes, K) int64: see anomae.models.transformer.visible_patches.drawn_visible."""
    return torch.from_numpy(drawn_visible(seeds, patches, visible, passes, covering))


class Attention(nn.Module):
    """Multi-head self-attention with biases."""

    def __init__(self, width: int, heads: int) -> None:
        """`width` must be a multiple of `heads`."""
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, tokens: Tensor, wanted: Tensor | None = None) -> Tensor:
        """(B, T, D) -> (B, T, D); wanted (B, M) int64: what these tokens become only, (B, M, D)."""
        batch, _, width = tokens.shape
        if wanted is None:
            queries, keys, values = self._by_head(self.qkv(tokens), 3)
        else:
            weight, bias = self.qkv.weight, self.qkv.bias
            (queries,) = self._by_head(F.linear(gather_tokens(tokens, wanted), weight[:width], bias[:width]), 1)
            keys, values = self._by_head(F.linear(tokens, weight[width:], bias[width:]), 2)
        mixed = attend(queries, keys, values)  # (B, heads, M or T, D/heads)
        return self.proj(mixed.transpose(1, 2).reshape(batch, -1, width))  # type: ignore[no-any-return]

    def _by_head(self, projected: Tensor, parts: int) -> tuple[Tensor, ...]:
        """(B, T, parts * D) -> as many (B, heads, T, D/heads)."""
        batch, count, width = projected.shape
        cut = projected.view(batch, count, parts, self.heads, width // parts // self.heads)
        return cut.permute(2, 0, 3, 1, 4).unbind(0)


class Mlp(nn.Module):
    """Two linear layers with GELU between; four times as wide inside."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, 4 * width)
        self.fc2 = nn.Linear(4 * width, width)

    def forward(self, tokens: Tensor) -> Tensor:
        """(B, T, D) -> (B, T, D)."""
        return self.fc2(F.gelu(self.fc1(tokens)))  # type: ignore[no-any-return]


class Block(nn.Module):
    """A pre-norm transformer block."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=1e-6)
        self.attn = Attention(width, heads)
        self.norm2 = nn.LayerNorm(width, eps=1e-6)
        self.mlp = Mlp(width)

    def forward(self, tokens: Tensor, keep: Tensor | None = None, wanted: Tensor | None = None) -> Tensor:
        """(B, T, D) -> (B, T, D).  keep: (2, B), what each sample's two branches are multiplied by (drop path).

        wanted: (B, M) int64: what these tokens become only, (B, M, D); what the others would is not computed.
        """
        attended: Tensor = self.attn(self.norm1(tokens), wanted)
        tokens = tokens if wanted is None else gather_tokens(tokens, wanted)
        if keep is not None:
            attended = attended * keep[0, :, None, None].to(attended.dtype)
        tokens = tokens + attended
        widened: Tensor = self.mlp(self.norm2(tokens))
        if keep is not None:
            widened = widened * keep[1, :, None, None].to(widened.dtype)
        return tokens + widened


class MaskedAutoencoder(nn.Module):
    """A ViT encoder over the visible patches and a light decoder that predicts the pixels of all patches."""

    def __init__(
        self,
        image_size: tuple[int, int],
        patch: int,
        encoder: Size,
        decoder: Size,
        generator: torch.Generator,
        channels: int = 1,
    ) -> None:
        """Weights are drawn from `generator`.  Raises ValueError where a side is not a multiple of `patch`."""
        super().__init__()
        self.image_size, self.patch, self.channels = image_size, patch, channels
        self.grid = patch_grid(image_size, patch)
        self.patch_count = self.grid[0] * self.grid[1]
        self.patch_embed = PatchEmbedding(patch, encoder.width, channels)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, encoder.width))
        self.pos_embed = nn.Parameter(sincos_positions(self.grid, encoder.width, True), requires_grad=False)
        self.blocks = nn.ModuleList(Block(encoder.width, encoder.heads) for _ in range(encoder.depth))
        self.norm = nn.LayerNorm(encoder.width, eps=1e-6)
        self.decoder_embed = nn.Linear(encoder.width, decoder.width)
        self.mask_token = nn.Parameter(torch.zeros(1, 1, decoder.width))
        self.decoder_pos_embed = nn.Parameter(sincos_positions(self.grid, decoder.width, True), requires_grad=False)
        self.decoder_blocks = nn.ModuleList(Block(decoder.width, decoder.heads) for _ in range(decoder.depth))
        self.decoder_norm = nn.LayerNorm(decoder.width, eps=1e-6)
        self.decoder_pred = nn.Linear(decoder.width, patch * patch * channels)
        initialise_transformer(self, generator)

    def forward(self, images: Tensor, visible: Tensor, everywhere: bool = True) -> Tensor:
        """Predict all patches (B, N, P*P*C) float32 of images (B, C, H, W) from the patches `visible` (B, K) int64.

        The order within `visible` does not matter.  Pixels of other patches are never touched.  everywhere=False: 0 is
        given for the visible patches, and the work for them in the last block is saved.
        """
        return self.predict(gather_tokens(patchify(images, self.patch), visible), visible, everywhere)

    def predict(self, patches: Tensor, visible: Tensor, everywhere: bool = True) -> Tensor:
        """`forward` for patches (B, K, P*P*C) that were cut already; visible (B, K) says which they are."""
        tokens = self.patch_embed(patches)  # (B, K, D)
        tokens = tokens + self.pos_embed[0, 1:][visible].to(tokens.dtype)
        first = (self.cls_token + self.pos_embed[:, :1]).to(tokens.dtype).expand(len(tokens), -1, -1)
        tokens = torch.cat([first, tokens], dim=1)  # (B, 1+K, D)
        for block in self.blocks:
            tokens = block(tokens)
        tokens = self.decoder_embed(self.norm(tokens))
        whole = self.mask_token.to(tokens.dtype).expand(len(tokens), 1 + self.patch_count, -1)
        seen = F.pad(visible + 1, (1, 0))  # (B, 1+K): the class token has index 0
        whole = scatter_tokens(whole, seen, tokens) + self.decoder_pos_embed.to(tokens.dtype)  # (B, 1+N, D)
        hidden = None if everywhere else _others(visible, self.patch_count)  # (B, N-K)
        for index, block in enumerate(self.decoder_blocks, start=1):
            last = index == len(self.decoder_blocks)
            whole = block(whole, wanted=hidden + 1 if last and hidden is not None else None)
        predictions: Tensor = self.decoder_pred(self.decoder_norm(whole)).float()
        if hidden is None:
            return predictions[:, 1:]
        blank = predictions.new_zeros(len(predictions), self.patch_count, predictions.shape[-1])
        return scatter_tokens(blank, hidden, predictions)


def masked_error(
    predictions: Tensor, images: Tensor, visible: Tensor, patch: int, on: Literal["masked", "all"] = "masked"
) -> Tensor:
    """Eq. (1): squared error averaged over the masked patches only (on="all": over all patches), a scalar.

    Per patch the mean over its values is taken; the paper writes the squared L2 norm, which is P*P*C times that.
    """
    errors = (predictions - patchify(images, patch)).square().mean(dim=2)  # (B, N)
    if on == "all":
        return errors.mean()
    hidden = torch.ones_like(errors).scatter_(1, visible, 0.0)
    return (errors * hidden).sum() / hidden.sum()


def averaged_reconstruction(model: MaskedAutoencoder, images: Tensor, visible: Tensor, paste: bool = True) -> Tensor:
    """The reconstruction for use (paper section 3): all passes at once, originals pasted, averaged in float32.

    images (B, C, H, W); visible (B, passes, K) -> (B, C, H, W).  paste=False: the predictions alone are averaged.
    """
    batch, passes, count = visible.shape
    cut = patchify(images, model.patch).float()  # (B, N, P*P*C)
    spread = cut.repeat_interleave(passes, dim=0)  # (B*passes, N, P*P*C)
    flat = visible.reshape(batch * passes, count)
    shown = gather_tokens(spread, flat)
    predictions = model.predict(shown, flat, everywhere=not paste)
    if paste:
        predictions = scatter_tokens(predictions, flat, shown)
    averaged = predictions.view(batch, passes, *predictions.shape[1:]).mean(dim=1)
    return unpatchify(averaged, model.image_size, model.patch)


def _others(visible: Tensor, count: int) -> Tensor:
    """(B, N-K): the patches that are not among `visible` (B, K), in their order."""
    unseen = torch.ones(len(visible), count, dtype=torch.uint8, device=visible.device).scatter_(1, visible, 0)
    return unseen.argsort(dim=1, descending=True, stable=True)[:, : count - visible.shape[1]]

"""The masked autoencoder (paper section 3, eq. 1): rebuilds an image from the patches it is shown."""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from anomae.models.transformer.patches import patchify, unpatchify
from anomae.models.transformer.positions import sincos_positions
from anomae.models.transformer.rows import rows_of, with_rows
from anomae.models.transformer.sizes import Size
from anomae.models.transformer.vit import Block, PatchEmbedding, initialise


class MaskedAutoencoder(nn.Module):
    """A ViT encoder over the visible patches and a light decoder that predicts the pixels of all patches."""

    def __init__(
        self, image_size: tuple[int, int], patch: int, encoder: Size, decoder: Size, generator: torch.Generator
    ) -> None:
        """Weights are drawn from `generator`.  Raises ValueError where a side is not a multiple of `patch`."""
        super().__init__()
        if image_size[0] % patch or image_size[1] % patch:
            raise ValueError(f"{image_size[0]}x{image_size[1]} pixels cannot be cut into patches of {patch}")
        self.image_size, self.patch = image_size, patch
        self.grid = (image_size[0] // patch, image_size[1] // patch)
        self.patch_count = self.grid[0] * self.grid[1]
        self.patch_embed = PatchEmbedding(patch, encoder.width)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, encoder.width))
        self.pos_embed = nn.Parameter(sincos_positions(self.grid, encoder.width, True), requires_grad=False)
        self.blocks = nn.ModuleList(Block(encoder.width, encoder.heads) for _ in range(encoder.depth))
        self.norm = nn.LayerNorm(encoder.width, eps=1e-6)
        self.decoder_embed = nn.Linear(encoder.width, decoder.width)
        self.mask_token = nn.Parameter(torch.zeros(1, 1, decoder.width))
        self.decoder_pos_embed = nn.Parameter(sincos_positions(self.grid, decoder.width, True), requires_grad=False)
        self.decoder_blocks = nn.ModuleList(Block(decoder.width, decoder.heads) for _ in range(decoder.depth))
        self.decoder_norm = nn.LayerNorm(decoder.width, eps=1e-6)
        self.decoder_pred = nn.Linear(decoder.width, patch * patch)
        initialise(self, generator)

    def forward(self, images: Tensor, visible: Tensor, everywhere: bool = True) -> Tensor:
        """Predict all patches (B, N, P*P) float32 of images (B, H, W) from the patches `visible` (B, K) int64.

        The order within `visible` does not matter.  Pixels of other patches are never touched.  everywhere=False: 0 is
        given for the visible patches, and the work for them in the last block is saved.
        """
        return self.predict(rows_of(patchify(images, self.patch), visible), visible, everywhere)

    def predict(self, patches: Tensor, visible: Tensor, everywhere: bool = True) -> Tensor:
        """`forward` for patches (B, K, P*P) that were cut already; visible (B, K) says which they are."""
        tokens = self.patch_embed(patches)  # (B, K, D)
        tokens = tokens + self.pos_embed[0, 1:][visible].to(tokens.dtype)
        first = (self.cls_token + self.pos_embed[:, :1]).to(tokens.dtype).expand(len(tokens), -1, -1)
        tokens = torch.cat([first, tokens], dim=1)  # (B, 1+K, D)
        for block in self.blocks:
            tokens = block(tokens)
        tokens = self.decoder_embed(self.norm(tokens))
        whole = self.mask_token.to(tokens.dtype).expand(len(tokens), 1 + self.patch_count, -1)
        seen = F.pad(visible + 1, (1, 0))  # (B, 1+K): the class token is row 0
        whole = with_rows(whole, seen, tokens) + self.decoder_pos_embed.to(tokens.dtype)  # (B, 1+N, D)
        hidden = None if everywhere else _others(visible, self.patch_count)  # (B, N-K)
        for index, block in enumerate(self.decoder_blocks, start=1):
            last = index == len(self.decoder_blocks)
            whole = block(whole, wanted=hidden + 1 if last and hidden is not None else None)
        predictions: Tensor = self.decoder_pred(self.decoder_norm(whole)).float()
        if hidden is None:
            return predictions[:, 1:]
        blank = predictions.new_zeros(len(predictions), self.patch_count, predictions.shape[-1])
        return with_rows(blank, hidden, predictions)


def masked_error(
    predictions: Tensor, images: Tensor, visible: Tensor, patch: int, on: Literal["masked", "all"] = "masked"
) -> Tensor:
    """Eq. (1): squared error averaged over the masked patches only (on="all": over all patches), a scalar.

    Per patch the mean over its pixels is taken; the paper writes the squared L2 norm, which is P*P times that.
    """
    errors = (predictions - patchify(images, patch)).square().mean(dim=2)  # (B, N)
    if on == "all":
        return errors.mean()
    hidden = torch.ones_like(errors).scatter_(1, visible, 0.0)
    return (errors * hidden).sum() / hidden.sum()


def paste_visible(predictions: Tensor, images: Tensor, visible: Tensor, patch: int) -> Tensor:
    """(B, H, W): the predicted patches, with the original ones in the visible places."""
    pasted = with_rows(predictions, visible, rows_of(patchify(images, patch), visible))
    return unpatchify(pasted, images.shape[1:], patch)  # type: ignore[arg-type]


def averaged_reconstruction(model: MaskedAutoencoder, images: Tensor, visible: Tensor, paste: bool = True) -> Tensor:
    """The reconstruction for use (paper section 3): all passes at once, originals pasted, averaged in float32.

    images (B, H, W); visible (B, passes, K) -> (B, H, W).  paste=False: the predictions alone are averaged.
    """
    batch, passes, count = visible.shape
    cut = patchify(images, model.patch).float()  # (B, N, P*P)
    spread = cut.repeat_interleave(passes, dim=0)  # (B*passes, N, P*P)
    flat = visible.reshape(batch * passes, count)
    shown = rows_of(spread, flat)
    predictions = model.predict(shown, flat, everywhere=not paste)
    if paste:
        predictions = with_rows(predictions, flat, shown)
    averaged = predictions.view(batch, passes, *predictions.shape[1:]).mean(dim=1)
    return unpatchify(averaged, model.image_size, model.patch)


def _others(visible: Tensor, count: int) -> Tensor:
    """(B, N-K): the patches that are not among `visible` (B, K), in their order."""
    unseen = torch.ones(len(visible), count, dtype=torch.uint8, device=visible.device).scatter_(1, visible, 0)
    return unseen.argsort(dim=1, descending=True, stable=True)[:, : count - visible.shape[1]]

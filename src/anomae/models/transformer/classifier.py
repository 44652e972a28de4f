"""The anomaly classifier (paper section 3): a ViT that says how probably an input is pseudo-abnormal."""

from collections.abc import Mapping
from typing import Any, Literal

import torch
from torch import Tensor, nn

from anomae.models.initialisation import initialise_transformer
from anomae.models.transformer.masked_autoencoder import Block, PatchEmbedding, patch_grid, patchify, sincos_positions
from anomae.models.transformer.sizes import Size


class AnomalyClassifier(nn.Module):
    """One logit an image; its sigmoid is the probability of "pseudo-abnormal".

    A softmax over two classes, as the released code has it, is the same function with the difference of its two logits.
    """

    def __init__(
        self,
        image_size: tuple[int, int],
        patch: int,
        size: Size,
        pooling: Literal["mean", "class"],
        generator: torch.Generator,
        channels: int = 1,
    ) -> None:
        """Weights from `generator`.  pooling: mean over the patch tokens (released code), or the class token.

        Raises ValueError where a side is not a multiple of `patch`.
        """
        super().__init__()
        self.image_size, self.patch, self.channels, self.pooling = image_size, patch, channels, pooling
        self.patch_embed = PatchEmbedding(patch, size.width, channels)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, size.width))
        self.pos_embed = nn.Parameter(sincos_positions(patch_grid(image_size, patch), size.width, True))
        self.blocks = nn.ModuleList(Block(size.width, size.heads) for _ in range(size.depth))
        # Named as timm does: fc_norm follows mean pooling, norm precedes the class token's.
        norm = nn.LayerNorm(size.width, eps=1e-6)
        self.norm: nn.Module = norm if pooling == "class" else nn.Identity()
        self.fc_norm: nn.Module = norm if pooling == "mean" else nn.Identity()
        self.head = nn.Linear(size.width, 1)
        initialise_transformer(self, generator)
        nn.init.normal_(self.head.weight, std=2e-5, generator=generator)

    def forward(self, inputs: Tensor, keep: Tensor | None = None) -> Tensor:
        """(B, C, H, W) -> logits (B,) float32.  keep: (depth, 2, B) from `drop_path_keep`, or None."""
        tokens = self.patch_embed(patchify(inputs, self.patch))  # (B, N, D)
        first = self.cls_token.to(tokens.dtype).expand(tokens.shape[0], -1, -1)
        tokens = torch.cat([first, tokens], dim=1) + self.pos_embed.to(tokens.dtype)  # (B, 1+N, D)
        for index, block in enumerate(self.blocks):
            tokens = block(tokens, None if keep is None else keep[index])
        tokens = self.norm(tokens)
        pooled = tokens[:, 1:].mean(dim=1, dtype=torch.float32) if self.pooling == "mean" else tokens[:, 0].float()
        # A logit of bf16 has 8 bits: of 880 slices 100 shared the five highest scores, and could not be told apart.
        with torch.autocast(inputs.device.type, enabled=False):
            return self.head(self.fc_norm(pooled)).squeeze(-1)  # type: ignore[no-any-return]

    def load_encoder(self, state: Mapping[str, Tensor]) -> None:
        """Start from the encoder of a masked autoencoder of the same size: embedding, tokens, positions and blocks."""
        own = self.state_dict()
        taken = {name: tensor for name, tensor in state.items() if name in own and not name.startswith("norm.")}
        self.load_state_dict({**own, **taken})


def drop_path_keep(depth: int, batch: int, rate: float, generator: torch.Generator) -> Tensor:
    """(depth, 2, B): 0 where a sample's branch is dropped, else 1 / (probability to stay).

    The rate rises linearly from 0 in the first block to `rate` in the last (stochastic depth).
    """
    stay = 1.0 - torch.linspace(0.0, rate, depth, device=generator.device)[:, None, None]
    drawn = torch.rand(depth, 2, batch, generator=generator, device=generator.device)
    return (drawn < stay).float() / stay


def layer_decay_groups(
    network: AnomalyClassifier, decay: float, weight_decay: float, lr: float
) -> list[dict[str, Any]]:
    """AdamW groups: the head learns at `lr`, each block below at `decay` times that of the one above.

    No weight decay on biases, norms, tokens and positions.
    """
    depth = len(network.blocks)
    groups: dict[tuple[int, bool], dict[str, Any]] = {}
    for name, parameter in network.named_parameters():
        layer = _layer(name, depth)
        decayed = parameter.ndim > 1 and name not in ("cls_token", "pos_embed")
        group = groups.setdefault(
            (layer, decayed),
            {"params": [], "lr": lr * decay ** (depth + 1 - layer), "weight_decay": weight_decay if decayed else 0.0},
        )
        group["params"].append(parameter)
    return list(groups.values())


def _layer(name: str, depth: int) -> int:
    if name in ("cls_token", "pos_embed") or name.startswith("patch_embed"):
        return 0
    if name.startswith("blocks."):
        return int(name.split(".")[1]) + 1
    return depth + 1

"""The parts of a vision transformer, under the parameter names of timm and of the reference MAE."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from anomae.models.transformer.attention import attend
from anomae.models.transformer.rows import rows_of


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
            (queries,) = self._by_head(F.linear(rows_of(tokens, wanted), weight[:width], bias[:width]), 1)
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
        tokens = tokens if wanted is None else rows_of(tokens, wanted)
        if keep is not None:
            attended = attended * keep[0, :, None, None].to(attended.dtype)
        tokens = tokens + attended
        widened: Tensor = self.mlp(self.norm2(tokens))
        if keep is not None:
            widened = widened * keep[1, :, None, None].to(widened.dtype)
        return tokens + widened


class PatchEmbedding(nn.Module):
    """A linear projection of each patch; the weight is kept in the shape of a convolution, as checkpoints have it."""

    def __init__(self, patch: int, width: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(1, width, patch, patch)

    def forward(self, patches: Tensor) -> Tensor:
        """(B, K, P*P) -> (B, K, D): any patches, in any order."""
        return F.linear(patches, self.proj.weight.flatten(1), self.proj.bias)


def initialise(network: nn.Module, generator: torch.Generator) -> None:
    """Draw all weights from `generator` alone, as the reference MAE does.

    Linear and patch embedding: Xavier uniform (the embedding on its flattened weight), biases 0; LayerNorm 1 and 0;
    tokens normal with standard deviation 0.02.
    """
    for module in network.modules():
        if isinstance(module, nn.Linear | nn.Conv2d):
            _xavier(module.weight, generator)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.LayerNorm):
            nn.init.ones_(module.weight)
            nn.init.zeros_(module.bias)
    for name, parameter in network.named_parameters():
        if name in ("cls_token", "mask_token"):
            nn.init.normal_(parameter, std=0.02, generator=generator)


def _xavier(weight: Tensor, generator: torch.Generator) -> None:
    flat = weight.flatten(1)
    bound = math.sqrt(6.0 / (flat.shape[0] + flat.shape[1]))
    nn.init.uniform_(weight, -bound, bound, generator=generator)

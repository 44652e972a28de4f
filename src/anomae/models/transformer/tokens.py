"""Gather tokens from, and scatter them into, batches of token sequences."""

import torch
from torch import Tensor


def gather_tokens(tokens: Tensor, indices: Tensor) -> Tensor:
    """Of tokens (B, T, D) those at indices (B, M) int64, (B, M, D)."""
    return tokens.flatten(0, 1).index_select(0, _flat(indices, tokens.shape[1])).view(*indices.shape, tokens.shape[-1])


def scatter_tokens(tokens: Tensor, indices: Tensor, new: Tensor) -> Tensor:
    """Tokens (B, T, D) with new (B, M, D) at indices (B, M) int64, none twice in a sample; a copy, (B, T, D)."""
    put = tokens.reshape(-1, tokens.shape[-1]).index_copy(0, _flat(indices, tokens.shape[1]), new.flatten(0, 1))
    return put.view(tokens.shape)


def _flat(indices: Tensor, count: int) -> Tensor:
    """Indices (B, M) among `count` tokens of each sample, as indices among all B * count.

    Whole tokens are then moved at once; torch's gather and scatter move number by number, ten times as slowly.
    """
    first = torch.arange(0, len(indices) * count, count, device=indices.device)
    return (indices + first[:, None]).flatten()

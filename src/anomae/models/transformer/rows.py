"""Rows taken out of, and put into, batches of them: tokens or patches by their places."""

import torch
from torch import Tensor


def rows_of(rows: Tensor, indices: Tensor) -> Tensor:
    """Of rows (B, T, D) those at places (B, M) int64, (B, M, D)."""
    return rows.flatten(0, 1).index_select(0, _flat(indices, rows.shape[1])).view(*indices.shape, rows.shape[-1])


def with_rows(rows: Tensor, indices: Tensor, new: Tensor) -> Tensor:
    """Rows (B, T, D) with new (B, M, D) at places (B, M) int64, no place twice in a sample; a copy, (B, T, D)."""
    put = rows.reshape(-1, rows.shape[-1]).index_copy(0, _flat(indices, rows.shape[1]), new.flatten(0, 1))
    return put.view(rows.shape)


def _flat(indices: Tensor, count: int) -> Tensor:
    """Places (B, M) among `count` rows each, as places among all B * count rows.

    Whole rows are then moved at once; gather and scatter move number by number, ten times as slowly.
    """
    first = torch.arange(0, len(indices) * count, count, device=indices.device)
    return (indices + first[:, None]).flatten()

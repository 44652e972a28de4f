"""Tokens gathered and scattered: as slow loops have them, forward and backward."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from anomae.models.transformer.tokens import gather_tokens, scatter_tokens

SIZES = {
    "seed": st.integers(0, 10**6),
    "batch": st.integers(1, 4),
    "count": st.integers(1, 9),
    "width": st.integers(1, 5),
}


def drawn(seed: int, batch: int, count: int, width: int) -> tuple[torch.Tensor, torch.Tensor]:
    rng = torch.Generator().manual_seed(seed)
    taken = 1 + seed % count
    return torch.randn(batch, count, width, generator=rng), torch.rand(batch, count, generator=rng).argsort(1)[
        :, :taken
    ]


@given(**SIZES)
def test_tokens_are_gathered_as_a_slow_loop_gathers_them(seed: int, batch: int, count: int, width: int) -> None:
    tokens, indices = drawn(seed, batch, count, width)
    expected = torch.stack([torch.stack([tokens[b, index] for index in indices[b]]) for b in range(batch)])
    assert torch.equal(gather_tokens(tokens, indices), expected)


@given(**SIZES)
def test_tokens_are_scattered_to_where_they_were_gathered(seed: int, batch: int, count: int, width: int) -> None:
    tokens, indices = drawn(seed, batch, count, width)
    before, new = tokens.clone(), -gather_tokens(tokens, indices.flip(1))
    found = scatter_tokens(tokens, indices, new)
    for b in range(batch):
        shown = dict(zip(indices[b].tolist(), new[b], strict=True))
        for index in range(count):
            assert torch.equal(found[b, index], shown.get(index, tokens[b, index]))
    assert torch.equal(tokens, before)
    assert torch.equal(scatter_tokens(tokens, indices, gather_tokens(tokens, indices)), tokens)


def test_one_token_for_all_and_strided_tokens_are_taken_too(rng: torch.Generator) -> None:
    indices = torch.tensor([[0, 3], [2, 1]])
    new = torch.randn(2, 2, 6, generator=rng)
    one = torch.randn(1, 1, 6, generator=rng)
    assert torch.equal(
        scatter_tokens(one.expand(2, 4, -1), indices, new), scatter_tokens(one.repeat(2, 4, 1), indices, new)
    )
    strided = torch.randn(2, 6, 4, generator=rng).transpose(1, 2)
    assert torch.equal(gather_tokens(strided, indices), gather_tokens(strided.contiguous(), indices))


def test_no_index_at_all_is_a_choice_too(rng: torch.Generator) -> None:
    tokens, none = torch.randn(2, 5, 3, generator=rng), torch.empty(2, 0, dtype=torch.int64)
    assert gather_tokens(tokens, none).shape == (2, 0, 3)
    assert torch.equal(scatter_tokens(tokens, none, gather_tokens(tokens, none)), tokens)


def test_gradients_reach_what_was_gathered_and_what_was_left(rng: torch.Generator) -> None:
    tokens = torch.randn(2, 5, 3, generator=rng, dtype=torch.float64, requires_grad=True)
    new = torch.randn(2, 2, 3, generator=rng, dtype=torch.float64, requires_grad=True)
    indices = torch.tensor([[0, 3], [4, 1]])
    assert torch.autograd.gradcheck(lambda given: gather_tokens(given, indices), (tokens,))
    assert torch.autograd.gradcheck(lambda given, put: scatter_tokens(given, indices, put), (tokens, new))

"""Rows by place: as slow loops have them, forward and backward."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from anomae.models.transformer.rows import rows_of, with_rows

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
def test_rows_are_taken_as_a_slow_loop_takes_them(seed: int, batch: int, count: int, width: int) -> None:
    rows, places = drawn(seed, batch, count, width)
    expected = torch.stack([torch.stack([rows[b, place] for place in places[b]]) for b in range(batch)])
    assert torch.equal(rows_of(rows, places), expected)


@given(**SIZES)
def test_rows_are_put_where_they_were_taken(seed: int, batch: int, count: int, width: int) -> None:
    rows, places = drawn(seed, batch, count, width)
    before, new = rows.clone(), -rows_of(rows, places.flip(1))
    found = with_rows(rows, places, new)
    for b in range(batch):
        shown = dict(zip(places[b].tolist(), new[b], strict=True))
        for place in range(count):
            assert torch.equal(found[b, place], shown.get(place, rows[b, place]))
    assert torch.equal(rows, before)
    assert torch.equal(with_rows(rows, places, rows_of(rows, places)), rows)


def test_one_row_for_all_places_and_strided_rows_are_taken_too(rng: torch.Generator) -> None:
    places = torch.tensor([[0, 3], [2, 1]])
    new = torch.randn(2, 2, 6, generator=rng)
    one = torch.randn(1, 1, 6, generator=rng)
    assert torch.equal(with_rows(one.expand(2, 4, -1), places, new), with_rows(one.repeat(2, 4, 1), places, new))
    strided = torch.randn(2, 6, 4, generator=rng).transpose(1, 2)
    assert torch.equal(rows_of(strided, places), rows_of(strided.contiguous(), places))


def test_no_place_at_all_is_a_choice_too(rng: torch.Generator) -> None:
    rows, none = torch.randn(2, 5, 3, generator=rng), torch.empty(2, 0, dtype=torch.int64)
    assert rows_of(rows, none).shape == (2, 0, 3)
    assert torch.equal(with_rows(rows, none, rows_of(rows, none)), rows)


def test_gradients_reach_what_was_taken_and_what_was_left(rng: torch.Generator) -> None:
    rows = torch.randn(2, 5, 3, generator=rng, dtype=torch.float64, requires_grad=True)
    new = torch.randn(2, 2, 3, generator=rng, dtype=torch.float64, requires_grad=True)
    places = torch.tensor([[0, 3], [4, 1]])
    assert torch.autograd.gradcheck(lambda given: rows_of(given, places), (rows,))
    assert torch.autograd.gradcheck(lambda given, put: with_rows(given, places, put), (rows, new))

"""Attention: written out or fused it is the same, forward and backward, on both sides of every choice of a kernel."""

import pytest
import torch
import torch.nn.functional as F

from anomae.models.transformer import attention
from anomae.models.transformer.attention import attend, plain_attention


@pytest.mark.parametrize(("asking", "tokens"), [(1, 1), (5, 5), (50, 50), (3, 20)])
def test_plain_equals_fused(asking: int, tokens: int, rng: torch.Generator) -> None:
    given = [torch.randn(2, 3, count, 8, generator=rng, requires_grad=True) for count in (asking, tokens, tokens)]
    plain, fused = plain_attention(*given), F.scaled_dot_product_attention(*given)
    torch.testing.assert_close(plain, fused, rtol=1e-5, atol=1e-6)
    weight = torch.randn(plain.shape, generator=rng)
    for one, other in zip(
        torch.autograd.grad((plain * weight).sum(), given),
        torch.autograd.grad((fused * weight).sum(), given),
        strict=True,
    ):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("most", [29, 30])
@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_every_choice_of_a_kernel_gives_the_same(
    most: int, precision: torch.dtype, rng: torch.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = [torch.randn(1, 2, 30, 4, generator=rng) for _ in range(3)]
    exact = plain_attention(*(tensor.double() for tensor in given))
    monkeypatch.setattr(attention, "PLAIN_TOKENS", most)
    found = attend(*(tensor.to(precision) for tensor in given))
    assert found.dtype == precision
    slack = 1e-6 if precision == torch.float32 else 0.03
    torch.testing.assert_close(found.double(), exact, rtol=0, atol=slack)


def test_heads_laid_out_as_the_network_has_them(rng: torch.Generator) -> None:
    packed = torch.randn(3, 7, 3, 2, 4, generator=rng)  # (B, T, 3, heads, d)
    strided = packed.permute(2, 0, 3, 1, 4).unbind(0)
    dense = [part.contiguous() for part in strided]
    assert torch.equal(plain_attention(*strided), plain_attention(*dense))


def test_equal_keys_give_the_mean_of_the_values(rng: torch.Generator) -> None:
    values = torch.randn(1, 1, 6, 4, generator=rng)
    for kernel in (attend, plain_attention):
        mixed = kernel(torch.randn(1, 1, 6, 4, generator=rng), torch.ones(1, 1, 6, 4), values)
        torch.testing.assert_close(mixed, values.mean(2, keepdim=True).expand_as(values))

"""Every named size can be built."""

import pytest

from anomae.models.transformer.sizes import SIZES, Size


@pytest.mark.parametrize("name", SIZES)
def test_widths_suit_heads_and_positions(name: str) -> None:
    for size in SIZES[name]:
        assert size.width % size.heads == 0
        assert size.width % 4 == 0
        assert size.depth >= 1


def test_base_is_the_papers() -> None:
    assert SIZES["base"] == (Size(768, 12, 12), Size(512, 8, 16))

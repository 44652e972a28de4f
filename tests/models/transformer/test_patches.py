"""Cutting and putting together: the identity, and the order of patches, of pixels and channels within them."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from anomae.models.transformer.masked_autoencoder import patchify, unpatchify

COUNTS = st.integers(1, 5)


@given(batch=st.integers(0, 3), channels=st.integers(1, 4), rows=COUNTS, columns=COUNTS, patch=st.integers(1, 6))
def test_unpatchify_inverts_patchify(batch: int, channels: int, rows: int, columns: int, patch: int) -> None:
    size = (rows * patch, columns * patch)
    images = torch.arange(batch * channels * size[0] * size[1], dtype=torch.float32).reshape(batch, channels, *size)
    patches = patchify(images, patch)
    assert patches.shape == (batch, rows * columns, patch * patch * channels)
    assert torch.equal(unpatchify(patches, size, patch), images)


@given(channels=st.integers(1, 4), rows=COUNTS, columns=COUNTS, patch=st.integers(1, 6))
def test_patchify_inverts_unpatchify(channels: int, rows: int, columns: int, patch: int) -> None:
    patches = torch.arange(2 * rows * columns * patch * patch * channels).reshape(2, rows * columns, -1)
    assert torch.equal(patchify(unpatchify(patches, (rows * patch, columns * patch), patch), patch), patches)


def test_patches_go_row_by_row() -> None:
    image = torch.arange(2 * 6 * 9).reshape(2, 6, 9)
    patches = patchify(image[None], 3)[0]
    for index in range(6):
        row, column = divmod(index, 3)
        expected = image[:, 3 * row : 3 * row + 3, 3 * column : 3 * column + 3]
        for channel in range(2):  # the reference MAE: (row, column, channel)
            assert torch.equal(patches[index].view(3, 3, 2)[..., channel], expected[channel])


@pytest.mark.parametrize("size", [(7, 8), (8, 7)])
def test_a_side_that_cannot_be_cut_is_refused(size: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match=r"patches of 4"):
        patchify(torch.zeros(1, 1, *size), 4)
    with pytest.raises(ValueError, match=r"patches of 4"):
        unpatchify(torch.zeros(1, 2, 16), size, 4)

"""Patches that images can be cut into."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anomae.detectors.patches import coarse_patch, fitting_patch, nearest_sizes, refuse_uncut
from anomae.errors import UserError

SIDES = st.integers(8, 600)
# As every figure of the documents was made.
USUAL = {28: 2, 32: 4, 48: 4, 50: 5, 64: 8, 96: 8, 112: 8, 128: 16, 160: 16, 192: 16, 224: 16, 240: 20, 256: 32}
USUAL |= {320: 32, 384: 32, 512: 64}


@given(SIDES, SIDES, st.sampled_from([100, 200]))
def test_a_patch_divides_both_sides_and_leaves_something_to_hide(height: int, width: int, most: int) -> None:
    patch = fitting_patch((height, width), most)
    if patch is not None:
        assert (height % patch, width % patch) == (0, 0)
        assert 16 <= (height // patch) * (width // patch) <= most


@given(SIDES, SIDES)
def test_the_sizes_named_beside_one_can_be_cut_by_every_recipe(height: int, width: int) -> None:
    near = nearest_sizes((height, width))
    assert len(near) == 2
    assert all(fitting_patch(size, 100) is not None for size in near)
    assert height != width or all(rows == columns for rows, columns in near)


@pytest.mark.parametrize(("side", "patch"), USUAL.items())
def test_usual_sizes_keep_their_patch(side: int, patch: int) -> None:
    assert fitting_patch((side, side)) == patch


@pytest.mark.parametrize("side", [37, 94, 97, 127, 197, 218])
def test_an_image_is_not_cut_into_one_patch_or_four(side: int) -> None:
    """The whole image was taken for one patch: nothing was hidden, and the run said three quarters."""
    assert fitting_patch((side, side)) is None


def test_what_cannot_be_cut_is_told_a_patch_or_the_nearest_sizes() -> None:
    refuse_uncut((32, 48), 8, "classifier.patch")
    with pytest.raises(UserError, match=r"patches of 7; set classifier\.patch to a divisor of the sides, 4 say\.$"):
        refuse_uncut((32, 32), 7, "classifier.patch")
    with pytest.raises(UserError, match=r"^Images of 37x37 .* of 16; prepare them .* 36x36 or 35x35 say\.$"):
        refuse_uncut((37, 37), 16, "autoencoder.patch")


@given(SIDES, SIDES)
def test_a_coarse_patch_divides_both_sides_into_fewer(height: int, width: int) -> None:
    patch = coarse_patch((height, width))
    sides = [side for side in range(2, min(height, width) + 1) if height % side == width % side == 0]
    assert patch == min((side for side in sides if (height // side) * (width // side) < 16), default=None)

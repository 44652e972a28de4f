"""The axial view against nibabel's orientations, and its laws."""

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anomae.volumes.orientation import axial_view
from anomae.volumes.volume import Grid

SHAPE = (3, 4, 5)
AXES = ("RAS", "LPS", "LAS", "RPI", "SAR", "PIR", "ASL", "IRP", "SLA", "PSR", "AIL", "LIA")


def grid_of(letters: str, turn: np.ndarray | None = None) -> Grid:
    """A grid whose x, y and z index grow towards these letters, turned a little by `turn`."""
    ornt = nib.orientations.axcodes2ornt(tuple(letters))
    ras = np.zeros((3, 3))
    for index, (world, sign) in enumerate(ornt):
        ras[int(world), index] = sign
    direction = np.diag([-1, -1, 1]) @ (ras if turn is None else turn @ ras)
    return Grid(SHAPE, (3.0, 2.0, 1.0), (10.0, -20.0, 30.0), tuple(direction.ravel()))


def small_turn(seed: int, degrees: float) -> np.ndarray:
    axis = np.random.default_rng(seed).normal(size=3)
    return nib.quaternions.angle_axis2mat(np.radians(degrees), axis)


@pytest.mark.parametrize("degrees", [0, 10, 25])
@pytest.mark.parametrize("letters", AXES)
def test_the_view_is_the_one_nibabel_would_reorient_to(letters: str, degrees: float) -> None:
    grid = grid_of(letters, small_turn(len(letters) + ord(letters[0]), degrees))
    stored = np.arange(60).reshape(SHAPE)
    image = nib.Nifti1Image(stored.transpose(2, 1, 0).astype(np.int16), grid.affine_ras())
    ornt = nib.orientations.io_orientation(image.affine)
    lps = nib.orientations.axcodes2ornt(("L", "P", "S"))
    wanted = image.as_reoriented(nib.orientations.ornt_transform(ornt, lps))
    view = axial_view(grid)
    np.testing.assert_array_equal(view.apply(stored), np.asarray(wanted.dataobj).transpose(2, 1, 0))
    np.testing.assert_allclose(view.pixel_spacing_mm(grid), wanted.header.get_zooms()[1::-1], rtol=1e-6)
    x, y = (np.array(wanted.shape[:2]) - 1) / 2
    centres = [(wanted.affine @ [x, y, z, 1])[2] for z in range(wanted.shape[2])]
    np.testing.assert_allclose(view.slice_positions_mm(grid), centres, atol=1e-4)


@given(seed=st.integers(0, 10**6))
def test_invert_undoes_apply_for_any_turn_and_positions_grow(seed: int) -> None:
    rng = np.random.default_rng(seed)
    direction = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    grid = Grid(SHAPE, (3.0, 2.0, 1.0), (1.0, 2.0, 3.0), tuple(direction.ravel()))
    view, stored = axial_view(grid), rng.normal(size=SHAPE)
    np.testing.assert_array_equal(view.invert(view.apply(stored)), stored)
    turned = rng.normal(size=view.apply(stored).shape)
    np.testing.assert_array_equal(view.apply(view.invert(turned)), turned)
    positions = view.slice_positions_mm(grid)
    assert len(positions) == view.apply(stored).shape[0]
    assert (np.diff(positions) > 0).all()


def test_lps_is_left_alone_and_ras_is_turned_half_round() -> None:
    stored = np.arange(60).reshape(SHAPE)
    np.testing.assert_array_equal(axial_view(grid_of("LPS")).apply(stored), stored)
    np.testing.assert_array_equal(axial_view(grid_of("RAS")).apply(stored), stored[:, ::-1, ::-1])


def test_a_world_point_stays_where_it_is() -> None:
    grid = grid_of("PIR", small_turn(3, 12))
    view, stored = axial_view(grid), np.zeros(SHAPE)
    stored[2, 1, 3] = 1
    (z,), _, _ = np.nonzero(view.apply(stored))
    centre = np.array(SHAPE[::-1]) / 2 - 0.5
    offset = np.array([3, 1, 2]) - centre
    along = [2, 1, 0][view.axes[0]]  # stored axes count from z, columns of the affine from x
    offset[[axis for axis in range(3) if axis != along]] = 0
    world = grid.affine_lps() @ np.append(centre + offset, 1)
    np.testing.assert_allclose(view.slice_positions_mm(grid)[z], world[2])


def test_a_turn_by_45_degrees_leaves_the_stored_order() -> None:
    grid = grid_of("LPS", nib.quaternions.angle_axis2mat(np.pi / 4, [1, 0, 0]))
    assert axial_view(grid).axes == (0, 1, 2)

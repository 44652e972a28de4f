"""Brains and bodies prepared: what is left, at what intensity, where; and the way back onto the scan."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import binary_erosion

from anomae.cohorts.case import CaseSlices
from anomae.cohorts.scan_slices import scan_slices
from anomae.phantoms.phantom import make_head
from anomae.slices.preparing import prepare_case
from anomae.slices.settings import settings_from
from anomae.volumes.orientation import axial_view
from anomae.volumes.volume import Grid, Volume


@pytest.fixture(scope="module")
def phantom():
    return make_head(2, shape=(16, 48, 48), skull=False, modality="t1", lesions=2)


@pytest.fixture(scope="module")
def case(phantom):
    volume = Volume(phantom.voxels, phantom.grid, None, "array")
    return scan_slices(volume, replace(volume, voxels=phantom.lesions.astype(np.uint8)))


def brain(**more):
    return settings_from({"image_size": 32, "preparation": "brain", **more})


def test_plain_preparation_has_no_body_and_says_nothing_of_one(case):
    prepared = prepare_case(case, settings_from({"image_size": 32}))
    assert prepared.bodies is None
    assert prepared.body_found == ""
    assert prepared.notes == case.notes


def test_the_median_of_the_brain_is_one_half_and_all_else_is_black(case):
    prepared = prepare_case(case, brain())
    images = prepared.images[:, 0]
    assert images.min() == 0
    assert images.max() <= 1.25
    deep = binary_erosion(prepared.bodies, np.ones((1, 3, 3)))  # pixels at the edge are partly black
    assert np.median(images[deep]) == pytest.approx(0.5, abs=0.02)
    assert (images[~prepared.bodies] <= 0.5 * images.max() + 1e-6).all()  # halves of edge pixels
    beyond = ~np.pad(prepared.bodies, ((0, 0), (2, 2), (2, 2)))  # two pixels off, nothing is left
    near = (
        sum(
            np.roll(np.pad(prepared.bodies, ((0, 0), (2, 2), (2, 2))), (dy, dx), (1, 2))
            for dy in (-2, -1, 0, 1, 2)
            for dx in (-2, -1, 0, 1, 2)
        )
        > 0
    )
    padded = np.pad(images, ((0, 0), (2, 2), (2, 2)))
    assert (padded[beyond & ~near] == 0).all()
    np.testing.assert_allclose(prepared.body_fraction, prepared.bodies.mean(axis=(1, 2)))
    assert prepared.body_found == "nonzero"
    assert prepared.empty.tolist() == (~prepared.bodies.any(axis=(1, 2))).tolist()


def test_the_intensities_are_those_of_the_scan_over_its_median(case):
    """Doubled or shifted, a scan is prepared the same; another part of it brighter changes nothing here."""
    images = prepare_case(case, brain()).images
    doubled = prepare_case(replace(case, images=case.images * 2), brain()).images
    np.testing.assert_allclose(doubled, images, atol=2e-3)


def test_the_crop_is_of_the_brain_and_the_share_filled_of_the_scan(case):
    prepared, plain = prepare_case(case, brain()), prepare_case(case, settings_from({"image_size": 32}))
    assert (prepared.filled == plain.filled).all()
    highest = case.images.max()
    np.testing.assert_allclose(prepared.filled, (case.images[:, 0] > 0.08 * highest).mean(axis=(1, 2)))
    mid = len(case.images) // 2
    assert prepared.body_fraction[mid] > 1.2 * plain.body_fraction[mid]
    where = prepared.bodies.any(axis=0)
    sides = [np.flatnonzero(where.any(axis=1 - axis)) for axis in (0, 1)]
    longest = max(side[-1] + 1 - side[0] for side in sides)
    assert 0.8 < longest / 32 <= 1
    assert prepared.spacing_mm == prepared.warp.prepared_spacing_mm
    assert set(prepare_case(case, brain(slices="mid")).kept) == set(
        prepare_case(case, settings_from({"image_size": 32, "slices": "mid"})).kept
    )


def test_a_slice_does_not_depend_on_its_company(case):
    whole = prepare_case(case, brain())
    wanted = np.zeros(len(case.images), dtype=np.bool_)
    wanted[7] = True
    alone = prepare_case(case, brain(), wanted)
    assert (alone.images[0] == whole.images[7]).all()
    assert (alone.bodies[0] == whole.bodies[7]).all()
    assert (alone.lesions[0] == whole.lesions[7]).all()


def test_lesions_go_where_the_image_goes(case):
    marked = case.images[:, 0].astype(np.int32)
    marked[case.lesions] = marked.max() * 3
    prepared = prepare_case(replace(case, images=marked), brain())
    for row in np.flatnonzero(case.lesions.any(axis=(1, 2))):
        assert prepared.lesions[row].any()
        if prepared.lesions[row].sum() > 12:
            bright = prepared.images[row, 0] > 1.1
            both = (bright & prepared.lesions[row]).sum()
            assert 2 * both / (bright.sum() + prepared.lesions[row].sum()) > 0.75
    assert (prepared.lesion_fraction > 0).tolist() == case.lesions.any(axis=(1, 2)).tolist()


@pytest.mark.parametrize("spacing", [(3.0, 1.0, 1.0), (3.0, 1.5, 0.8)], ids=["isotropic", "anisotropic"])
@pytest.mark.parametrize("turn", [0, 1, 2], ids=["axial", "coronal", "sagittal"])
def test_a_dot_comes_back_to_its_voxel_however_the_scan_is_stored(spacing, turn):
    """A tilted brain with one bright dot a slice; the maps are the prepared images themselves."""
    shape = (6, 60, 100)
    y, x = (np.arange(60) - 28) * spacing[1], (np.arange(100) - 52) * spacing[2]
    angle = 0.15
    u = np.cos(angle) * x[None] + np.sin(angle) * y[:, None]
    v = np.cos(angle) * y[:, None] - np.sin(angle) * x[None]
    voxels = np.repeat(((u / 22) ** 2 + (v / 26) ** 2 < 1)[None] * np.float32(100), 6, axis=0)
    dots = [(25, 50), (30, 60), (35, 45), (28, 52), (20, 55), (33, 58)]
    for place, (row, column) in enumerate(dots):
        voxels[place, row, column] = 250
    grid = Grid(shape, spacing, (0.0, 0.0, 0.0))
    orders = [(0, 1, 2), (1, 0, 2), (2, 0, 1)]
    order = orders[turn]
    cosines = np.eye(3)[::-1, ::-1][:, list(order)][::-1, ::-1]  # columns x, y, z of the stored axes
    stored_grid = Grid(
        tuple(shape[axis] for axis in order),
        tuple(spacing[axis] for axis in order),
        (0.0, 0.0, 0.0),
        tuple(cosines.ravel()),
    )
    stored = voxels.transpose(order)
    read = scan_slices(Volume(stored, stored_grid, None, "array"))
    assert (read.images[:, 0] == voxels).all()
    prepared = prepare_case(read, brain(image_size=64))
    assert prepared.warp.angle != 0
    heat = np.stack([prepared.warp.restore(image) for image in prepared.images[:, 0]])
    back = axial_view(stored_grid).invert(heat)
    assert back.shape == stored.shape
    flat = np.stack(
        [
            prepared.warp.restore(image)
            for image in prepare_case(replace(read, images=np.where(voxels > 0, 100, 0)), brain(image_size=64)).images[
                :, 0
            ]
        ]
    )
    for place, (row, column) in enumerate(dots):
        difference = np.clip(heat[place] - flat[place], 0.02, None) - 0.02
        near = difference[row - 4 : row + 5, column - 4 : column + 5]
        rows, columns = np.indices(near.shape)
        centre = (near * rows).sum() / near.sum() - 4, (near * columns).sum() / near.sum() - 4
        assert np.abs(centre).max() < 0.5, (place, centre)
    assert grid.shape == heat.shape


def test_a_body_is_prepared_of_a_single_picture_too():
    picture = np.full((1, 80, 120), 5, dtype=np.uint8)
    picture[0, 20:60, 30:100] = 200
    picture[0, 30:40, 50:60] = 5  # a hole belongs to it
    picture[0, :3, :3] = 250  # a label in the corner does not
    one = CaseSlices(picture, np.arange(1), np.zeros(1, np.int8), None, np.full(1, np.nan))
    prepared = prepare_case(one, settings_from({"image_size": 64, "preparation": "body"}))
    assert prepared.body_found == "level"
    assert prepared.warp.angle == 0
    assert prepared.bodies[0].sum() * prepared.warp.step_mm**2 == pytest.approx(40 * 70, rel=0.05)
    assert np.median(prepared.images[:, 0][prepared.bodies]) == pytest.approx(0.5, abs=0.01)
    assert prepared.images[0, 0, 0, 0] == 0
    back = prepared.warp.restore(prepared.bodies[0].astype(np.float32))
    assert (back[:3, :3] == 0).all()
    assert back[25, 35] == 1


def test_outside_is_the_darkest_of_the_scale_whatever_the_scale(case):
    for intensity in ("percentile", "median", "window", "none"):
        prepared = prepare_case(case, brain(intensity=intensity, window_hu=(0.0, 2000.0)))
        assert (prepared.images[:, 0, 0, 0] == prepared.images.min()).all()
    hounsfield = replace(case, images=case.images.astype(np.int32) - 1000)
    prepared = prepare_case(hounsfield, brain(intensity="hu/100"))
    assert prepared.images[0, 0, 0, 0] == prepared.images.min() == -10


def test_bias_correction_evens_out_what_the_coil_did(case):
    ramp = np.exp(np.linspace(-0.5, 0.5, 48))
    uneven = replace(case, images=case.images * ramp)
    spreads = []
    for bias in ("none", "n4"):
        prepared = prepare_case(uneven, brain(bias_correction=bias))
        columns = [
            np.median(prepared.images[:, 0, :, split][prepared.bodies[:, :, split]])
            for split in (slice(4, 13), slice(19, 28))
        ]
        spreads.append(abs(np.log(columns[0] / columns[1])))
    assert spreads[1] < 0.6 * spreads[0]

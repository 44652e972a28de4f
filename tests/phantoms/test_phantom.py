"""Laws of made-up scans: their seed decides all, their lesions are where they say, and patients differ."""

import numpy as np
import pytest

from anomae.phantoms.phantom import MODALITIES, imagine_head, make_chest, make_head, scan_head
from anomae.phantoms.shapes import centred_grid, cut_slabs, whole
from anomae.seeds import generator

SMALL = (16, 48, 48)
MAKERS = [make_head, make_chest]
both = pytest.mark.parametrize("make", MAKERS)


@both
def test_the_same_seed_gives_the_same_voxels(make):
    one, two, other = make(3, shape=SMALL), make(3, shape=SMALL), make(4, shape=SMALL)
    np.testing.assert_array_equal(one.voxels, two.voxels)
    np.testing.assert_array_equal(one.parts, two.parts)
    assert one.grid == two.grid
    # Another patient is another in the middle of the body, not in its noise alone.
    assert np.abs(one.voxels.astype(float) - other.voxels)[6:10].mean() > 20


@both
@pytest.mark.parametrize("seed", range(6))
def test_lesions_lie_inside_the_body_and_hold_their_middle(make, seed):
    scan = make(seed, shape=SMALL, lesions=3)
    assert scan.voxels.shape == scan.lesions.shape == scan.body.shape == scan.parts.shape == SMALL
    assert scan.voxels.dtype == np.int16
    assert len(scan.centres) == len(scan.radii_mm) == 3
    assert not (scan.lesions & ~scan.body).any()
    assert scan.lesions[tuple(scan.centres.T)].all()
    np.testing.assert_array_equal(scan.lesions, scan.parts > 0)
    assert set(np.unique(scan.parts)) <= {0, 1, 2, 4}


@both
@pytest.mark.parametrize("seed", range(6))
def test_a_lesion_changes_its_own_voxels_alone(make, seed):
    healthy, ill = make(seed, shape=SMALL, lesions=0), make(seed, shape=SMALL, lesions=2)
    assert not healthy.lesions.any()
    assert healthy.centres.shape == (0, 3)
    changed = healthy.voxels != ill.voxels
    assert not (changed & ~ill.lesions).any()
    assert changed.any()


@both
def test_more_lesions_leave_the_earlier_ones(make):
    one, three = make(5, shape=SMALL, lesions=1), make(5, shape=SMALL, lesions=3)
    np.testing.assert_array_equal(one.centres[0], three.centres[0])
    assert not (one.lesions & ~three.lesions).any()


@both
def test_lesions_are_large_and_small_faint_and_plain_and_anywhere(make):
    scans = [(make(seed, shape=SMALL, lesions=0), make(seed, shape=SMALL, lesions=1)) for seed in range(20)]
    radii = np.array([ill.radii_mm[0] for _, ill in scans])
    assert radii.max() > 3 * radii.min()
    contrast = np.array(
        [np.abs(ill.voxels.astype(float) - healthy.voxels)[ill.lesions].max() for healthy, ill in scans]
    )
    assert contrast.max() > 3 * contrast.min()
    places = np.array([ill.centres[0] * ill.grid.spacing_mm for _, ill in scans])
    assert (places.std(axis=0) > 15).all()


@pytest.mark.parametrize("skull", [True, False])
@pytest.mark.parametrize("shape", [(8, 8, 8), SMALL, (24, 64, 64), (40, 30, 50)])
def test_a_head_has_empty_slices_at_both_ends(skull, shape):
    for seed in range(5):
        head = make_head(seed, shape=shape, skull=skull)
        filled = np.flatnonzero(head.body.any(axis=(1, 2)))
        for end in (0, -1):
            assert not head.body[end].any()
            assert (head.voxels[end] == 0).all()
        assert len(filled) >= shape[0] // 2
        assert (np.diff(filled) == 1).all()
        # The head fits into its field of view.
        assert not head.body[:, [0, -1]].any()
        assert not head.body[:, :, [0, -1]].any()


def test_a_stripped_brain_stands_on_zero():
    head = make_head(2, shape=SMALL, skull=False)
    np.testing.assert_array_equal(head.voxels > 0, head.body)
    assert make_head(2, shape=SMALL, skull=True).body.sum() > 1.2 * head.body.sum()


def test_modalities_share_the_patient():
    head = imagine_head(7, shape=SMALL, lesions=2)
    scans = {modality: scan_head(head, modality) for modality in MODALITIES}
    for modality, scan in scans.items():
        np.testing.assert_array_equal(scan.parts, head.parts)
        np.testing.assert_array_equal(scan.body, head.body)
        np.testing.assert_array_equal(
            scan.voxels, make_head(7, shape=SMALL, lesions=2, modality=modality).voxels, err_msg=modality
        )
    t1, t2 = (scans[name].voxels[head.brain].astype(float) for name in ("t1", "t2"))
    assert np.corrcoef(t1, t2)[0, 1] < -0.3  # fluid is dark in one and bright in the other


def test_swelling_is_bright_in_flair_and_dark_in_t1():
    shifts = {}
    for modality in ("flair", "t1"):
        pairs = [
            (
                make_head(seed, shape=SMALL, lesions=0, modality=modality),
                make_head(seed, shape=SMALL, modality=modality),
            )
            for seed in range(10)
        ]
        shifts[modality] = [
            (ill.voxels.astype(float) - healthy.voxels)[ill.parts == 2].mean() for healthy, ill in pairs
        ]
    assert np.mean(np.array(shifts["flair"]) > 0) >= 0.9
    assert np.mean(np.array(shifts["t1"]) < 0) >= 0.7


def test_patients_differ_in_size_tilt_and_symmetry():
    heads = [make_head(seed, shape=SMALL, lesions=0, skull=False) for seed in range(16)]
    volumes = np.array([head.body.sum() for head in heads])
    assert volumes.std() / volumes.mean() > 0.02
    overlaps = [(head.body & head.body[:, :, ::-1]).sum() / (head.body | head.body[:, :, ::-1]).sum() for head in heads]
    assert min(overlaps) < 0.93
    assert min(overlaps) > 0.6


def test_a_chest_is_in_hounsfield_units():
    chest = make_chest(1, shape=(24, 96, 96), lesions=0)
    corner = chest.voxels[:, :8, :8]
    assert chest.voxels.min() >= -1024
    assert abs(np.median(corner) + 1000) < 30
    body = chest.voxels[chest.body]
    assert 0.1 < np.mean(body < -700) < 0.5  # lungs
    assert 0.2 < np.mean((body > -20) & (body < 120)) < 0.8  # soft tissue
    assert 0.005 < np.mean(body > 250) < 0.12  # bone


@both
def test_resolution_and_field_of_view_are_the_scanner_s_not_the_patient_s(make):
    fine = make(3, shape=(40, 121, 121), spacing_mm=(5.0, 2.5, 2.5), lesions=0)
    coarse = make(3, shape=(40, 61, 61), spacing_mm=(5.0, 5.0, 5.0), lesions=0)
    near = make(3, shape=(20, 31, 31), spacing_mm=(5.0, 5.0, 5.0), lesions=0)
    assert fine.grid.spacing_mm == (5.0, 2.5, 2.5)
    np.testing.assert_array_equal(fine.body[:, ::2, ::2], coarse.body)
    np.testing.assert_array_equal(coarse.body[10:30, 15:46, 15:46], near.body)


@both
def test_a_grid_is_centred_in_the_world(make):
    grid = make(0, shape=SMALL, lesions=0).grid
    middle = grid.affine_lps() @ (*((np.array(SMALL[::-1]) - 1) / 2), 1)
    np.testing.assert_allclose(middle[:3], 0, atol=1e-9)


def test_slabs_fit_together_without_a_seam():
    grid = centred_grid((37, 90, 90), (4.0, 2.0, 2.0))
    assert len(list(cut_slabs(grid, 90.0))) > 1
    pieces = [slab.noise(generator(1, "noise"), 20.0) for slab in cut_slabs(grid, 90.0)]
    np.testing.assert_allclose(np.concatenate(pieces), whole(grid, 90.0).noise(generator(1, "noise"), 20.0), atol=1e-5)


def test_noise_is_smooth_and_of_deviation_one():
    grid = centred_grid((40, 80, 80), (2.0, 2.0, 2.0))
    fields = np.stack([whole(grid, 90.0).noise(generator(seed, "noise"), 10.0) for seed in range(8)])
    assert abs(fields.mean()) < 0.05
    assert abs(fields.std() - 1) < 0.1
    assert np.abs(np.diff(fields, axis=-1)).mean() < 0.35
    # Three knots away nothing is left of a value.
    assert abs(np.mean(fields[..., :-20] * fields[..., 20:])) < 0.1


def test_every_resolution_and_field_of_view_shows_the_same_noise():
    coarse, fine, wide = (
        whole(centred_grid(shape, spacing), 50.0).noise(generator(1, "noise"), 12.0)
        for shape, spacing in (
            ((9, 31, 31), (4.0, 2.0, 2.0)),
            ((9, 61, 61), (4.0, 1.0, 1.0)),
            ((9, 151, 151), (4.0, 2.0, 2.0)),
        )
    )
    np.testing.assert_allclose(coarse, fine[:, ::2, ::2], atol=1e-4)
    np.testing.assert_allclose(coarse, wide[:, 60:91, 60:91], atol=1e-4)
    assert not wide[:, 0].any()  # beyond its reach there is none


def test_wrong_wishes_are_refused():
    with pytest.raises(ValueError, match="flair"):
        make_head(0, shape=SMALL, modality="t3")
    with pytest.raises(ValueError, match="no tissue"):
        make_head(0, shape=SMALL, spacing_mm=(1000.0, 1000.0, 1000.0))
    with pytest.raises(ValueError, match="no tissue"):
        make_chest(0, shape=SMALL, spacing_mm=(1000.0, 1000.0, 1000.0))

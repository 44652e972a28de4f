"""What a page holds of a scan: every voxel where it lies, every number what it was, and no more bytes than allowed."""

import gzip
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anomae.pages.shown import nifti, on_page, shown, stored
from anomae.volumes.read import read_volume
from anomae.volumes.volume import Grid

from .made_up import head, study_of

DIRECTIONS = [
    (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0),
    (-1.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0, 0.0, 1.0),
    (0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0, -1.0, 0.0),
    (0.0, 1.0, 0.0, 0.0, 0.0, -1.0, -1.0, 0.0, 0.0),
    (0.8, -0.6, 0.0, 0.6, 0.8, 0.0, 0.0, 0.0, -1.0),
]


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("most_bytes", [10**9, 4000])
def test_every_voxel_lies_in_the_world_where_it_lay(direction, most_bytes):
    shape = (12, 17, 20)
    grid = Grid(shape, (2.0, 1.5, 1.0), (-11.0, 7.0, 3.0), direction)
    study = study_of(head(shape, grid=grid))
    held = shown(study, most_bytes)
    assert held.reduced == (most_bytes == 4000)
    assert held.scan.stored.nbytes <= most_bytes
    assert held.grid is not None
    for finding in study.regions.findings:
        at = on_page(study, finding.peak)
        block = [index // step for index, step in zip(at, held.by, strict=True)]
        # The middle of the page's voxel is the middle of the voxels that it stands for.
        inner = np.array(
            [index * step + (step - 1) / 2 - full for index, step, full in zip(block, held.by, at, strict=True)]
        )
        spacing = np.array(held.grid.spacing_mm) / held.by
        world = held.grid.affine_lps() @ [*block[::-1], 1.0]
        apart = np.linalg.norm(world[:3] - np.array(finding.peak_mm))
        assert apart == pytest.approx(np.linalg.norm(inner * spacing), abs=1e-6)
        if not held.reduced:
            assert held.scan.stored[tuple(at)] == study.volume.voxels[finding.peak]
            assert held.labels[tuple(at)] == finding.number
            assert held.heat.stored[tuple(at)] * held.heat.slope == pytest.approx(finding.maximum, abs=held.heat.slope)
        assert held.labels[tuple(block)] > 0


def test_indices_of_the_page_grow_to_the_right_to_the_front_and_up():
    held = shown(study_of(head((9, 16, 16), grid=Grid((9, 16, 16), direction=DIRECTIONS[4]))))
    assert (np.diag(held.grid.affine_ras()[:3, :3]) > 0).all()


def test_the_file_for_the_viewer_is_the_volume(tmp_path: Path):
    study = study_of(head((9, 16, 16)))
    held = shown(study)
    content = nifti(held.scan.stored, held.grid)
    (tmp_path / "x.nii.gz").write_bytes(content)
    volume = read_volume(tmp_path / "x.nii.gz")
    np.testing.assert_array_equal(volume.voxels, held.scan.stored)
    np.testing.assert_allclose(volume.grid.affine_lps(), held.grid.affine_lps(), atol=1e-4)
    first = np.frombuffer(gzip.decompress(content)[352:], "<i2")
    np.testing.assert_array_equal(first, held.scan.stored.ravel())


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(-1e6, 1e6, width=32), min_size=2, max_size=40))
def test_numbers_come_back_within_a_step(values):
    array = np.array(values, dtype=np.float32)
    held = stored(array)
    back = held.stored * held.slope + held.intercept
    low, high = np.percentile(array, (0.005, 99.995))
    half = (high - low) / 2
    inner = (array >= low - half) & (array <= high + half)
    assert np.abs(back - array)[inner].max(initial=0) <= held.slope * 0.51 + 1e-6 * np.abs(array).max()
    assert held.slope <= max((high - low) * 2 / 65_000, 1.0 if high == low else 0.0) + 1e-12


def test_whole_numbers_that_fit_are_exact_and_others_are_bounded():
    for kind in (np.uint8, np.int16, np.int32):
        array = np.array([0, 7, 120], dtype=kind)
        held = stored(array)
        np.testing.assert_array_equal(held.stored * held.slope + held.intercept, array)
    broken = stored(np.array([np.nan, np.inf, -np.inf, 1.0, 3.0], dtype=np.float32))
    back = broken.stored * broken.slope + broken.intercept
    assert back[3:] == pytest.approx([1.0, 3.0], abs=1e-3)
    assert np.isfinite(back).all()
    outlier = np.full(100_000, 5.0, dtype=np.float32) + np.arange(100_000, dtype=np.float32) / 1e5
    outlier[17] = 1e20
    held = stored(outlier)
    assert held.slope < 1e-3


def test_where_a_voxel_is_several_the_map_keeps_its_highest_and_the_scan_its_mean():
    study = study_of(head((12, 16, 16)))
    held = shown(study, 2000)
    z, y, x = held.by
    assert held.heat.stored.max() == 255
    corner = study.result.case.images[:z, 0, ::-1, ::-1][:, :y, :x].astype(np.float64)
    assert held.scan.stored[0, 0, 0] * held.scan.slope + held.scan.intercept == pytest.approx(corner.mean(), abs=0.1)

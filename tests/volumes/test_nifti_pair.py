"""NIfTI in two files, compared with nibabel; Analyze is refused."""

import gzip

import nibabel
import numpy as np
import pytest

from anomae.errors import UnreadableScan
from anomae.volumes.passed_over import UNREAD
from anomae.volumes.read import look_for_scans, read_volume
from anomae.volumes.write import write_volume

AFFINE = np.array([[-0.9, 0.2, 0, 11], [-0.2, -0.9, 0.1, -7], [0, 0.1, 2.5, 3], [0, 0, 0, 1.0]])
VOXELS = np.random.default_rng(0).integers(-900, 900, (5, 6, 7)).astype(np.int16)


def pair(folder, image=nibabel.Nifti1Pair, name="a"):
    nibabel.save(image(VOXELS, AFFINE), folder / f"{name}.img")
    return folder / f"{name}.hdr", folder / f"{name}.img"


@pytest.mark.parametrize("image", [nibabel.Nifti1Pair, nibabel.Nifti2Pair])
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("half", [0, 1])
def test_it_is_what_nibabel_reads_by_either_half(tmp_path, image, packed, half):
    halves = pair(tmp_path, image)
    if packed:
        for path in halves:
            path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
            path.unlink()
        halves = tuple(path.with_name(f"{path.name}.gz") for path in halves)
    volume = read_volume(halves[half])
    np.testing.assert_array_equal(volume.voxels.transpose(2, 1, 0), VOXELS)
    np.testing.assert_allclose(volume.grid.affine_ras(), AFFINE, atol=1e-5)
    assert [file.path for file in volume.files] == [*halves]
    write_volume(tmp_path / "map.nii.gz", np.zeros((7, 6, 5), np.float32), volume.grid, volume.placement)
    for corner in ((0, 0, 0, 1), (4, 0, 6, 1), (2, 5, 3, 1)):
        there = nibabel.load(tmp_path / "map.nii.gz").affine @ corner
        np.testing.assert_allclose(there, AFFINE @ corner, atol=1e-4)


def test_both_halves_are_one_scan(tmp_path):
    header, _ = pair(tmp_path)
    pair(tmp_path, name="A.b")
    found = look_for_scans(tmp_path)
    assert found.scans == [tmp_path / "A.b.hdr", header]
    assert found.notes() == []


def test_analyze_is_named_and_refused(tmp_path):
    header, voxels = pair(tmp_path, nibabel.AnalyzeImage)
    found = look_for_scans(tmp_path)
    assert found.scans == []
    assert [note.startswith(UNREAD) for note in found.notes()] == [True, True]
    for half in (header, voxels):
        with pytest.raises(UnreadableScan, match=r"Analyze 7\.5, which does not say which side is left"):
            read_volume(half)


def test_a_pair_that_is_none_is_refused(tmp_path):
    header, voxels = pair(tmp_path)
    whole = voxels.read_bytes()
    voxels.write_bytes(whole[:-10])
    with pytest.raises(UnreadableScan, match="cut short"):
        read_volume(header)
    (tmp_path / "a.img.gz").write_bytes(gzip.compress(whole))
    with pytest.raises(UnreadableScan, match=r"one of 1 \.hdr and 2 \.img"):
        read_volume(header)
    voxels.unlink()
    (tmp_path / "a.img.gz").unlink()
    with pytest.raises(UnreadableScan, match=r"one of 1 \.hdr and 0 \.img"):
        read_volume(header)
    assert look_for_scans(tmp_path).scans == [header]  # it is missed nowhere

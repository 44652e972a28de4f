"""NIfTI against nibabel: values, number types and the whole of the geometry."""

import gzip
import struct
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anomae.errors import UnreadableScan
from anomae.volumes.headers import MAX_VOXELS
from anomae.volumes.nifti import read_nifti

UNIT = st.floats(-1, 1, width=32)


def save(path: Path, voxels: np.ndarray, **forms: tuple[np.ndarray | None, int]) -> Path:
    image = nib.Nifti1Image(voxels, None)
    for name, (affine, code) in forms.items():
        getattr(image, f"set_{name}")(affine, code)
    nib.save(image, path)
    return path


def turned(b: float, c: float, d: float, spacing: tuple[float, float, float]) -> np.ndarray:
    affine = np.eye(4)
    affine[:3, :3] = nib.quaternions.quat2mat([1.2, b, c, d]) * spacing
    affine[:3, 3] = [12, -30, 45]
    return affine


@settings(max_examples=30, deadline=None)
@given(b=UNIT, c=UNIT, d=UNIT, flip=st.booleans(), codes=st.sampled_from([(0, 0), (1, 0), (0, 1), (2, 1), (1, 3)]))
def test_the_affine_is_nibabels_for_every_pair_of_codes(
    tmp_path_factory: pytest.TempPathFactory, b: float, c: float, d: float, flip: bool, codes: tuple[int, int]
) -> None:
    path = tmp_path_factory.mktemp("n") / "a.nii"
    sform = turned(b, c, d, (-1.5 if flip else 1.5, 2.0, 3.0))
    qform = turned(c, d, b, (-2.5 if flip else 2.5, 1.0, 0.5))
    save(path, np.zeros((4, 5, 6), np.int16), sform=(sform, codes[0]), qform=(qform, codes[1]))
    grid = read_nifti(path, MAX_VOXELS).grid
    np.testing.assert_allclose(grid.affine_ras(), nib.load(path).affine, atol=2e-5)
    guessed = any("are a guess" in note for note in read_nifti(path, MAX_VOXELS).notes)
    assert guessed == (codes == (0, 0))


def test_a_sheared_affine_is_kept(tmp_path: Path) -> None:
    affine = turned(0.1, 0.2, 0.3, (1, 2, 3)) @ np.array([[1, 0.2, 0, 0], [0, 1, 0.1, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
    path = save(tmp_path / "a.nii", np.zeros((4, 5, 6), np.int16), sform=(affine, 1), qform=(np.eye(4), 1))
    np.testing.assert_allclose(read_nifti(path, MAX_VOXELS).grid.affine_ras(), affine, atol=1e-5)


def test_a_half_turn_survives_the_rounding_of_its_quaternion(tmp_path: Path) -> None:
    affine = np.diag([-1.0, -1.0, 1.0, 1.0]) @ np.array([[0, 1, 0, 0], [1, 0, 0, 0], [0, 0, -1, 0], [0, 0, 0, 1.0]])
    path = save(tmp_path / "a.nii", np.zeros((4, 5, 6), np.int16), sform=(None, 0), qform=(affine, 1))
    np.testing.assert_allclose(read_nifti(path, MAX_VOXELS).grid.affine_ras(), nib.load(path).affine, atol=1e-6)


def test_metres_and_microns_become_millimetres(tmp_path: Path) -> None:
    for unit, scale in (("meter", 1000.0), ("micron", 0.001), ("mm", 1.0), ("unknown", 1.0)):
        image = nib.Nifti1Image(np.zeros((4, 5, 6), np.int16), np.diag([2.0, 3, 4, 1]))
        image.header.set_xyzt_units(unit)
        nib.save(image, tmp_path / "a.nii")
        grid = read_nifti(tmp_path / "a.nii", MAX_VOXELS).grid
        np.testing.assert_allclose(grid.spacing_mm, np.array([4.0, 3, 2]) * scale)


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("kind", ["u1", "i1", "i2", "u2", "i4", "u4", "i8", "u8", "f4", "f8"])
def test_every_number_type_in_both_byte_orders(tmp_path: Path, kind: str, order: str) -> None:
    voxels = (np.arange(120).reshape(4, 5, 6) + (0 if "u" in kind else -60)).astype(kind)
    header = nib.Nifti1Header(endianness=order)
    header.set_data_dtype(kind)
    nib.save(nib.Nifti1Image(voxels, np.eye(4), header=header), tmp_path / "a.nii.gz")
    found = read_nifti(tmp_path / "a.nii.gz", MAX_VOXELS).voxels
    assert found.dtype == (np.float32 if kind == "f8" else np.dtype(kind))
    assert found.dtype.isnative
    np.testing.assert_array_equal(found, voxels.T)


@pytest.mark.parametrize(
    ("slope", "intercept", "kind"),
    [(1, 0, "i2"), (2, -1024, "i2"), (1000, 0, "i4"), (0.5, 3, "f4"), (1, 0.25, "f4"), (-1, 0, "i2")],
)
def test_rescaling_is_nibabels_and_keeps_integers_where_it_can(
    tmp_path: Path, slope: float, intercept: float, kind: str
) -> None:
    voxels = np.arange(-500, 500, dtype=np.int16).reshape(10, 10, 10)
    save(tmp_path / "a.nii", voxels)
    content = bytearray((tmp_path / "a.nii").read_bytes())
    struct.pack_into("<2f", content, 112, slope, intercept)
    (tmp_path / "a.nii").write_bytes(content)
    found = read_nifti(tmp_path / "a.nii", MAX_VOXELS).voxels
    np.testing.assert_array_equal(found, nib.load(tmp_path / "a.nii").get_fdata().T)
    assert found.dtype == np.dtype(kind)


def test_a_flat_and_a_lone_fourth_dimension(tmp_path: Path) -> None:
    flat = save(
        tmp_path / "flat.nii", np.arange(20, dtype=np.int16).reshape(4, 5), sform=(turned(0.3, 0, 0, (1, 2, 3)), 1)
    )
    assert read_nifti(flat, MAX_VOXELS).voxels.shape == (1, 5, 4)
    np.testing.assert_allclose(read_nifti(flat, MAX_VOXELS).grid.affine_ras(), nib.load(flat).affine, atol=1e-5)
    lone = save(tmp_path / "lone.nii", np.zeros((4, 5, 6, 1), np.int16))
    assert read_nifti(lone, MAX_VOXELS).voxels.shape == (6, 5, 4)


def test_nan_and_infinity_are_mended_and_said(tmp_path: Path) -> None:
    voxels = np.arange(24, dtype=np.float32).reshape(2, 3, 4) - 5
    voxels[0, 0, 1], voxels[1, 2, 3], voxels[0, 1, 1] = np.nan, np.inf, -np.inf
    volume = read_nifti(save(tmp_path / "a.nii", voxels), MAX_VOXELS)
    assert np.isfinite(volume.voxels).all()
    assert volume.voxels[1, 0, 0] == volume.voxels[3, 2, 1] == volume.voxels[1, 1, 0] == -5
    assert "3 voxels" in volume.notes[-1]
    with pytest.raises(UnreadableScan, match="no voxel"):
        read_nifti(save(tmp_path / "b.nii", voxels * np.nan), MAX_VOXELS)


@pytest.mark.parametrize(
    ("voxels", "said"),
    [
        (np.zeros((3, 3, 3, 2), np.int16), "more than one volume"),
        (np.zeros((3, 3, 3), np.complex64), "type 32"),
        (np.zeros((3, 3, 3), [("R", "u1"), ("G", "u1"), ("B", "u1")]), "type 128"),
        (np.zeros(7, np.int16), "one dimension"),
    ],
)
def test_what_is_no_volume_is_refused(tmp_path: Path, voxels: np.ndarray, said: str) -> None:
    with pytest.raises(UnreadableScan, match=said):
        read_nifti(save(tmp_path / "a.nii", voxels), MAX_VOXELS)


@pytest.mark.parametrize(
    ("offset", "packed", "said"),
    [
        (42, struct.pack("<3h", 32767, 32767, 32767), "limit"),
        (42, struct.pack("<3h", 2000, 2000, 50), "cut short|cannot hold"),
        (42, struct.pack("<h", -3), "impossible"),
        (42, struct.pack("<h", 0), "impossible"),
        (40, struct.pack("<h", 9), "9 dimensions"),
        (70, struct.pack("<h", 31), "type 31"),
        (108, struct.pack("<f", 1e30), "start at"),
        (108, struct.pack("<f", float("nan")), "start at"),
        (112, struct.pack("<2f", 1, float("nan")), "scl_inter"),
        (0, struct.pack("<i", 1), "NIfTI header"),
        (344, b"ni1\0", ".img"),
    ],
)
@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
def test_a_hostile_header_is_refused(tmp_path: Path, name: str, offset: int, packed: bytes, said: str) -> None:
    save(tmp_path / "a.nii", np.random.default_rng(0).integers(0, 99, (4, 5, 6)).astype(np.int16))
    content = bytearray((tmp_path / "a.nii").read_bytes())
    content[offset : offset + len(packed)] = packed
    (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith("gz") else content)
    with pytest.raises(UnreadableScan, match=said) as caught:
        read_nifti(tmp_path / name, MAX_VOXELS)
    assert name in str(caught.value)


def test_a_broken_checksum_is_refused(tmp_path: Path) -> None:
    path = save(tmp_path / "a.nii.gz", np.random.default_rng(0).integers(0, 99, (9, 9, 9)).astype(np.int16))
    content = bytearray(path.read_bytes())
    content[-6] ^= 1
    path.write_bytes(content)
    with pytest.raises(UnreadableScan):
        read_nifti(path, MAX_VOXELS)


def test_names_and_contents_that_disagree_are_told_by_the_content(tmp_path: Path) -> None:
    path = save(tmp_path / "a.nii", np.arange(24, dtype=np.int16).reshape(2, 3, 4))
    (tmp_path / "b.nii").write_bytes(gzip.compress(path.read_bytes()))
    (tmp_path / "c.nii.gz").write_bytes(path.read_bytes())
    for name in ("b.nii", "c.nii.gz"):
        np.testing.assert_array_equal(
            read_nifti(tmp_path / name, MAX_VOXELS).voxels, read_nifti(path, MAX_VOXELS).voxels
        )

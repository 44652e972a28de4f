"""Arrays in numpy's files: which one is meant, and what is refused before it is unpacked."""

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest

from anomae.errors import UnreadableScan
from anomae.volumes.array_files import read_array_file
from anomae.volumes.headers import MAX_VOXELS

VOXELS = np.arange(60, dtype=np.int16).reshape(3, 4, 5)


@pytest.mark.parametrize(
    ("stored", "dtype"),
    [
        (VOXELS, np.int16),
        (VOXELS.astype(">u2"), np.uint16),
        (VOXELS > 5, np.uint8),
        (VOXELS / 3, np.float32),
        (VOXELS.astype(np.float16), np.float32),
        (np.asfortranarray(VOXELS), np.int16),
        (VOXELS[0], np.int16),
    ],
)
@pytest.mark.parametrize("name", ["a.npy", "a.npz", "packed.npz"])
def test_arrays_come_back_as_volumes(tmp_path: Path, name: str, stored: np.ndarray, dtype: type) -> None:
    save = np.save if name == "a.npy" else np.savez if name == "a.npz" else np.savez_compressed
    save(tmp_path / name, stored)
    volume = read_array_file(tmp_path / name, MAX_VOXELS)
    assert volume.voxels.dtype == dtype
    assert volume.voxels.dtype.isnative
    np.testing.assert_array_equal(volume.voxels, np.atleast_3d(stored.T).T.astype(dtype))


def test_the_array_that_is_meant(tmp_path: Path) -> None:
    for name in ("images", "voxels"):
        np.savez(tmp_path / "a.npz", other=np.zeros((9, 9)), **{name: VOXELS})
        np.testing.assert_array_equal(read_array_file(tmp_path / "a.npz", MAX_VOXELS).voxels, VOXELS)
    np.savez(tmp_path / "a.npz", one=VOXELS, two=VOXELS)
    with pytest.raises(UnreadableScan, match="2 arrays"):
        read_array_file(tmp_path / "a.npz", MAX_VOXELS)


@pytest.mark.parametrize(
    "stored",
    [
        np.arange(5),
        np.zeros((2, 3, 4, 5)),
        np.zeros((0, 4)),
        np.array(["a", "b"]),
        np.zeros((2, 2), complex),
        np.zeros((2, 2), [("a", "i2")]),
        np.zeros((2, 2), "M8[s]"),
    ],
)
def test_what_is_no_volume_is_refused(tmp_path: Path, stored: np.ndarray) -> None:
    np.save(tmp_path / "a.npy", stored)
    with pytest.raises(UnreadableScan, match=r"a\.npy"):
        read_array_file(tmp_path / "a.npy", MAX_VOXELS)


def test_a_pickle_is_never_opened(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (exec, ("raise SystemExit('opened')",))

    np.save(tmp_path / "a.npy", np.array([[Trap()]], dtype=object), allow_pickle=True)
    np.savez(tmp_path / "a.npz", images=np.array([[Trap()]], dtype=object))
    for name in ("a.npy", "a.npz"):
        with pytest.raises(UnreadableScan, match="objects"):
            read_array_file(tmp_path / name, MAX_VOXELS)


@pytest.mark.parametrize(
    "geometry",
    [
        {"spacing_mm": [1, 2]},
        {"spacing_mm": [1, 0, 1]},
        {"direction": np.zeros(9)},
        {"origin_mm": [0, 0, np.nan]},
        {"direction": np.eye(4)},
        {"spacing_mm": np.zeros((99, 999))},
    ],
)
def test_impossible_geometry_is_refused(tmp_path: Path, geometry: dict[str, object]) -> None:
    np.savez(tmp_path / "a.npz", voxels=VOXELS, **geometry)
    with pytest.raises(UnreadableScan, match=r"no scan can have|too large"):
        read_array_file(tmp_path / "a.npz", MAX_VOXELS)


def header_of(shape: tuple[int, ...], dtype: str = "|u1") -> bytes:
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": dtype, "fortran_order": False, "shape": shape})
    return header.getvalue()


def test_a_header_that_promises_more_than_the_file_is_refused(tmp_path: Path) -> None:
    for shape in ((10**6, 10**6, 10**6), (4000, 4000, 50), (-1, 4, 4), (2**62, 2**62, 2**62)):
        (tmp_path / "a.npy").write_bytes(header_of(shape) + bytes(100))
        with zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("images.npy", header_of(shape) + bytes(100))
        for name in ("a.npy", "a.npz"):
            with pytest.raises(UnreadableScan, match=r"limit|cut short|impossible"):
                read_array_file(tmp_path / name, MAX_VOXELS)


def test_other_packings_and_passwords_are_refused(tmp_path: Path) -> None:
    for packing in (zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        with zipfile.ZipFile(tmp_path / "a.npz", "w", packing) as archive:
            archive.writestr("images.npy", header_of((50, 50)) + bytes(2500))
        with pytest.raises(UnreadableScan, match="packed"):
            read_array_file(tmp_path / "a.npz", MAX_VOXELS)


def test_a_broken_checksum_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", images=VOXELS)
    content = bytearray((tmp_path / "a.npz").read_bytes())
    content[content.find(VOXELS.tobytes()) + 7] ^= 1
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(UnreadableScan):
        read_array_file(tmp_path / "a.npz", MAX_VOXELS)

"""Files made to harm: bombs, lies and random damage are refused quickly, without memory, with one sentence."""

import copy
import gzip
import io
import resource
import struct
import sys
import time
import tracemalloc
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import nibabel as nib
import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from PIL import Image

from anomae.cohorts.scan_slices import scan_slices
from anomae.errors import UnreadableScan
from anomae.volumes.dicom_headers import _TAGS
from anomae.volumes.read import find_scans, read_volume
from anomae.volumes.volume import Volume

# Parsers warn of much in broken files; the command line leaves that out of what it prints.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")
MEBIBYTE = 2**20


@contextmanager
def little_time_and_memory(mebibytes: int = 64, seconds: float = 20.0) -> Iterator[None]:
    unit = 1 if sys.platform == "darwin" else 1024
    peak, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit, time.process_time()
    tracemalloc.start()
    yield
    allocated = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert allocated < mebibytes * MEBIBYTE
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit - peak < 2 * mebibytes * MEBIBYTE
    assert time.process_time() - began < seconds


def refused(path: Path, said: str) -> None:
    read_volume(warm_up(path.parent))
    with little_time_and_memory(), pytest.raises(UnreadableScan, match=said) as caught:
        read_volume(path)
    assert "\n" not in str(caught.value)


def warm_up(folder: Path) -> Path:
    """A small readable file, read before memory is counted, so that imports do not count."""
    sitk.WriteImage(sitk.GetImageFromArray(np.zeros((2, 2, 2), np.uint8)), str(folder / "warm.mha"))
    return folder / "warm.mha"


def nifti_header(shape: tuple[int, ...]) -> bytes:
    header = nib.Nifti1Header()
    header.set_data_dtype(np.uint8)
    header["dim"][: len(shape) + 1] = [len(shape), *shape]
    header["magic"], header["vox_offset"] = b"n+1", 352
    return header.binaryblock + bytes(4)


def zeros_compressed(mebibytes: int, wbits: int, start: bytes = b"") -> bytes:
    squeeze = zlib.compressobj(1, wbits=wbits)
    return b"".join(
        [squeeze.compress(start), *(squeeze.compress(bytes(MEBIBYTE)) for _ in range(mebibytes)), squeeze.flush()]
    )


def test_a_gzip_bomb_behind_a_modest_nifti_header(tmp_path: Path) -> None:
    (tmp_path / "a.nii.gz").write_bytes(zeros_compressed(150, 31, nifti_header((64, 64, 64))))
    refused(tmp_path / "a.nii.gz", "bomb")


def test_a_nifti_header_that_claims_the_world(tmp_path: Path) -> None:
    for shape in ((30000, 30000, 30000), (1200, 1200, 1200)):
        for name, pack in (("a.nii", bytes), ("a.nii.gz", gzip.compress)):
            (tmp_path / name).write_bytes(pack(nifti_header(shape) + bytes(1000)))
            refused(tmp_path / name, "limit|cut short|cannot hold")


@pytest.mark.parametrize("name", ["a.mha", "a.nrrd"])
def test_a_bomb_behind_a_modest_itk_header(tmp_path: Path, name: str) -> None:
    squeezed = zeros_compressed(150, 15 if name == "a.mha" else 31)
    if name == "a.mha":
        header = "ObjectType = Image\nNDims = 3\nBinaryData = True\nCompressedData = True\n"
        header += (
            f"CompressedDataSize = {len(squeezed)}\nDimSize = 9 9 9\nElementType = MET_UCHAR\nElementDataFile = LOCAL\n"
        )
    else:
        header = "NRRD0004\ntype: uchar\ndimension: 3\nsizes: 9 9 9\nencoding: gzip\n\n"
    (tmp_path / name).write_bytes(header.encode() + squeezed)
    refused(tmp_path / name, "bomb")


def test_an_npz_bomb(tmp_path: Path) -> None:
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "|u1", "fortran_order": False, "shape": (6000, 1000, 1000)})
    with (
        zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open("images.npy", "w", force_zip64=True) as member,
    ):
        member.write(header.getvalue())
        for _ in range(150):
            member.write(bytes(MEBIBYTE))
    refused(tmp_path / "a.npz", "limit")


def png(width: int, height: int, squeezed: bytes) -> bytes:
    content = b"\x89PNG\r\n\x1a\n"
    header = struct.pack(">2I5B", width, height, 8, 0, 0, 0, 0)
    for name, chunk in ((b"IHDR", header), (b"IDAT", squeezed), (b"IEND", b"")):
        content += struct.pack(">I", len(chunk)) + name + chunk + struct.pack(">I", zlib.crc32(name + chunk))
    return content


@pytest.mark.parametrize("warned", ["ignore", "error"])
@pytest.mark.parametrize("side", [12_000, 60_000, 2**31 - 1])
def test_a_png_bomb(tmp_path: Path, side: int, warned: Literal["ignore", "error"]) -> None:
    """Of the smallest Pillow only warns, which must not be what it hangs on."""
    (tmp_path / "a.png").write_bytes(png(side, side, zeros_compressed(50, 15)))
    with warnings.catch_warnings():
        warnings.simplefilter(warned)
        refused(tmp_path / "a.png", "limit")


def test_a_tiff_whose_pages_bite_their_tail(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((4, 4), np.uint8)).save(tmp_path / "a.tif")
    content = bytearray((tmp_path / "a.tif").read_bytes())
    first = struct.unpack_from("<I", content, 4)[0]
    entries = struct.unpack_from("<H", content, first)[0]
    struct.pack_into("<I", content, first + 2 + 12 * entries, first)
    (tmp_path / "a.tif").write_bytes(content)
    with little_time_and_memory():
        assert read_volume(tmp_path / "a.tif").voxels.shape[0] <= 2


def test_dicom_with_endless_nesting(tmp_path: Path) -> None:
    item = b"\x08\x00\x40\x11SQ\0\0\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff"
    meta = b"\x02\x00\x10\x00UI\x14\x001.2.840.10008.1.2.1\0"
    (tmp_path / "a.dcm").write_bytes(
        bytes(128) + b"DICM\x02\x00\x00\x00UL\x04\x00" + struct.pack("<I", len(meta)) + meta + item * 20_000
    )
    refused(tmp_path / "a.dcm", "DICOM")


def small_scans(folder: Path, write_slice: Callable[..., Path]) -> list[Path]:
    voxels = np.random.default_rng(0).integers(0, 250, (3, 8, 8)).astype(np.uint8)
    nib.save(nib.Nifti1Image(voxels.T, np.eye(4)), folder / "a.nii")
    nib.save(nib.Nifti1Image(voxels.T, np.eye(4)), folder / "a.nii.gz")
    for name in ("a.mha", "b.mha", "a.nrrd", "b.nrrd", "a.mhd", "a.nhdr"):
        sitk.WriteImage(sitk.GetImageFromArray(voxels), str(folder / name), name.startswith("b"))
    Image.fromarray(voxels[0]).save(folder / "a.png")
    Image.fromarray(voxels[0]).save(folder / "a.jpg")
    Image.fromarray(voxels[0]).save(folder / "a.tif")
    Image.fromarray(voxels[0]).save(folder / "b.tif", compression="tiff_lzw")
    np.save(folder / "a.npy", voxels)
    np.savez_compressed(folder / "a.npz", images=voxels, spacing_mm=np.ones(3))
    write_slice(folder / "a.dcm", voxels[0])
    for name, syntax in (("b.dcm", pydicom.uid.RLELossless), ("c.dcm", pydicom.uid.JPEG2000Lossless)):
        header = pydicom.dcmread(write_slice(folder / name, np.kron(voxels[0], np.ones((8, 8), np.uint8))))
        header.compress(syntax)
        header.save_as(folder / name)
    writer = sitk.ImageFileWriter()
    writer.SetFileName(str(folder / "d.dcm"))
    writer.UseCompressionOn()
    writer.SetCompressor("JPEG")
    writer.Execute(sitk.GetImageFromArray(np.kron(voxels[0], np.ones((8, 8), np.uint8))))
    return [path for path in find_scans(folder) if path.is_file()] + [folder / f"{letter}.dcm" for letter in "abc"]


def read_or_sentence(path: Path) -> Volume | str:
    try:
        return read_volume(path)
    except UnreadableScan as error:
        return str(error)


def test_random_damage_gives_a_volume_or_one_sentence(tmp_path: Path, write_slice: Callable[..., Path]) -> None:
    rng = np.random.default_rng(2024)
    scans = small_scans(tmp_path, write_slice)
    assert len({path.suffix for path in scans}) == 12
    outcomes = {"read": 0, "refused": 0}
    for path in scans:
        whole = path.read_bytes()
        read_volume(path)
        # A process of its own for every attempt takes its time.
        for attempt in range(8 if path.name == "d.dcm" else 60):
            damaged = bytearray(whole)
            # Headers are short and decide most: half of the damage goes there.
            reach = len(whole) if attempt % 2 else min(len(whole), 600)
            for place in rng.integers(0, reach, rng.integers(1, 6)):
                damaged[place] = rng.integers(0, 256)
            if attempt % 5 == 0:
                damaged = damaged[: rng.integers(0, len(whole))]
            path.write_bytes(damaged)
            found = read_or_sentence(path)
            if isinstance(found, str):
                outcomes["refused"] += 1
                assert found.isprintable()
            else:
                outcomes["read"] += 1
                assert found.voxels.shape == found.grid.shape
                assert np.isfinite(found.voxels).all()
                assert np.isfinite(found.grid.affine_lps()).all()
        path.write_bytes(whole)
    assert min(outcomes.values()) > 100


ODD = [
    ("DS", ["1", "2"]),
    ("DS", ["1", "2", "3", "4", "5", "6", "7"]),
    ("IS", "9" * 12),
    ("LO", "abc"),
    ("LO", ["a", "b"]),
    ("LO", ""),
    ("PN", "a^b"),
    ("UI", ["1.2", "3.4"]),
    ("US", [1, 2]),
    ("US", 65535),
    ("FD", float("nan")),
    ("FD", float("inf")),
    ("OB", b"\xff\x00"),
    ("UN", b"\x00\x01\x02\x03"),
    ("AT", 0x00100020),
    ("SQ", []),
    ("SQ", [pydicom.Dataset()]),
    ("SQ", [pydicom.Dataset(), pydicom.Dataset()]),
]


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("name", [*_TAGS, "BitsStored", "HighBit", "PixelRepresentation", "ModalityLUTSequence"])
def test_anything_may_stand_under_any_name(
    tmp_path: Path, write_slice: Callable[..., Path], name: str, compressed: bool
) -> None:
    """A volume or one sentence, never an error of our own lines (which `parsing` would let through)."""
    header = pydicom.dcmread(write_slice(tmp_path / "a.dcm", np.arange(64, dtype=np.uint8).reshape(8, 8)))
    if compressed:
        header.compress(pydicom.uid.RLELossless)
    written = 0
    for vr, content in ODD:
        odd = copy.deepcopy(header)
        if name == "BitsStored":
            odd.PhotometricInterpretation, odd.Modality = "MONOCHROME1", "MR"
        holder = pydicom.Dataset()
        try:
            holder.add_new(name, vr, content)
            odd[name] = holder[name]
            odd.save_as(tmp_path / "odd.dcm")
        except Exception:  # noqa: BLE001  pydicom cannot even write it
            continue
        written += 1
        found = read_or_sentence(tmp_path / "odd.dcm")
        if isinstance(found, Volume):
            assert found.voxels.shape == found.grid.shape
            scan_slices(found)
        find_scans(tmp_path)
    assert written > 5

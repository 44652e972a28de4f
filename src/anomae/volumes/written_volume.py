"""Whether a volume that a library wrote is whole on the disk: ITK prints that a disk is full, and goes on."""

import gzip
import zlib
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from anomae.errors import NotWritten

_BLOCK = 1 << 20
_NIFTI_HEADER = 348  # bytes
_STARTS = {".mha": b"ObjectType", ".nrrd": b"NRRD"}


def check_written(file: Path, voxels: npt.NDArray[Any], path: Path | None = None) -> None:
    """Read `file` back: its header says these voxels [z, y, x], and its last bytes are theirs, by checksum.

    file: NIfTI (.nii, .nii.gz), or a .mha, .nrrd or .raw whose voxels are not compressed.  path: what it is to be
    called in the message.  Raises NotWritten where it is cut short or otherwise not what was to be written.
    """
    path, name = path or file, file.name.lower()
    little = np.ascontiguousarray(voxels, dtype=voxels.dtype.newbyteorder("<"))
    expected = memoryview(little.data).cast("B") if little.size else memoryview(b"")
    try:
        with gzip.open(file) if name.endswith(".gz") else file.open("rb") as stream:
            if name.endswith((".nii", ".nii.gz")):
                start = _nifti_start(stream, voxels.shape, path)
            else:
                start = file.stat().st_size - len(expected)
                head = stream.read(min(max(start, 0), _BLOCK))
                if start < 0 or not head.startswith(_STARTS.get(file.suffix.lower(), b"")):
                    raise NotWritten(path, "its header or voxels are missing")
            stream.seek(start)
            length, checksum = _rest(stream)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise NotWritten(path, "its compressed content is cut short") from error
    if length != len(expected):
        raise NotWritten(path, f"{length} of {len(expected)} bytes of voxels are there")
    if checksum != zlib.crc32(expected):
        raise NotWritten(path, "its voxels are not those that were to be written")


def _nifti_start(stream: gzip.GzipFile | BinaryIO, shape: tuple[int, ...], path: Path) -> int:
    """Where the voxels begin, from the header of a NIfTI-1 file."""
    header = stream.read(_NIFTI_HEADER)
    if len(header) < _NIFTI_HEADER:
        raise NotWritten(path, "its header is cut short")
    sides = np.frombuffer(header, "<i2", 8, 40)
    if header[344:347] != b"n+1" or tuple(sides[1:4]) != shape[::-1]:
        raise NotWritten(path, "its header does not say what was to be written")
    return int(np.frombuffer(header, "<f4", 1, 108)[0])


def _rest(stream: gzip.GzipFile | BinaryIO) -> tuple[int, int]:
    """Length and checksum of what is left."""
    length = checksum = 0
    while block := stream.read(_BLOCK):
        length, checksum = length + len(block), zlib.crc32(block, checksum)
    return length, checksum

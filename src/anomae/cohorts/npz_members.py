"""Arrays in a .npz file, each checked by its header before a byte of it is unpacked; never pickled objects."""

import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from anomae.arrays import BROKEN_ARRAY
from anomae.errors import UnreadableScan

LARGEST_BYTES = 8 << 30  # of one array, unpacked


@dataclass(frozen=True, slots=True)
class Member:
    """An array as its header describes it."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    @property
    def bytes(self) -> int:
        """How much memory it takes."""
        return int(np.prod([*map(int, self.shape)], dtype=object)) * self.dtype.itemsize


def list_members(path: Path) -> dict[str, Member]:
    """Name -> header of every array in the file.  Raises UnreadableScan where it is broken or no .npz."""
    try:
        with zipfile.ZipFile(path) as archive:
            return {
                entry.filename.removesuffix(".npy"): _read_header(archive, entry, path)
                for entry in archive.infolist()
                if entry.filename.endswith(".npy")
            }
    except BROKEN_ARRAY as error:
        raise UnreadableScan(f"{path} is not readable as .npz ({error}); copy it again.") from error


def read_member(path: Path, name: str) -> npt.NDArray[Any]:
    """One array.  Raises UnreadableScan where it is broken, holds objects, or is larger than LARGEST_BYTES."""
    try:
        with zipfile.ZipFile(path) as archive:
            entry = archive.getinfo(f"{name}.npy")
            member = _read_header(archive, entry, path)
            if member.dtype.hasobject:
                raise UnreadableScan(f"{path}: {name} holds Python objects, which are never loaded.")
            if member.bytes > LARGEST_BYTES:
                raise UnreadableScan(
                    f"{path}: {name} takes {member.bytes / 2**30:.1f} GiB unpacked; split the file (at most "
                    f"{LARGEST_BYTES >> 30} GiB an array)."
                )
            if not member.bytes <= entry.file_size <= member.bytes + (1 << 20):
                raise UnreadableScan(f"{path}: {name} does not hold as many bytes as its header says.")
            with archive.open(entry) as stream:
                return np.asarray(np.lib.format.read_array(stream, allow_pickle=False))
    except KeyError as error:
        raise UnreadableScan(f"{path} holds no array {name!r}.") from error
    except BROKEN_ARRAY as error:
        raise UnreadableScan(f"{path}: {name} is not readable ({error}); copy it again.") from error


def _read_header(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, path: Path) -> Member:
    if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise UnreadableScan(f"{path}: {entry.filename} is packed in a way that numpy does not write.")
    with archive.open(entry) as stream:
        # Later versions allow headers of 4 GiB, for the sake of tables with thousands of columns.
        if np.lib.format.read_magic(stream) != (1, 0):
            raise UnreadableScan(f"{path}: {entry.filename} is no plain array.")
        shape, _, dtype = np.lib.format.read_array_header_1_0(stream)
    return Member(shape, dtype)

"""Voxels in numpy's own files, .npy and .npz; never with pickle, and never before the header was judged."""

import zipfile
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from anomae.volumes.headers import MAX_VOXELS, check_ratio, check_size, check_stored, parsing, unreadable
from anomae.volumes.intensities import settle
from anomae.volumes.reader import FileReader
from anomae.volumes.volume import Grid, Volume

_VOXEL_NAMES = ("images", "voxels")
_SIDE_BYTES = 2**16  # the most that a spacing or a direction may take


def read_array_file(path: Path, max_voxels: int = MAX_VOXELS) -> Volume:
    """Read a .npy file, or of an .npz file the array `images` or `voxels` or the only one: [y, x] or [z, y, x].

    An .npz may also hold spacing_mm (z, y, x), origin_mm (x, y, z) and direction (9,), as Grid has them; without them a
    voxel is a cube of 1 mm.  Raises UnreadableScan where it is broken, hostile, or holds objects.
    """
    with parsing(path, "numpy"), path.open("rb") as handle:
        zipped = handle.read(4) == b"PK\x03\x04"
        handle.seek(0)
        if zipped:
            stored, geometry = _read_archive(path, handle, max_voxels)
        else:
            stored = _read_array(path, handle, path.stat().st_size, max_voxels)
            geometry = {}
    voxels, notes = settle(path, stored)
    return Volume(voxels, _grid(path, voxels.shape, geometry), path, "array", notes=notes)


def _read_archive(path: Path, handle: IO[bytes], max_voxels: int) -> tuple[npt.NDArray[Any], dict[str, Any]]:
    with zipfile.ZipFile(handle) as archive:
        members = {entry.filename.removesuffix(".npy"): entry for entry in archive.infolist()}
        named = [name for name in _VOXEL_NAMES if name in members] or list(members)
        if len(named) != 1:
            text = f"holds {len(members)} arrays and none alone is called images or voxels; rename the one to read."
            raise unreadable(path, text)
        sides = [name for name in ("spacing_mm", "origin_mm", "direction") if name in members and name not in named]
        arrays: dict[str, npt.NDArray[Any]] = {}
        for name in (named[0], *sides):
            entry = members[name]
            if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) or entry.flag_bits & 1:
                raise unreadable(path, "is packed in a way that numpy does not pack; save it with numpy.savez.")
            check_ratio(path, entry.file_size, min(entry.compress_size, path.stat().st_size))
            if name in sides and entry.file_size > _SIDE_BYTES:
                raise unreadable(path, f"holds a {name} that is far too large.")
            with archive.open(entry) as member:
                arrays[name] = _read_array(path, member, entry.file_size, max_voxels, flat=name in sides)
        return arrays[named[0]], {name: arrays[name] for name in sides}


def _read_array(path: Path, stream: IO[bytes], length: int, max_voxels: int, flat: bool = False) -> npt.NDArray[Any]:
    """The array in `stream`, a .npy file of `length` bytes, as [z, y, x] (`flat`: as it is, one-dimensional)."""
    version = np.lib.format.read_magic(stream)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    if version not in ((1, 0), (2, 0)):
        raise unreadable(path, "is of a version of numpy's format that numbers never need; save it again.")
    shape, fortran_order, dtype = read(stream)
    if dtype.kind not in "biufc":
        raise unreadable(path, "holds objects, text or records, which are not read; save an array of numbers.")
    if len(shape) not in ((1, 2) if flat else (2, 3)):
        text = f"holds an array of {len(shape)} dimensions; give [y, x] or [z, y, x], one volume a file."
        raise unreadable(path, text)
    wanted = check_size(path, shape, dtype.itemsize, max_voxels)
    check_stored(path, wanted, length - stream.tell())
    voxels = np.empty(wanted, dtype=np.uint8)
    done = 0
    while done < wanted and (block := stream.read(min(2**24, wanted - done))):
        voxels[done : done + len(block)] = np.frombuffer(block, dtype=np.uint8)
        done += len(block)
    check_stored(path, wanted, done)
    stream.read(1)  # the checksum of a member is compared when its end is reached
    array = voxels.view(dtype).reshape(shape, order="F" if fortran_order else "C")
    return array if flat or array.ndim == 3 else array[np.newaxis]


def _grid(path: Path, shape: tuple[int, ...], geometry: dict[str, Any]) -> Grid:
    z, y, x = shape
    numbers = {name: [float(entry) for entry in np.ravel(geometry[name])] for name in geometry}
    grid = Grid.from_json({**Grid((z, y, x)).to_json(), **numbers}) if _fits(numbers) else None
    if grid is None or abs(np.linalg.det(np.reshape(grid.direction, (3, 3)))) < 1e-6:
        raise unreadable(path, "holds a spacing_mm, origin_mm or direction that no scan can have.")
    return grid


def _fits(numbers: dict[str, list[float]]) -> bool:
    lengths = {"spacing_mm": 3, "origin_mm": 3, "direction": 9}
    sound = all(len(entries) == lengths[name] and np.isfinite(entries).all() for name, entries in numbers.items())
    return sound and min(numbers.get("spacing_mm", [1.0])) > 0


READER = FileReader("array", (".npy", ".npz"), read_array_file)

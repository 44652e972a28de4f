"""One HDF5 slice file of Kaggle's BraTS2020, checked before anything is read from it."""

import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from anomae.errors import UnreadableScan

CHANNELS = 4
_LARGEST_SIDE = 2048  # pixels; the real ones are 240
_GZIP, _SHUFFLE, _CHECKSUM = 1, 2, 3  # HDF5's own filters; others would load code from plug-ins
_FILTERS = (_GZIP, _SHUFFLE, _CHECKSUM)


def read_slice_file(path: Path, channels: Sequence[int]) -> tuple[npt.NDArray[Any], npt.NDArray[np.bool_]]:
    """The image (c, h, w) of these channels of the file, and its lesion mask (h, w).

    The file holds `image` (h, w, 4) and `mask` (h, w), (h, w, 3) or (h, w, 4).  A mask of four channels of which
    exactly one is set in every pixel has the background as its first.  Raises UnreadableScan where the file is broken,
    points outside itself, or would unpack to more than its header says.
    """
    import h5py

    try:
        with h5py.File(path, "r") as file:
            image = _checked(file, "image", path)
            mask = _checked(file, "mask", path)
            if image.shape[2:] != (CHANNELS,):
                raise UnreadableScan(f"{path}: image has shape {image.shape}, not (height, width, {CHANNELS}).")
            if mask.shape[:2] != image.shape[:2] or mask.shape[2:] not in ((), (3,), (4,)):
                raise UnreadableScan(f"{path}: mask has shape {mask.shape} where image has {image.shape}.")
            pixels = np.stack([image[:, :, channel] for channel in channels])
            return pixels, _lesion(_marked(mask[()], path))
    except (OSError, RuntimeError, ValueError, KeyError, zlib.error) as error:
        raise UnreadableScan(f"{path} is not readable as an HDF5 slice file ({error}); copy it again.") from error


def _marked(planes: npt.NDArray[Any], path: Path) -> npt.NDArray[np.bool_]:
    """Where a mask is set; -1 is 255 in a signed type.  Raises UnreadableScan for values that are those of no mask."""
    if planes.dtype.kind == "f" and not np.array_equal(planes, np.rint(planes)):
        raise UnreadableScan(f"{path}: its mask has values between its labels; resample it by nearest neighbour.")
    if planes.min() < 0 and not set(np.unique(planes).tolist()) <= {-1, 0}:
        raise UnreadableScan(f"{path}: its mask holds negative values; 0 is where nothing is wrong.")
    return np.asarray(planes != 0)


def _lesion(planes: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    if planes.ndim == 2:
        return planes
    if planes.shape[2] == 4 and np.all(planes.sum(axis=2) == 1):
        planes = planes[:, :, 1:]
    return np.asarray(planes.any(axis=2))


def _checked(file: Any, name: str, path: Path) -> Any:
    """The data set `name` of an open file, once its header is known to be harmless."""
    import h5py

    if name not in file:
        names = sorted(ascii(entry)[:40] for entry in file)  # names of damaged files are not even text
        raise UnreadableScan(f"{path} holds no {name!r}; it has {', '.join(names[:8]) or 'nothing'}.")
    if not isinstance(file.get(name, getlink=True), h5py.HardLink):
        raise UnreadableScan(f"{path}: {name!r} is a link; only what the file itself holds is read.")
    found = file[name]
    if not isinstance(found, h5py.Dataset) or found.is_virtual or found.external:
        raise UnreadableScan(f"{path}: {name!r} is not in the file itself.")
    if found.dtype.kind not in "biuf" or found.ndim not in (2, 3) or not 0 < max(found.shape) <= _LARGEST_SIDE:
        raise UnreadableScan(f"{path}: {name!r} is {found.dtype} of shape {found.shape}, not an image.")
    _check_filters(found, name, path)
    return found


def _check_filters(found: Any, name: str, path: Path) -> None:
    """Refuse filters that are not HDF5's own, and chunks that unpack to more than a chunk (HDF5 would follow them)."""
    if found.chunks is None:
        return
    properties = found.id.get_create_plist()
    filters = [properties.get_filter(index)[0] for index in range(properties.get_nfilters())]
    if any(number not in _FILTERS for number in filters):
        raise UnreadableScan(f"{path}: {name!r} is packed with a filter other than gzip and shuffle.")
    chunk_bytes = int(np.prod(found.chunks, dtype=np.int64)) * found.dtype.itemsize
    if max(found.chunks) > _LARGEST_SIDE or found.id.get_num_chunks() > 4096:
        raise UnreadableScan(f"{path}: {name!r} is cut into chunks of {found.chunks}, which no slice needs.")
    if _GZIP not in filters:
        return
    for index in range(found.id.get_num_chunks()):
        skipped, packed = found.id.read_direct_chunk(found.id.get_chunk_info(index).chunk_offset)
        if skipped == 0 and len(zlib.decompressobj().decompress(packed, chunk_bytes + 5)) > chunk_bytes + 4:
            raise UnreadableScan(f"{path}: {name!r} unpacks to more than its header says.")

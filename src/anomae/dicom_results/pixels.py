"""Results of many frames, their pixels written frame by frame: no copy of a whole volume is made."""

import struct
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from anomae.errors import UserError
from anomae.files import written_whole

_TAGS = {"PixelData": (0x7FE0, 0x0010, b"OB"), "FloatPixelData": (0x7FE0, 0x0008, b"OF")}
_LARGEST = 2**32 - 2


def write_with_pixels(
    path: Path,
    result: Any,
    keyword: str,
    frames: Iterable[npt.NDArray[Any]],
    shape: tuple[int, int, int],
    dtype: npt.DTypeLike,
) -> None:
    """Write `result` with these frames for its pixels, whole or not at all; explicit little endian.

    result: made with frames of one pixel.  keyword: "PixelData" or "FloatPixelData".  shape: (n, h, w) of all frames.
    Raises UserError where they are more than a DICOM element holds (4 GiB).
    """
    kind = np.dtype(dtype).newbyteorder("<")
    length = int(np.prod(shape, dtype=np.int64)) * kind.itemsize
    if length > _LARGEST:
        raise UserError(
            f"{path.name}: a map of {shape[0]} x {shape[1]} x {shape[2]} voxels is larger than the 4 GiB that a DICOM "
            "file holds; leave this kind out of --dicom, or score a part of the scan."
        )
    del result[keyword]
    result.Rows, result.Columns = shape[1:]
    group, element, representation = _TAGS[keyword]
    with written_whole(path) as temporary:
        result.save_as(temporary, enforce_file_format=True)
        with temporary.open("ab") as file:
            file.write(struct.pack("<HH2sHI", group, element, representation, 0, length + length % 2))
            count = 0
            for frame in frames:
                file.write(np.ascontiguousarray(frame, dtype=kind).tobytes())
                count += 1
            file.write(b"\0" * (length % 2))
        if count != shape[0]:
            raise ValueError(f"{count} frames instead of {shape[0]}")

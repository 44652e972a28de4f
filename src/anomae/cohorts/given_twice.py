"""One scan given as .nii and as .nii.gz: read once where both are the same, neither where they differ."""

import gzip
import zlib
from io import BufferedIOBase
from pathlib import Path

import numpy as np

from anomae.cohorts.file_roles import stem_of
from anomae.errors import UnreadableScan

_BLOCK = 1 << 20
_APART_MM = 1e-3  # rounding of a header


def copy_of(path: Path) -> Path | None:
    """The .nii beside a .nii.gz of the same name, in any case; None where there is none."""
    if not path.name.lower().endswith(".nii.gz") or not path.parent.is_dir():
        return None
    wanted = f"{stem_of(path)}.nii".lower()
    return next((entry for entry in sorted(path.parent.iterdir()) if entry.name.lower() == wanted), None)


def require_equal_copy(path: Path) -> None:
    """Raise UnreadableScan, naming both, where the .nii beside a .nii.gz holds other voxels, or lies elsewhere."""
    copy = copy_of(path)
    if copy is None or not path.is_file():
        return
    why = difference(path, copy)
    if why:
        raise UnreadableScan(
            f"{path} and {copy.name} beside it have one name but {why}; neither was taken. Remove or rename one."
        )


def difference(path: Path, copy: Path) -> str:
    """What sets two files of one scan apart, as "hold unlike voxels"; "" where voxels and place are the same.

    Bytes are compared first, in small memory; two scans that are stored otherwise are read, both at once.  Raises
    UnreadableScan where the first cannot be read.
    """
    return "" if _same_bytes(path, copy) else _unlike(path, copy)


def _same_bytes(path: Path, copy: Path) -> bool:
    try:
        with _unpacked(path) as left, _unpacked(copy) as right:
            while block := left.read(_BLOCK):
                if right.read(len(block)) != block:
                    return False
            return not right.read(1)
    except (OSError, EOFError, zlib.error):  # what is broken in it is for the reader to say
        return False


def _unpacked(path: Path) -> BufferedIOBase:
    return gzip.open(path) if path.name.lower().endswith(".gz") else path.open("rb")


def _unlike(path: Path, copy: Path) -> str:
    from anomae.volumes.read import read_volume

    one = read_volume(path)
    try:
        other = read_volume(copy)
    except UnreadableScan as error:
        return f"the second cannot be read to compare them ({error})"
    if one.grid.shape != other.grid.shape:
        return "are of unlike size"
    if not all(np.array_equal(*slabs, equal_nan=True) for slabs in zip(one.voxels, other.voxels, strict=True)):
        return "hold unlike voxels"
    if not np.allclose(one.grid.affine_lps(), other.grid.affine_lps(), rtol=0, atol=_APART_MM):
        return "lie at unlike positions"
    return ""

"""What every reader does to voxels at the end: rescaling, the number types that volumes have, and broken numbers."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from anomae.volumes.headers import unreadable
from anomae.volumes.outliers import outlier_bounds

BROKEN = "voxels were NaN or infinite"  # in the note on these


def rescale(voxels: npt.NDArray[Any], slope: float, intercept: float) -> npt.NDArray[Any]:
    """`voxels` * slope + intercept.

    Integers stay integers where slope and intercept are whole: of the same type where the result fits it, else of the
    smallest signed type that holds it.  Everything else becomes float32.
    """
    if (slope, intercept) == (1.0, 0.0):
        return voxels
    whole = float(slope).is_integer() and float(intercept).is_integer() and max(abs(slope), abs(intercept)) < 2**31
    if voxels.dtype.kind in "iu" and whole:
        ends = [int(end) * int(slope) + int(intercept) for end in (voxels.min(), voxels.max())]
        for dtype in (voxels.dtype, np.dtype(np.int16), np.dtype(np.int32), np.dtype(np.int64)):
            if np.iinfo(dtype).min <= min(ends) and max(ends) <= np.iinfo(dtype).max:
                # The product alone may wrap around; as the result fits, modular arithmetic makes the sum right again.
                scaled: npt.NDArray[Any] = voxels.astype(dtype)
                np.multiply(scaled, np.array(int(slope)).astype(dtype), out=scaled)
                np.add(scaled, np.array(int(intercept)).astype(dtype), out=scaled)
                return scaled
    with np.errstate(over="ignore", invalid="ignore"):
        narrow = voxels.dtype.itemsize < 4 or voxels.dtype == np.float32
        numbers: npt.NDArray[Any] = voxels.astype(np.float32 if narrow else np.float64)
        np.multiply(numbers, slope, out=numbers)
        np.add(numbers, intercept, out=numbers)
        return numbers.astype(np.float32, copy=False)


def settle(path: Path, voxels: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], tuple[str, ...]]:
    """Voxels in the machine's byte order, truth values as uint8, all floats as float32, and notes on what was mended.

    NaN and infinity become the lowest number that is left and no outlier (anomae.volumes.outliers): many voxels would
    else be as low as one that is a fault, and hide it.  Raises UnreadableScan where no voxel is a number, or the
    type is not a number's.
    """
    if voxels.dtype.kind not in "biuf":
        kind = "complex numbers" if voxels.dtype.kind == "c" else "something other than numbers"
        raise unreadable(path, f"holds {kind} as voxels, which are not supported; save real numbers.")
    if voxels.dtype.kind == "b":
        voxels = voxels.astype(np.uint8)
    if voxels.dtype.kind != "f":
        return np.ascontiguousarray(voxels, dtype=voxels.dtype.newbyteorder("=")), ()
    with np.errstate(over="ignore", invalid="ignore"):
        voxels = np.ascontiguousarray(voxels, dtype=np.float32)
    # One pass of sums finds most broken numbers without an array of truth values beside the voxels.
    with np.errstate(over="ignore", invalid="ignore"):
        if np.isfinite(np.sum(voxels, dtype=np.float64)):
            return voxels, ()
    broken = ~np.isfinite(voxels)
    count = int(np.count_nonzero(broken))
    if count == voxels.size:
        raise unreadable(path, "holds no voxel that is a finite number.")
    bounds = outlier_bounds(voxels)
    lowest = voxels.min(where=~broken, initial=np.inf) if bounds is None else np.float32(bounds[0])
    voxels = np.where(broken, lowest, voxels)
    but = "" if bounds is None else " that is no outlier"
    return voxels, (f"{count} {BROKEN} and were set to the lowest other value{but}.",)

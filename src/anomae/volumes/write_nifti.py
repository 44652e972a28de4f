"""A volume written as NIfTI, with both of its placements as they are.

Written here and not through ITK, which makes every direction orthogonal (of a gantry tilted by 15 degrees the map lay
14 mm off), writes one affine into both forms and loses the codes (seen with SimpleITK 2.5).  nibabel, with which the
tests compare what is written, is no dependency: its part here would be the 348 bytes below.

What ITK does with a sheared sform (SimpleITK 2.5.7): it refuses the file where qform_code is 0, from 0.01 degrees on;
where a qform stands beside it, it takes that without a word.  So a sheared volume gets no qform: better refused than
believed where it does not lie.  NRRD and MetaImage keep a sheared direction under ITK, see `write_map`.
"""

import gzip
from pathlib import Path
from typing import IO, Any, cast

import numpy as np
import numpy.typing as npt

from anomae.files import written_whole
from anomae.volumes.nifti_header import TYPES, NiftiPlacement, header_layout
from anomae.volumes.volume import Grid
from anomae.volumes.written_volume import check_written

_MM = 2
_SCANNER = 1  # a form's code: "scanner anatomical"
_LARGEST_SIDE = 2**15 - 1  # of NIfTI-1; larger volumes are written as NIfTI-2
_LEVEL = 6
_APART = 1e-3  # share of the smallest spacing that a quaternion may stand off at a far corner


def write_nifti(path: Path, voxels: npt.NDArray[Any], grid: Grid, placement: NiftiPlacement | None = None) -> None:
    """Write `voxels` [z, y, x] as .nii, or as .nii.gz where `path` ends so; NIfTI-1, NIfTI-2 beyond 32,767 voxels.

    placement: of the scan whose grid it is; its forms, codes, steps and units are written as they are.  None: both
    forms say where `grid` lies, but a sheared grid has an sform only.
    Raises ValueError where the number type is none of NIfTI's, the placement is of another shape, or the directions of
    the grid are no directions.
    """
    codes = {np.dtype(kind): code for code, kind in TYPES.items()}
    if voxels.dtype.newbyteorder("=") not in codes:
        raise ValueError(f"NIfTI holds no voxels of {voxels.dtype}")
    if abs(np.linalg.det(np.reshape(grid.direction, (3, 3)))) < 1e-6:
        raise ValueError("the direction of the grid has a determinant of 0")
    placement = placement or _placed_on(grid)
    sides = tuple(side for side in placement.dim[1:])
    if sides[:3] != voxels.shape[::-1] or any(side != 1 for side in sides[3:]):
        raise ValueError(f"a placement of {sides} (x, y, z) does not fit voxels of shape {voxels.shape} (z, y, x)")
    first = max(sides) <= _LARGEST_SIDE
    header = np.zeros(1, header_layout(348 if first else 540, "<"))
    header["sizeof_hdr"], header["vox_offset"] = header.nbytes, header.nbytes + 4
    header["magic"] = b"n+1" if first else b"n+2\0\r\n\x1a\n"
    stored = voxels.dtype.newbyteorder("=")
    header["datatype"], header["bitpix"] = codes[stored], 8 * stored.itemsize
    header["scl_slope"] = 1.0
    for name in ("dim_info", "dim", "pixdim", "xyzt_units", "qform_code", "sform_code", "quatern", "qoffset"):
        header[name] = getattr(placement, name)
    header["srow"] = np.reshape(placement.srow, (3, 4))
    with written_whole(path) as whole:
        with whole.open("wb") as plain:
            if path.name.lower().endswith(".gz"):
                # No name and no time in it: the same volume makes the same file.
                with gzip.GzipFile("", "wb", _LEVEL, plain, mtime=0) as packed:
                    _write(cast(IO[bytes], packed), header, voxels)
            else:
                _write(plain, header, voxels)
        if first:
            check_written(whole, voxels, path)


def is_sheared(grid: Grid) -> bool:
    """Whether the axes of a grid are not at right angles, so that no qform, and no NIfTI for ITK, can describe it."""
    return _placed_on(grid).qform_code == 0


def _write(stream: IO[bytes], header: npt.NDArray[Any], voxels: npt.NDArray[Any]) -> None:
    """Header, four bytes that announce no extension, and the voxels, x fastest; a slice at a time is in memory."""
    stream.write(header.tobytes() + bytes(4))
    for image in voxels:
        stream.write(image.astype(voxels.dtype.newbyteorder("<"), copy=False).tobytes())


def _placed_on(grid: Grid) -> NiftiPlacement:
    """A placement that says what `grid` says, in mm."""
    affine, spacing = grid.affine_ras(), np.array(grid.spacing_mm[::-1])
    turn = affine[:3, :3] / spacing
    left, _, right = np.linalg.svd(turn)
    nearest = left @ right
    qfac = 1.0 if np.linalg.det(nearest) > 0 else -1.0
    far = np.abs((turn - nearest) * spacing) @ (np.array(grid.shape[::-1]) - 1)
    straight = bool(far.max() <= _APART * spacing.min())
    return NiftiPlacement(
        dim_info=0,
        dim=(3, *grid.shape[::-1], 1, 1, 1, 1),
        pixdim=(qfac, *(float(step) for step in spacing), 1.0, 1.0, 1.0, 1.0),
        xyzt_units=_MM,
        qform_code=_SCANNER if straight else 0,
        sform_code=_SCANNER,
        quatern=_quaternion(nearest * [1, 1, qfac]) if straight else (0.0, 0.0, 0.0),
        qoffset=tuple(float(mm) for mm in affine[:3, 3]) if straight else (0.0, 0.0, 0.0),
        srow=tuple(float(entry) for entry in affine[:3].ravel()),
    )


def _quaternion(turn: npt.NDArray[np.float64]) -> tuple[float, ...]:
    """b, c and d of the unit quaternion (a, b, c, d), a >= 0, of a rotation (3, 3).

    It is the eigenvector of largest eigenvalue of a symmetric matrix (Bar-Itzhack 2000), so no case needs another way.
    """
    (xx, xy, xz), (yx, yy, yz), (zx, zy, zz) = turn
    symmetric = np.array(
        [
            [xx + yy + zz, zy - yz, xz - zx, yx - xy],
            [zy - yz, xx - yy - zz, xy + yx, xz + zx],
            [xz - zx, xy + yx, yy - xx - zz, yz + zy],
            [yx - xy, xz + zx, yz + zy, zz - xx - yy],
        ]
    )
    unit = np.linalg.eigh(symmetric)[1][:, -1]
    return tuple(float(part) for part in (unit if unit[0] >= 0 else -unit)[1:])

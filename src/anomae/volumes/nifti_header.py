"""The fields of a NIfTI header, and what one says of where its voxels lie.

Source: the header definitions nifti1.h and nifti2.h (NIfTI Data Format Working Group).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

# Size of the header in bytes -> field -> (numpy type without byte order, byte at which it starts).
HEADERS = {
    348: {
        "sizeof_hdr": ("i4", 0),
        "dim_info": ("u1", 39),
        "dim": ("8i2", 40),
        "datatype": ("i2", 70),
        "bitpix": ("i2", 72),
        "pixdim": ("8f4", 76),
        "vox_offset": ("f4", 108),
        "scl_slope": ("f4", 112),
        "scl_inter": ("f4", 116),
        "xyzt_units": ("u1", 123),
        "qform_code": ("i2", 252),
        "sform_code": ("i2", 254),
        "quatern": ("3f4", 256),
        "qoffset": ("3f4", 268),
        "srow": ("(3,4)f4", 280),
        "magic": ("S4", 344),
    },
    540: {
        "sizeof_hdr": ("i4", 0),
        "dim_info": ("u1", 524),
        "dim": ("8i8", 16),
        "datatype": ("i2", 12),
        "bitpix": ("i2", 14),
        "pixdim": ("8f8", 104),
        "vox_offset": ("i8", 168),
        "scl_slope": ("f8", 176),
        "scl_inter": ("f8", 184),
        "xyzt_units": ("i4", 500),
        "qform_code": ("i4", 344),
        "sform_code": ("i4", 348),
        "quatern": ("3f8", 352),
        "qoffset": ("3f8", 376),
        "srow": ("(3,4)f8", 400),
        "magic": ("S8", 4),
    },
}
TYPES = {
    2: "u1",
    4: "i2",
    8: "i4",
    16: "f4",
    64: "f8",
    256: "i1",
    512: "u2",
    768: "u4",
    1024: "i8",
    1280: "u8",
}


def header_layout(size: int, order: str) -> np.dtype[Any]:
    """The record of a header of `size` bytes, 348 or 540, in byte order "<" or ">"."""
    fields = HEADERS[size]
    kinds = [np.dtype(kind).newbyteorder("<" if order == "<" else ">") for kind, _ in fields.values()]
    offsets = [offset for _, offset in fields.values()]
    return np.dtype({"names": list(fields), "formats": kinds, "offsets": offsets, "itemsize": size})


@dataclass(frozen=True, slots=True)
class NiftiPlacement:
    """All that the header of one NIfTI file says of where its voxels lie, number by number as it stands there.

    It holds no text, so that no name of a patient travels with it.  dim: (8,), as nifti1.h has it; pixdim: (8,), the
    first is qfac.  quatern: b, c, d.  srow: (12,) row by row.  Lengths are in the file's own unit (xyzt_units).
    """

    dim_info: int
    dim: tuple[int, ...]
    pixdim: tuple[float, ...]
    xyzt_units: int
    qform_code: int
    sform_code: int
    quatern: tuple[float, ...]
    qoffset: tuple[float, ...]
    srow: tuple[float, ...]

    @classmethod
    def of(cls, header: Any) -> "NiftiPlacement":
        """Taken from a header, a record as `header_layout` describes."""
        count = int(header["dim"][0])
        return cls(
            dim_info=int(header["dim_info"]),
            dim=(count, *(int(side) if axis < count else 1 for axis, side in enumerate(header["dim"][1:]))),
            pixdim=tuple(float(step) for step in header["pixdim"]),
            xyzt_units=int(header["xyzt_units"]),
            qform_code=int(header["qform_code"]),
            sform_code=int(header["sform_code"]),
            quatern=tuple(float(part) for part in header["quatern"]),
            qoffset=tuple(float(part) for part in header["qoffset"]),
            srow=tuple(float(part) for part in header["srow"].ravel()),
        )

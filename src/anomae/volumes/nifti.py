"""NIfTI-1 and NIfTI-2 in one file (.nii, .nii.gz).

Read here rather than through ITK, which takes the spacing of a file without a qform from the wrong field, refuses any
sheared affine, cannot read NIfTI-2 and does not check the sums of a compressed file (seen with SimpleITK 2.5).  Nor
through nibabel, with which the tests compare every value and affine: it allocates what a header claims before anyone
has checked the claim (600 MB for 100 bytes), stops before the checksum of a compressed file, makes float64 of every
rescaled integer and gives an affine of NaN as it is (seen with nibabel 5).  All that would have to be read and checked
here anyway, and a reader that is its own reference is not tested.
Source: the header definitions nifti1.h and nifti2.h (NIfTI Data Format Working Group).
"""

import gzip
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import product
from pathlib import Path
from typing import IO, Any, Literal, cast

import numpy as np
import numpy.typing as npt

from anomae.volumes.headers import MAX_VOXELS, SLACK_BYTES, check_ratio, check_size, check_stored, parsing, unreadable
from anomae.volumes.identity import SourceFile
from anomae.volumes.intensities import rescale, settle
from anomae.volumes.nifti_header import HEADERS, TYPES, NiftiPlacement, header_layout
from anomae.volumes.reader import FileReader
from anomae.volumes.volume import SIDES_GUESSED, Grid, Volume

_MM = {0: 1.0, 1: 1000.0, 2: 1.0, 3: 0.001}  # a unit of xyzt_units (unknown, metre, mm, micron) in mm
_CHUNK = 2**24
_APART = 0.5  # forms that lie further apart than this share of the smallest spacing are named


def read_nifti(path: Path, max_voxels: int = MAX_VOXELS) -> Volume:
    """Read one NIfTI volume.  Raises UnreadableScan where it is broken, hostile or holds several volumes."""
    with parsing(path, "NIfTI"), opened(path) as stream:
        header, order = read_header(path, stream)
    return volume_of(path, header, order, path, max_voxels)


def volume_of(
    path: Path, header: Any, order: str, holder: Path, max_voxels: int, files: tuple[SourceFile, ...] = ()
) -> Volume:
    """The volume of a header in byte order `order`, as `read_header` gives both, whose voxels lie in `holder`.

    path: which scan it is, in messages and in the volume.  Raises UnreadableScan as `read_nifti` does.
    """
    with parsing(path, "NIfTI"), opened(holder) as stream:
        shape = _shape(path, header)
        code = int(header["datatype"])
        if code not in TYPES:
            text = f"holds voxels of NIfTI type {code} (colour, complex or unknown), which are not supported."
            raise unreadable(path, text)
        dtype = np.dtype(order + TYPES[code])
        wanted = check_size(path, shape, dtype.itemsize, max_voxels)
        present, offset = holder.stat().st_size, _voxel_offset(path, header, 0 if files else header.nbytes + 4)
        compressed = isinstance(stream, gzip.GzipFile)
        check_ratio(path, wanted + offset, present) if compressed else check_stored(path, wanted, present - offset)
        stream.seek(offset)
        stored = _read_voxels(path, stream, wanted, compressed).view(dtype).reshape(shape)
    grid, notes = _grid(path, header, shape)
    slope, intercept = float(header["scl_slope"]), float(header["scl_inter"])
    if np.isfinite(slope) and slope != 0:
        if not np.isfinite(intercept):
            raise unreadable(path, "has a rescaling that is not a number (scl_inter); its header is broken.")
        stored = rescale(stored, slope, intercept)
    voxels, mended = settle(path, stored)
    sound = all(form is not None for form in _forms(header))
    placement = NiftiPlacement.of(header) if sound else None
    return Volume(voxels, grid, path, "nifti", notes=(*notes, *mended), placement=placement, files=files)


@contextmanager
def opened(path: Path) -> Iterator[IO[bytes]]:
    """The bytes of a file, unpacked where it begins as gzip does, whatever it is called."""
    with path.open("rb") as plain:
        compressed = plain.read(2) == b"\x1f\x8b"
        plain.seek(0)
        with cast(IO[bytes], gzip.open(plain)) if compressed else plain as stream:
            yield stream


def read_header(path: Path, stream: IO[bytes], *, pair: bool = False) -> tuple[Any, str]:
    """The header as a numpy record, and the byte order of the file.  pair: its voxels lie in a file of their own."""
    start = stream.read(540)
    orders: tuple[Literal["<", ">"], ...] = ("<", ">")
    for order in orders:
        size = int(np.frombuffer(start[:4], order + "i4")[0]) if len(start) >= 4 else 0
        if size in HEADERS and len(start) >= size:
            header = np.frombuffer(start[:size], header_layout(size, order))[0]
            if header["magic"][:3] in (b"ni1", b"ni2") and not pair:
                raise unreadable(path, "keeps its voxels in a separate .img file; save it as one .nii or .nii.gz.")
            if header["magic"][:3] in (b"n+1", b"n+2") or pair:
                return header, order
    text = "does not start with a NIfTI header; it is of another kind, cut short or broken: copy it again."
    raise unreadable(path, text)


def _shape(path: Path, header: Any) -> tuple[int, int, int]:
    """(z, y, x)."""
    dimensions = int(header["dim"][0])
    sides = [int(side) for side in header["dim"][1 : dimensions + 1]]
    if not 1 <= dimensions <= 7:
        raise unreadable(path, f"claims {dimensions} dimensions; its header is broken.")
    if len(sides) < 2:
        raise unreadable(path, "has one dimension only, which is no picture.")
    if any(side != 1 for side in sides[3:]):
        text = f"holds more than one volume ({'x'.join(map(str, sides))}); split it and give one volume at a time."
        raise unreadable(path, text)
    x, y, z = (*sides[:3], 1)[:3]
    return (z, y, x)


def _voxel_offset(path: Path, header: Any, smallest: int) -> int:
    offset = float(header["vox_offset"])
    if not (offset == 0 or smallest <= offset <= 2**31):
        raise unreadable(path, f"claims that its voxels start at byte {offset:.0f}; its header is broken.")
    return int(offset) or smallest


def _read_voxels(path: Path, stream: IO[bytes], wanted: int, compressed: bool) -> npt.NDArray[np.uint8]:
    """`wanted` bytes; a compressed stream is read to its end, where its checksum stands."""
    stored = np.empty(wanted, dtype=np.uint8)
    done = 0
    while done < wanted:
        block = stream.read(min(_CHUNK, wanted - done))
        if not block:
            check_stored(path, wanted, done)
        stored[done : done + len(block)] = np.frombuffer(block, dtype=np.uint8)
        done += len(block)
    if compressed and len(stream.read(SLACK_BYTES + 1)) > SLACK_BYTES:
        raise unreadable(path, "decompresses to more than its header promises; it is broken or a compression bomb.")
    return stored


def _grid(path: Path, header: Any, shape: tuple[int, int, int]) -> tuple[Grid, tuple[str, ...]]:
    """World geometry: sform, else qform, else what pixdim says (methods 3, 2 and 1 of nifti1.h)."""
    notes: tuple[str, ...] = ()
    forms = [form for form in _forms(header) if form is not None]
    affine = forms[0] if forms else None
    if affine is None:
        # Without any transform left and right are a guess; this is nibabel's and SPM's, which also centre the volume.
        spacing = [abs(float(step)) for step in header["pixdim"][1:4]]
        scale = np.array([step if np.isfinite(step) and step > 0 else 1.0 for step in spacing]) * [-1, 1, 1]
        affine = np.eye(4)
        affine[:3, :3] = np.diag(scale)
        affine[:3, 3] = -scale * (np.array(shape[::-1]) - 1) / 2
        notes = (f"The header says nothing of the place in the body; {SIDES_GUESSED}",)
    unit_mm = _MM.get(int(header["xyzt_units"]) & 7, 1.0)
    if (
        len(forms) == 2
        and (apart := _apart(forms[0], forms[1], shape)) > _APART * np.linalg.norm(affine[:3, :3], axis=0).min()
    ):
        notes = (f"Its two forms lie up to {apart * unit_mm:.3g} mm apart; the sform was taken, and its map has both.",)
    affine = np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine
    affine[:3] *= unit_mm
    step = np.linalg.norm(affine[:3, :3], axis=0)
    direction = affine[:3, :3] / step
    x, y, z = (float(position) for position in affine[:3, 3])
    spacing_mm = (float(step[2]), float(step[1]), float(step[0]))
    return Grid(shape, spacing_mm, (x, y, z), tuple(float(entry) for entry in direction.ravel())), notes


def _apart(one: npt.NDArray[np.float64], other: npt.NDArray[np.float64], shape: tuple[int, int, int]) -> float:
    """How far two affines lie apart, at the corner where they do most; in the unit of the file."""
    corners = np.array([(*corner, 1) for corner in product(*((0, side - 1) for side in shape[::-1]))])  # (8, 4)
    return float(np.linalg.norm(corners @ (one - other).T, axis=1).max())


def _forms(header: Any) -> list[npt.NDArray[np.float64] | None]:
    """The affines that the header says it has, sform first; None for one that is not sound."""
    given = ((_sform, "sform_code"), (_qform, "qform_code"))
    return [form(header) for form, code in given if header[code] > 0]


def _sform(header: Any) -> npt.NDArray[np.float64] | None:
    affine = np.vstack([header["srow"].astype(np.float64), [0, 0, 0, 1]])
    return affine if _is_sound(affine) else None


def _qform(header: Any) -> npt.NDArray[np.float64] | None:
    """The affine of the unit quaternion (a, b, c, d), of which the file stores b, c and d."""
    b, c, d = (float(part) for part in header["quatern"])
    rest = 1.0 - (b * b + c * c + d * d)
    if not np.isfinite(rest) or rest < -1e-5:
        return None
    a = float(np.sqrt(rest)) if rest > 3e-7 else 0.0  # a rotation by 180 degrees, rounded to float32
    if a == 0.0:
        b, c, d = np.array([b, c, d]) / np.sqrt(b * b + c * c + d * d)
    turn = np.array(
        [
            [a * a + b * b - c * c - d * d, 2 * b * c - 2 * a * d, 2 * b * d + 2 * a * c],
            [2 * b * c + 2 * a * d, a * a + c * c - b * b - d * d, 2 * c * d - 2 * a * b],
            [2 * b * d - 2 * a * c, 2 * c * d + 2 * a * b, a * a + d * d - c * c - b * b],
        ]
    )
    spacing = np.abs(header["pixdim"][1:4].astype(np.float64))
    if int(header["dim"][0]) < 3 and spacing[2] == 0:
        spacing[2] = 1.0
    if header["pixdim"][0] < 0:
        spacing[2] = -spacing[2]
    affine = np.eye(4)
    affine[:3, :3] = turn * spacing
    affine[:3, 3] = header["qoffset"]
    return affine if _is_sound(affine) else None


def _is_sound(affine: npt.NDArray[np.float64]) -> bool:
    """Whether the affine is finite and neither flat nor of absurd scale."""
    if not np.isfinite(affine).all() or np.abs(affine).max() > 1e9:
        return False
    step = np.linalg.norm(affine[:3, :3], axis=0)
    return bool(step.min() > 1e-9 and abs(np.linalg.det(affine[:3, :3] / step)) > 1e-6)


READER = FileReader("nifti", (".nii", ".nii.gz"), read_nifti)

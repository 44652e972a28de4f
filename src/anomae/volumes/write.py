"""Volumes, pictures and arrays written to disk, each whole or not at all, with the world geometry they came with."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from anomae.errors import NotWritten, UserError
from anomae.files import write_bytes, written_whole
from anomae.volumes.itk import name_for_itk
from anomae.volumes.nifti_header import NiftiPlacement
from anomae.volumes.volume import Grid
from anomae.volumes.write_dicom import write_dicom_series
from anomae.volumes.write_nifti import write_nifti
from anomae.volumes.written_volume import check_written

__all__ = ["VOLUME_SUFFIXES", "write_arrays", "write_dicom_series", "write_picture", "write_volume"]

VOLUME_SUFFIXES = (".nii", ".nii.gz", ".mha", ".mhd", ".nrrd")
_PICTURE_FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".tif": "TIFF", ".tiff": "TIFF"}
# Number types that no format of ours knows, and the smallest known one that holds all their values.
_STORED_AS = {"bool": np.uint8, "float16": np.float32}


def write_volume(path: Path, voxels: npt.NDArray[Any], grid: Grid, placement: NiftiPlacement | None = None) -> None:
    """Write `voxels` [z, y, x] lying on `grid` as NIfTI, MetaImage or NRRD, told by the suffix of `path`.

    .nii, .nii.gz, .mha, .mhd (with a .raw of the same name beside it) or .nrrd.  The number type is kept, but bool is
    stored as uint8 and float16 as float32.  NIfTI holds its geometry in float32; the other formats in full.
    placement: for NIfTI, of the scan whose grid it is, see `write_nifti`; the other formats know one affine only.
    Raises UserError for another suffix or a path that is no UTF-8, NotWritten where the disk did not take it (it is
    read back before it gets its name), ValueError where voxels and grid differ in shape.
    """
    if not path.name.lower().endswith(VOLUME_SUFFIXES):
        raise UserError(f"{path.name}: a volume can be written as {', '.join(VOLUME_SUFFIXES)}; choose one of these.")
    if voxels.shape != grid.shape:
        raise ValueError(f"voxels of shape {voxels.shape} do not fit a grid of shape {grid.shape}")
    stored = np.asarray(voxels, dtype=_STORED_AS.get(voxels.dtype.name, voxels.dtype))
    if path.name.lower().endswith((".nii", ".nii.gz")):
        write_nifti(path, stored, grid, placement)
        return
    import SimpleITK as sitk

    scan = sitk.GetImageFromArray(stored)
    scan.SetSpacing(grid.spacing_mm[::-1])
    scan.SetOrigin(grid.origin_mm)
    scan.SetDirection(grid.direction)
    if path.name.lower().endswith(".mhd"):
        name_for_itk(path)
        with _folder_beside(path) as temporary:
            _write_with_itk(scan, str(temporary / path.name), path)
            check_written((temporary / path.name).with_suffix(".raw"), stored, path)
            # The header goes last, and an old one first: nobody ever finds a header beside voxels not its own.
            path.unlink(missing_ok=True)
            (temporary / path.name).with_suffix(".raw").replace(path.with_suffix(".raw"))
            (temporary / path.name).replace(path)
    else:
        with written_whole(path) as whole:
            _write_with_itk(scan, name_for_itk(whole), path)
            check_written(whole, stored, path)


def _write_with_itk(scan: Any, name: str, path: Path) -> None:
    import SimpleITK as sitk

    try:
        sitk.WriteImage(scan, name)
    except RuntimeError as error:  # some of its writers raise, others print and go on
        raise NotWritten(path, "ITK could not write it") from error


def write_picture(path: Path, image: npt.NDArray[Any], bits: int = 8) -> None:
    """Write `image`, (h, w) grey or (h, w, 3) colour, as PNG, JPEG or TIFF, told by the suffix of `path`.

    Values are whole steps 0..2**bits - 1 (fractions are rounded); of a bool image True is white.  bits: 8 or 16; JPEG
    and colour have 8 only.  Raises UserError for another suffix or a number of bits that it cannot hold, ValueError for
    values out of range or another shape.
    """
    from PIL import Image

    kind = _PICTURE_FORMATS.get(path.suffix.lower())
    if kind is None:
        raise UserError(f"{path.name}: a picture can be written as {', '.join(_PICTURE_FORMATS)}; choose one of these.")
    colour = image.ndim == 3 and image.shape[-1] == 3
    if bits not in (8, 16) or (bits == 16 and (kind == "JPEG" or colour)):
        raise UserError(f"{path.name}: {bits} bits cannot be written as {'colour ' if colour else ''}{kind}; use 8.")
    if image.ndim != 2 and not colour:
        raise ValueError(f"a picture is (h, w) or (h, w, 3), not {image.shape}")
    white = 2**bits - 1
    steps = np.rint(np.asarray(image) * white if image.dtype == np.bool_ else image)
    if not (np.isfinite(steps).all() and steps.min(initial=0) >= 0 and steps.max(initial=0) <= white):
        raise ValueError(f"values of a {bits} bit picture lie in 0..{white}")
    picture = Image.fromarray(steps.astype(np.uint8 if bits == 8 else np.uint16))
    content = BytesIO()
    picture.save(content, format=kind, **({"quality": 95} if kind == "JPEG" else {}))
    write_bytes(path, content.getvalue())


def write_arrays(path: Path, **arrays: npt.NDArray[Any]) -> None:
    """Write named arrays as a compressed .npz, or a single one (any name) as .npy, told by the suffix of `path`.

    Raises UserError for another suffix, ValueError for arrays of Python objects (they would need pickle) and for more
    or less than one array in a .npy.
    """
    if any(np.asarray(array).dtype.hasobject for array in arrays.values()):
        raise ValueError("arrays of Python objects are never written")
    if path.suffix == ".npz":
        with written_whole(path) as whole:
            # mypy takes the names of the arrays for those of numpy's own arguments.
            np.savez_compressed(whole, **arrays)  # type: ignore[arg-type]
    elif path.suffix == ".npy":
        (array,) = arrays.values()
        with written_whole(path) as whole:
            np.save(whole, array, allow_pickle=False)
    else:
        raise UserError(f"{path.name}: arrays can be written as .npz or .npy; choose one of these.")


@contextmanager
def _folder_beside(path: Path) -> Iterator[Path]:
    """A temporary folder on the disk of `path`, removed at the end with all that is still in it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=".part-", dir=path.parent))
    try:
        yield temporary
    finally:
        shutil.rmtree(temporary)

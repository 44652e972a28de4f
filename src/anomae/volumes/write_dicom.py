"""A volume written as a DICOM series: one file a slice, each placed in the world, in one folder."""

import hashlib
import shutil
import tempfile
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from anomae.errors import FULL_DISK, UserError
from anomae.volumes.dicom_attributes import required_attributes
from anomae.volumes.volume import Grid

if TYPE_CHECKING:
    from pydicom import Dataset

_SOP_CLASSES = {"CT": "1.2.840.10008.5.1.4.1.1.2", "MR": "1.2.840.10008.5.1.4.1.1.4"}
_SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
# Modalities whose numbers mean the same however they are displayed.
_PHYSICAL = ("CT", "PT")
EXPLICIT_LITTLE_ENDIAN = "1.2.840.10008.1.2.1"
EXPLICIT_BIG_ENDIAN = "1.2.840.10008.1.2.2"
RLE_LOSSLESS = "1.2.840.10008.1.2.5"
JPEG_2000_LOSSLESS = "1.2.840.10008.1.2.4.90"
_PLAIN = ("1.2.840.10008.1.2", EXPLICIT_LITTLE_ENDIAN, "1.2.840.10008.1.2.1.99", EXPLICIT_BIG_ENDIAN)


def write_dicom_series(
    folder: Path,
    voxels: npt.NDArray[Any],
    grid: Grid,
    *,
    modality: str = "CT",
    patient: str = "PHANTOM",
    rescale: tuple[float, float] = (1.0, 0.0),
    monochrome1: bool = False,
    transfer_syntax: str = EXPLICIT_LITTLE_ENDIAN,
    body_part: str = "",
    tilted: bool = False,
) -> None:
    """Write `voxels` [z, y, x] lying on `grid` into `folder` as slice_0001.dcm, slice_0002.dcm, ... in order of z.

    Stored are whole numbers of 16 bits, (voxels - intercept) / slope rounded, with sign only where one is negative.
    rescale: (slope, intercept).  monochrome1: marked as "low is white", and the stored bits turned over (65535 -
    stored, with sign -1 - stored) so that the picture looks the same; those of CT and PT stay, as they are physical.
    transfer_syntax: a UID; implicit, explicit, deflated, big endian, RLE or JPEG 2000 lossless.  body_part: such as
    "HEAD", "" for unknown.  tilted: the z axis of the grid may be slanted, as of a tilted gantry.  All UIDs are hashes
    of content, grid, patient and the options before these two.  What the standard requires of CT and MR is there, as
    far as anything is known of a made-up scan; the rest is empty.
    The folder appears whole or not at all.  Raises UserError where it exists and is not empty and for an unknown
    transfer syntax (or JPEG 2000 below 32 x 32 pixels); ValueError where stored values would not fit 16 bits, shapes
    differ, or the z axis of the grid is not perpendicular to the slices although they are not `tilted`.
    """
    import pydicom

    if voxels.shape != grid.shape:
        raise ValueError(f"voxels of shape {voxels.shape} do not fit a grid of shape {grid.shape}")
    if transfer_syntax not in (*_PLAIN, RLE_LOSSLESS, JPEG_2000_LOSSLESS):
        raise UserError(f"Transfer syntax {transfer_syntax} cannot be written; use {EXPLICIT_LITTLE_ENDIAN}.")
    if transfer_syntax == JPEG_2000_LOSSLESS and min(grid.shape[1:]) < 32:
        raise UserError("JPEG 2000 needs slices of at least 32 x 32 pixels; choose another transfer syntax.")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"{folder} exists and is not an empty folder; choose another for the DICOM series.")
    stored = _stored_numbers(voxels, rescale)
    across = np.reshape(grid.direction, (3, 3))
    if not tilted and not np.allclose(np.abs(np.cross(across[:, 0], across[:, 1]) @ across[:, 2]), 1, atol=1e-4):
        raise ValueError("the slices of a DICOM series must be perpendicular to its z axis")

    slope, intercept = rescale
    digest = hashlib.sha256(stored.tobytes())
    digest.update(repr((grid, modality, patient, rescale, monochrome1, transfer_syntax)).encode())
    series = digest.hexdigest()
    whole_series = pydicom.Dataset()
    whole_series.SOPClassUID = _SOP_CLASSES.get(modality, _SECONDARY_CAPTURE)
    whole_series.Modality = modality
    whole_series.PatientID = whole_series.PatientName = patient
    whole_series.StudyInstanceUID = made_uid(patient, "study")
    whole_series.SeriesInstanceUID = made_uid(series)
    whole_series.FrameOfReferenceUID = made_uid(series, "frame of reference")
    whole_series.SeriesNumber = 1
    whole_series.ImageOrientationPatient = [decimal_string(cosine) for cosine in (*across[:, 0], *across[:, 1])]
    whole_series.PixelSpacing = [decimal_string(side) for side in grid.spacing_mm[1:]]
    whole_series.SliceThickness = whole_series.SpacingBetweenSlices = decimal_string(grid.spacing_mm[0])
    whole_series.SamplesPerPixel = 1
    whole_series.PhotometricInterpretation = "MONOCHROME1" if monochrome1 else "MONOCHROME2"
    whole_series.Rows, whole_series.Columns = grid.shape[1:]
    whole_series.BitsAllocated = whole_series.BitsStored = 16
    whole_series.HighBit = 15
    whole_series.PixelRepresentation = int(stored.dtype == np.int16)
    if modality == "CT" or rescale != (1.0, 0.0):
        whole_series.RescaleSlope, whole_series.RescaleIntercept = decimal_string(slope), decimal_string(intercept)
    for name, content in required_attributes(modality, body_part).items():
        setattr(whole_series, name, content)

    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=".part-", dir=folder.parent))
    try:
        affine = grid.affine_lps()
        turned = monochrome1 and modality not in _PHYSICAL
        for index, pixels in enumerate(stored):
            one = pydicom.Dataset()
            one.update(whole_series)
            one.SOPInstanceUID = made_uid(series, index)
            one.InstanceNumber = index + 1
            one.ImagePositionPatient = [decimal_string(mm) for mm in affine[:3, 2] * index + affine[:3, 3]]
            _write_slice(temporary / f"slice_{index + 1:04d}.dcm", one, ~pixels if turned else pixels, transfer_syntax)
        temporary.chmod(0o755)
        temporary.replace(folder)
    except BaseException as error:
        shutil.rmtree(temporary)
        if isinstance(error, OSError) and error.errno in FULL_DISK:
            error.filename = str(folder)  # not the temporary one, nor none
        raise


def _stored_numbers(voxels: npt.NDArray[Any], rescale: tuple[float, float]) -> npt.NDArray[Any]:
    """(voxels - intercept) / slope as uint16, or int16 where one is negative."""
    slope, intercept = rescale
    stored = np.rint((np.asarray(voxels, dtype=np.float64) - intercept) / slope)
    kind = np.dtype(np.int16 if stored.min(initial=0) < 0 else np.uint16)
    if not np.isfinite(stored).all() or stored.min() < np.iinfo(kind).min or stored.max() > np.iinfo(kind).max:
        raise ValueError(f"values do not fit the 16 bits of a DICOM slice with slope {slope} and intercept {intercept}")
    return stored.astype(kind)


def _write_slice(path: Path, slice_set: "Dataset", pixels: npt.NDArray[Any], transfer_syntax: str) -> None:
    """Add pixels and file header to `slice_set` and write it."""
    import pydicom

    slice_set.file_meta = pydicom.dataset.FileMetaDataset()
    slice_set.file_meta.TransferSyntaxUID = pydicom.uid.UID(transfer_syntax)
    if transfer_syntax == JPEG_2000_LOSSLESS:
        # pydicom's own way to this encoder needs a further package that decoding does not.
        from openjpeg.utils import encode_array

        slice_set.PixelData = pydicom.encaps.encapsulate([encode_array(pixels, bits_stored=16)])
    elif transfer_syntax == RLE_LOSSLESS:
        slice_set.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
        slice_set.PixelData = pixels.tobytes()
        slice_set.compress(pydicom.uid.RLELossless, encoding_plugin="pydicom", generate_instance_uid=False)
    else:
        big = transfer_syntax == EXPLICIT_BIG_ENDIAN
        slice_set.PixelData = pixels.astype(pixels.dtype.newbyteorder(">" if big else "<")).tobytes()
    slice_set["PixelData"].VR = "OB" if slice_set["PixelData"].is_undefined_length else "OW"
    written = BytesIO()  # pydicom would take the reason away from what the disk refuses
    pydicom.dcmwrite(written, slice_set, enforce_file_format=True)
    path.write_bytes(written.getvalue())


def made_uid(*names: str | int) -> str:
    """A UID (root 2.25, a 128-bit number) that depends on `names` alone."""
    text = "\x1f".join(str(name) for name in names)
    return f"2.25.{int(hashlib.sha256(text.encode()).hexdigest()[:32], 16)}"


def decimal_string(number: float) -> str:
    """`number` as a DICOM decimal string: at most 16 characters, as exact as they allow."""
    for digits in range(17, 0, -1):
        text = f"{number:.{digits}g}"
        if len(text) <= 16:
            return text
    raise ValueError(f"{number} does not fit a DICOM decimal string")

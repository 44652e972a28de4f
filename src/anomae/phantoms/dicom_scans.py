"""Made-up scans as DICOM, in the geometries and forms that scanners write: sagittal, oblique, tilted, enhanced, ..."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from anomae.errors import UserError
from anomae.files import written_whole
from anomae.phantoms.shapes import Phantom
from anomae.suggestions import nearest_sentence
from anomae.volumes.dicom_attributes import patient_attributes
from anomae.volumes.volume import Grid
from anomae.volumes.write_dicom import (
    EXPLICIT_LITTLE_ENDIAN,
    JPEG_2000_LOSSLESS,
    decimal_string,
    made_uid,
    write_dicom_series,
)

VARIANTS = ("axial", "sagittal", "oblique", "tilted", "compressed", "enhanced")
_TILT_DEGREES, _TURNS_DEGREES = 15.0, (20.0, -12.0)
_CONVERTED = {"CT": "1.2.840.10008.5.1.4.1.1.2.2", "MR": "1.2.840.10008.5.1.4.1.1.4.4"}


@dataclass(frozen=True, slots=True)
class WrittenScan:
    """What was written: grid and lesions [z, y, x] bool, as the slices lie in the patient, from the first on."""

    grid: Grid
    lesions: npt.NDArray[np.bool_]


def write_dicom_scan(
    folder: Path, phantom: Phantom, *, modality: str, patient: str, body_part: str, variant: str = "axial"
) -> WrittenScan:
    """Write a made-up scan into the new `folder` as one DICOM series.

    modality: "CT" or "MR".  variant: one of VARIANTS.  "sagittal": the slices are sagittal.  "oblique": the patient lay
    turned.  "tilted": by the gantry of a CT.  "compressed": JPEG 2000 lossless.  "enhanced": one file of many frames,
    which are in no order (Legacy Converted Enhanced CT or MR).  Raises UserError for another variant or modality.
    """
    if variant not in VARIANTS:
        raise UserError(f"There is no DICOM variant {variant!r}. {nearest_sentence(variant, VARIANTS)}")
    if modality not in _CONVERTED:
        raise UserError(f"Made-up DICOM is CT or MR, not {modality!r}.")
    voxels, lesions, grid = phantom.voxels, phantom.lesions, phantom.grid
    if variant == "sagittal":
        voxels, lesions, grid = _sagittal(voxels), _sagittal(lesions), _sagittal_grid(grid)
    elif variant == "oblique":
        grid = Grid(grid.shape, grid.spacing_mm, grid.origin_mm, tuple(_turned().ravel().tolist()))
    elif variant == "tilted":
        slant = np.eye(3)
        slant[:, 2] = (0.0, np.sin(np.radians(_TILT_DEGREES)), np.cos(np.radians(_TILT_DEGREES)))
        grid = Grid(grid.shape, grid.spacing_mm, grid.origin_mm, tuple(slant.ravel().tolist()))
    if variant == "enhanced":
        _write_enhanced(folder / "scan.dcm", voxels, grid, modality, patient, body_part)
        return WrittenScan(grid, lesions)
    write_dicom_series(
        folder,
        voxels,
        grid,
        modality=modality,
        patient=patient,
        body_part=body_part,
        tilted=variant == "tilted",
        transfer_syntax=JPEG_2000_LOSSLESS if variant == "compressed" else EXPLICIT_LITTLE_ENDIAN,
    )
    return WrittenScan(grid, lesions)


def _sagittal(voxels: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Slices from the patient's left to the right, rows from the head down, columns from the front."""
    return np.ascontiguousarray(voxels.transpose(2, 0, 1)[::-1, ::-1])


def _sagittal_grid(grid: Grid) -> Grid:
    """The grid of `_sagittal`; `grid` lies along the world's axes."""
    (z, y, x), (depth, height, width) = grid.shape, grid.spacing_mm
    top = grid.affine_lps() @ (x - 1, 0, z - 1, 1)
    origin = (float(top[0]), float(top[1]), float(top[2]))
    return Grid((x, z, y), (width, depth, height), origin, (0.0, 0.0, -1.0, 1.0, 0.0, 0.0, 0.0, -1.0, 0.0))


def _turned() -> npt.NDArray[np.float64]:
    """Directions of an oblique scan, (3, 3): turned about x, then about z."""
    a, b = np.radians(_TURNS_DEGREES)
    about_x = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    about_z = np.array([[np.cos(b), -np.sin(b), 0], [np.sin(b), np.cos(b), 0], [0, 0, 1]])
    return np.asarray(about_z @ about_x)


def _write_enhanced(
    path: Path, voxels: npt.NDArray[Any], grid: Grid, modality: str, patient: str, body_part: str
) -> None:
    """One file; its frames are the slices in the order 1, 3, 5, ..., 2, 4, 6, ... counted from the first."""
    import pydicom

    order = [*range(0, len(voxels), 2), *range(1, len(voxels), 2)]
    stored = voxels[order].astype("<i2")
    digest = hashlib.sha256(stored.tobytes() + repr((grid, modality, patient)).encode()).hexdigest()
    scan = pydicom.Dataset()
    for name, content in patient_attributes(body_part).items():
        setattr(scan, name, content)
    scan.SOPClassUID = _CONVERTED[modality]
    scan.SOPInstanceUID, scan.SeriesInstanceUID = made_uid(digest, "instance"), made_uid(digest)
    scan.StudyInstanceUID, scan.FrameOfReferenceUID = made_uid(patient, "study"), made_uid(digest, "frame of reference")
    scan.PatientID = scan.PatientName = patient
    scan.PatientPosition = "HFS"
    scan.Modality, scan.SeriesNumber, scan.InstanceNumber = modality, 1, 1
    scan.Manufacturer = scan.ManufacturerModelName = "made up"
    scan.DeviceSerialNumber = scan.SoftwareVersions = "1"
    scan.ImageType = ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"]
    scan.PixelPresentation, scan.VolumetricProperties, scan.VolumeBasedCalculationTechnique = (
        "MONOCHROME",
        "VOLUME",
        "NONE",
    )
    scan.ContentDate, scan.ContentTime = "20000101", "000000"
    scan.AcquisitionContextSequence = []
    scan.PresentationLUTShape, scan.BurnedInAnnotation, scan.LossyImageCompression = "IDENTITY", "NO", "00"
    scan.SamplesPerPixel, scan.PhotometricInterpretation = 1, "MONOCHROME2"
    scan.NumberOfFrames, scan.Rows, scan.Columns = stored.shape
    scan.BitsAllocated = scan.BitsStored = 16
    scan.HighBit, scan.PixelRepresentation = 15, 1
    _add_frames(scan, grid, order, digest)
    scan.file_meta = pydicom.dataset.FileMetaDataset()
    scan.file_meta.TransferSyntaxUID = pydicom.uid.UID(EXPLICIT_LITTLE_ENDIAN)
    scan.add_new("PixelData", "OW", stored.tobytes())
    with written_whole(path) as temporary:
        pydicom.dcmwrite(temporary, scan, enforce_file_format=True)


def _add_frames(scan: Any, grid: Grid, order: list[int], digest: str) -> None:
    """The functional groups of `scan`; order: which slice of the grid each frame is."""
    affine, across = grid.affine_lps(), np.reshape(grid.direction, (3, 3))
    scan.DimensionOrganizationSequence = [_holding(DimensionOrganizationUID=made_uid(digest, "dimensions"))]
    scan.DimensionIndexSequence = [
        _holding(
            DimensionOrganizationUID=made_uid(digest, "dimensions"),
            DimensionIndexPointer=0x00200032,  # ImagePositionPatient
            FunctionalGroupPointer=0x00209113,  # PlanePositionSequence
        )
    ]
    cosines = [decimal_string(cosine) for cosine in (*across[:, 0], *across[:, 1])]
    sides = [decimal_string(side) for side in grid.spacing_mm[1:]]
    depth = decimal_string(grid.spacing_mm[0])
    kind = _holding(
        FrameType=list(scan.ImageType),
        PixelPresentation="MONOCHROME",
        VolumetricProperties="VOLUME",
        VolumeBasedCalculationTechnique="NONE",
    )
    shared = _holding(
        PlaneOrientationSequence=[_holding(ImageOrientationPatient=cosines)],
        PixelMeasuresSequence=[_holding(PixelSpacing=sides, SliceThickness=depth, SpacingBetweenSlices=depth)],
        PixelValueTransformationSequence=[
            _holding(RescaleIntercept="0", RescaleSlope="1", RescaleType="HU" if scan.Modality == "CT" else "US")
        ],
        UnassignedSharedConvertedAttributesSequence=[_holding()],
    )
    setattr(shared, f"{scan.Modality}ImageFrameTypeSequence", [kind])
    scan.SharedFunctionalGroupsSequence = [shared]
    scan.PerFrameFunctionalGroupsSequence = [
        _holding(
            FrameContentSequence=[
                _holding(DimensionIndexValues=[index + 1], StackID="1", InStackPositionNumber=index + 1)
            ],
            PlanePositionSequence=[
                _holding(ImagePositionPatient=[decimal_string(mm) for mm in affine[:3, 2] * index + affine[:3, 3]])
            ],
            UnassignedPerFrameConvertedAttributesSequence=[_holding()],
        )
        for index in order
    ]


def _holding(**attributes: Any) -> Any:
    import pydicom

    inner = pydicom.Dataset()
    for name, content in attributes.items():
        setattr(inner, name, content)
    return inner

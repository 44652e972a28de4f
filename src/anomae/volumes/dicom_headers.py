"""What the header of a DICOM file says of each picture in it: where it lies, what its numbers mean, whose it is."""

import hashlib
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from anomae.errors import UnreadableScan
from anomae.volumes.headers import check_stream, parsing, unreadable

SUFFIXES = (".dcm", ".dicom", ".ima")
_DEFLATED = "1.2.840.10008.1.2.1.99"
_DEFLATED_BYTES = 2**28
_TAGS = [
    "SOPClassUID",
    "SOPInstanceUID",
    "SeriesInstanceUID",
    "SeriesNumber",
    "Modality",
    "PatientID",
    "Rows",
    "Columns",
    "NumberOfFrames",
    "SamplesPerPixel",
    "PhotometricInterpretation",
    "BitsAllocated",
    "ImagePositionPatient",
    "ImageOrientationPatient",
    "PixelSpacing",
    "ImagerPixelSpacing",
    "NominalScannedPixelSpacing",
    "SpacingBetweenSlices",
    "SliceThickness",
    "RescaleSlope",
    "RescaleIntercept",
    "SharedFunctionalGroupsSequence",
    "PerFrameFunctionalGroupsSequence",
]
# Pictures that are drawn or computed over a scan rather than being one.
_NO_SCANS = {"SEG": "a segmentation", "RTDOSE": "a radiotherapy dose"}


class NotAPicture(UnreadableScan):
    """A DICOM file without a picture of a scan: a report, a structure set, a segmentation, a directory."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One picture of a DICOM file.

    number: its place in the file, from 0.  series, instance: UIDs, "" where the file has none.  patient: a pseudonym.
    position_mm: (3,) world LPS of the first pixel; orientation: (6,) directions of a row and of a column; each None
    where the file has none.  spacing_mm: (y, x), None where unknown.  depth_mm: the step between slices as the header
    has it, or the thickness.  slope, intercept: of the rescaling.
    """

    path: Path
    number: int
    series: str
    series_number: int
    instance: str
    patient: str
    modality: str
    rows: int
    columns: int
    voxel_bytes: int
    position_mm: tuple[float, ...] | None
    orientation: tuple[float, ...] | None
    spacing_mm: tuple[float, float] | None
    depth_mm: float
    slope: float
    intercept: float


def is_dicom(path: Path) -> bool:
    """Whether a file looks like DICOM: by its first bytes, or by its name."""
    if path.suffix.lower() in SUFFIXES:
        return True
    try:
        with path.open("rb") as handle:
            return handle.read(132)[128:] == b"DICM"
    except OSError:
        return False


def read_frames(path: Path) -> tuple[Frame, ...]:
    """The pictures of one file, pixels not read.

    Raises NotAPicture for reports and the like, else UnreadableScan where the file is broken, in colour, or a film.
    """
    with parsing(path, "DICOM"):
        header = read_dataset(path, pixels=False)
        _check_picture(path, header)
        photometric = str(header.get("PhotometricInterpretation", "MONOCHROME2"))
        if header.get("SamplesPerPixel", 1) != 1 or not photometric.startswith("MONOCHROME"):
            raise unreadable(path, "is a DICOM picture in colour; only grey pictures are read.")
        count = int(header.get("NumberOfFrames") or 1)
        each = list(header.get("PerFrameFunctionalGroupsSequence") or [])
        shared = list(header.get("SharedFunctionalGroupsSequence") or [])
        if count > 1 and len(each) != count:
            text = f"holds {count} pictures without a place for each, as a film does; convert it to a volume first."
            raise unreadable(path, text)
        places = [[group, *shared[:1], header] for group in each[:count]] or [[*shared[:1], header]]
        return tuple(_frame(path, number, header, sources) for number, sources in enumerate(places))


def read_dataset(path: Path, *, pixels: bool) -> Any:
    """The file as pydicom has it; to be called inside `parsing`."""
    import pydicom

    with path.open("rb") as handle:
        marked = handle.read(132)[128:] == b"DICM"
    forced = not marked and path.suffix.lower() in SUFFIXES
    if marked:
        meta = pydicom.filereader.read_file_meta_info(path)
        if meta.get("TransferSyntaxUID") == _DEFLATED:
            with path.open("rb") as handle:
                handle.seek(132 + 12 + int(meta.FileMetaInformationGroupLength))
                check_stream(path, handle, 0, wbits=-15, at_most=_DEFLATED_BYTES)
    elif forced and _DEFLATED.encode() in path.read_bytes():
        raise unreadable(path, "is deflated DICOM without the usual beginning, which is not supported.")
    if pixels:
        return pydicom.dcmread(path, force=forced)
    return pydicom.dcmread(path, force=forced, stop_before_pixels=True, specific_tags=list(_TAGS))


def pseudonym(patient_id: str) -> str:
    """A name for the patient of this PatientID: always the same, and not the ID; "" for an empty ID.

    It keeps an ID out of tables and messages.  It is no anonymisation: whoever knows an ID can compute its pseudonym.
    """
    patient_id = patient_id.strip()
    return hashlib.blake2b(b"anomae patient " + patient_id.encode(), digest_size=8).hexdigest() if patient_id else ""


def _check_picture(path: Path, header: Any) -> None:
    modality = str(header.get("Modality", ""))
    if header.get("Rows") and header.get("Columns") and modality not in _NO_SCANS:
        return
    kind = getattr(header.get("SOPClassUID"), "name", "")
    directory = str(header.file_meta.get("MediaStorageSOPClassUID", "")).startswith("1.2.840.10008.1.3.")
    if modality not in _NO_SCANS and ("Image Storage" in kind or not (kind or modality or directory)):
        raise unreadable(path, "holds no readable DICOM picture: it is cut short, a mere header, or no DICOM at all.")
    what = _NO_SCANS.get(modality, "DICOM without a picture, such as a report or a directory")
    raise NotAPicture(str(unreadable(path, f"is {what}; give the scan itself, a file or its folder.")))


def _frame(path: Path, number: int, header: Any, sources: list[Any]) -> Frame:
    orientation = _numbers(_find(sources, "PlaneOrientationSequence", "ImageOrientationPatient"), 6)
    spacing = None
    for name in ("PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing"):
        spacing = spacing or _numbers(_find(sources, "PixelMeasuresSequence", name), 2)
    depths = [
        _numbers(_find(sources, "PixelMeasuresSequence", name), 1)
        for name in ("SpacingBetweenSlices", "SliceThickness")
    ]
    slope = _numbers(_find(sources, "PixelValueTransformationSequence", "RescaleSlope"), 1)
    intercept = _numbers(_find(sources, "PixelValueTransformationSequence", "RescaleIntercept"), 1)
    return Frame(
        path=path,
        number=number,
        series=str(header.get("SeriesInstanceUID", "")),
        series_number=int(header.get("SeriesNumber") or 0),
        instance=str(header.get("SOPInstanceUID", "")),
        patient=pseudonym(str(header.get("PatientID") or "")),
        modality=str(header.get("Modality", "")),
        rows=int(header.Rows),
        columns=int(header.Columns),
        voxel_bytes=max(1, int(header.get("BitsAllocated") or 8) // 8),
        position_mm=_numbers(_find(sources, "PlanePositionSequence", "ImagePositionPatient"), 3),
        orientation=orientation if orientation and _is_frame_of_axes(orientation) else None,
        spacing_mm=(spacing[0], spacing[1]) if spacing and min(spacing) > 0 else None,
        depth_mm=next((abs(depth[0]) for depth in depths if depth and depth[0] != 0), 1.0),
        slope=(slope or (1.0,))[0] or 1.0,
        intercept=(intercept or (0.0,))[0],
    )


def _find(sources: list[Any], sequence: str, name: str) -> Any:
    """The attribute `name`: of the frame's own group, else of the shared one, else of the file itself."""
    for source in sources:
        inner = source.get(sequence)
        for holder in (inner[0] if inner else None, source):
            if holder is not None and holder.get(name) is not None:
                return holder.get(name)
    return None


def _numbers(content: Any, count: int) -> tuple[float, ...] | None:
    """`count` finite numbers, or None."""
    if content is None or content == "":
        return None
    entries = tuple(float(entry) for entry in ([content] if count == 1 else content))
    return entries if len(entries) == count and all(math.isfinite(entry) for entry in entries) else None


def _is_frame_of_axes(orientation: tuple[float, ...]) -> bool:
    row, column = orientation[:3], orientation[3:]
    lengths = (math.hypot(*row), math.hypot(*column))
    slant = sum(u * v for u, v in zip(row, column, strict=True))
    return all(abs(length - 1) < 1e-2 for length in lengths) and abs(slant) < 1e-2

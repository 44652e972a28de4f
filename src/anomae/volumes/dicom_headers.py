"""What the header of a DICOM file says of each picture in it: where it lies, what its numbers mean, whose it is."""

import math
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from anomae.errors import UnreadableScan
from anomae.volumes.headers import check_stream, parsing, unreadable
from anomae.volumes.identity import NOT_KNOWN
from anomae.volumes.patient_ids import HeaderPatient
from anomae.volumes.sequence_names import sequence_of

SUFFIXES = (".dcm", ".dicom", ".ima")
_CAPTURE = "1.2.840.10008.5.1.4.1.1.7."
_DEFLATED = "1.2.840.10008.1.2.1.99"
_DEFLATED_BYTES = 2**28
_TAGS = [
    "SOPClassUID",
    "SOPInstanceUID",
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "FrameOfReferenceUID",
    "SeriesNumber",
    "InstanceNumber",
    "Modality",
    "Manufacturer",
    "ImageType",
    "BodyPartExamined",
    "SeriesDescription",
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
_PARAMETRIC_MAP = "1.2.840.10008.5.1.4.1.1.30"  # its modality is that of the scan
_OURS = "anomae"  # the manufacturer in what anomae.dicom_results writes


class NotAPicture(UnreadableScan):
    """A DICOM file without a picture of a scan: a report, a structure set, a segmentation, a directory."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One picture of a DICOM file.

    number: its index in the file, from 0.  study, series, instance, sop_class, frame_of_reference: UIDs; like modality
    and body_part "" where the file has none.  instance_number: NOT_KNOWN where it has none.  patient: a pseudonym.
    position_mm: (3,) world LPS of the first pixel; orientation: (6,) directions of a row and of a column; each None
    where the file has none.  spacing_mm: (y, x), None where unknown.  depth_mm: the step between slices as the header
    has it, or the thickness.  slope, intercept: of the rescaling.  localizer: whether its ImageType says so.
    likeness: a hash that all spellings of its PatientID share (anomae.volumes.patient_ids).
    sequence: what its SeriesDescription says of the kind of scan (anomae.volumes.sequence_names), "" where nothing.
    """

    path: Path
    number: int
    study: str
    series: str
    series_number: int
    instance: str
    instance_number: int
    sop_class: str
    frame_of_reference: str
    patient: str
    modality: str
    body_part: str
    rows: int
    columns: int
    voxel_bytes: int
    position_mm: tuple[float, ...] | None
    orientation: tuple[float, ...] | None
    spacing_mm: tuple[float, float] | None
    depth_mm: float
    slope: float
    intercept: float
    localizer: bool = False
    sequence: str = ""
    likeness: str = ""

    @property
    def is_capture(self) -> bool:
        """Whether it is a secondary capture: of a screen, a film, a photograph, or what a program made."""
        return f"{self.sop_class}.".startswith(_CAPTURE)


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
        count = integer(header, "NumberOfFrames", 1) or 1
        each = _items(header, "PerFrameFunctionalGroupsSequence")
        shared = _items(header, "SharedFunctionalGroupsSequence")
        if count > 1 and len(each) != count:
            text = f"holds {count} pictures without a position for each, as a film does; convert it to a volume first."
            raise unreadable(path, text)
        sources = [[group, *shared[:1], header] for group in each[:count]] or [[*shared[:1], header]]
        return tuple(_frame(path, number, header, groups) for number, groups in enumerate(sources))


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
                handle.seek(132 + 12 + integer(meta, "FileMetaInformationGroupLength", 0))
                check_stream(path, handle, 0, wbits=-15, at_most=_DEFLATED_BYTES)
    elif forced and _DEFLATED.encode() in path.read_bytes():
        raise unreadable(path, "is deflated DICOM without the usual beginning, which is not supported.")
    if pixels:
        return pydicom.dcmread(path, force=forced)
    return pydicom.dcmread(path, force=forced, stop_before_pixels=True, specific_tags=list(_TAGS))


def patient_in_header(path: Path) -> HeaderPatient:
    """The patient that the header of a DICOM file names; pixels not read.

    Raises UnreadableScan where the file is broken.
    """
    with parsing(path, "DICOM"):
        return HeaderPatient.of(str(read_dataset(path, pixels=False).get("PatientID") or ""))


def _check_picture(path: Path, header: Any) -> None:
    what = _no_scan(header)
    if header.get("Rows") and header.get("Columns") and not what:
        return
    kind = getattr(header.get("SOPClassUID"), "name", "")
    modality = str(header.get("Modality", ""))
    directory = str(header.file_meta.get("MediaStorageSOPClassUID", "")).startswith("1.2.840.10008.1.3.")
    if not what and ("Image Storage" in kind or not (kind or modality or directory)):
        raise unreadable(path, "holds no readable DICOM picture: it is cut short, a mere header, or no DICOM at all.")
    what = what or "DICOM without a picture, such as a report or a directory"
    raise NotAPicture(str(unreadable(path, f"is {what}; give the scan itself, a file or its folder.")))


def _no_scan(header: Any) -> str:
    """What was drawn or computed over a scan, a phrase; "" where it is no such thing."""
    if str(header.get("Manufacturer") or "").strip() == _OURS:
        return f"a result that {_OURS} wrote"
    if str(header.get("SOPClassUID", "")) == _PARAMETRIC_MAP:
        return "a parametric map"
    return _NO_SCANS.get(str(header.get("Modality", "")), "")


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
    patient = HeaderPatient.of(str(header.get("PatientID") or ""))
    return Frame(
        path=path,
        number=number,
        study=_short(header, "StudyInstanceUID"),
        series=str(header.get("SeriesInstanceUID", "")),
        series_number=integer(header, "SeriesNumber", 0),
        instance=_short(header, "SOPInstanceUID"),
        instance_number=_instance_number(header),
        sop_class=_short(header, "SOPClassUID"),
        frame_of_reference=_short(header, "FrameOfReferenceUID"),
        patient=patient.pseudonym,
        likeness=patient.likeness,
        modality=str(header.get("Modality", "")),
        body_part=_short(header, "BodyPartExamined"),
        rows=integer(header, "Rows", 0),
        columns=integer(header, "Columns", 0),
        voxel_bytes=max(1, integer(header, "BitsAllocated", 8) // 8),
        position_mm=_numbers(_find(sources, "PlanePositionSequence", "ImagePositionPatient"), 3),
        orientation=orientation if orientation and _is_frame_of_axes(orientation) else None,
        spacing_mm=(spacing[0], spacing[1]) if spacing and min(spacing) > 0 else None,
        depth_mm=next((abs(depth[0]) for depth in depths if depth and depth[0] != 0), 1.0),
        slope=(slope or (1.0,))[0] or 1.0,
        intercept=(intercept or (0.0,))[0],
        sequence=sequence_of(str(header.get("SeriesDescription") or "")),
        localizer="LOCALIZER" in str(header.get("ImageType") or "").upper(),
    )


def integer(header: Any, name: str, otherwise: int) -> int:
    """The attribute `name` as a whole number; `otherwise` where it is absent or empty.

    Raises ValueError where it is something else: files may hold anything under any name.
    """
    content = header.get(name)
    if content is None or content == "":
        return otherwise
    if not isinstance(content, int | float | Decimal | str):
        raise ValueError(f"{name} is not one number")
    return int(content)


def _instance_number(header: Any) -> int:
    """InstanceNumber, NOT_KNOWN where it is absent or broken: no scan is refused for a number that only names it."""
    try:
        number = integer(header, "InstanceNumber", NOT_KNOWN)
    except (ValueError, TypeError, OverflowError):  # TypeError is pydicom's, of a fraction
        return NOT_KNOWN
    return number if 0 <= number < 2**31 else NOT_KNOWN


def _short(header: Any, name: str) -> str:
    """The attribute `name` as text, "" where it is absent or no plain text of up to 64 letters, as every UID is."""
    text = str(header.get(name) or "").strip()
    return text if len(text) <= 64 and text.isascii() and text.isprintable() else ""


def _items(header: Any, name: str) -> list[Any]:
    """The data sets in the sequence `name`, none where it is absent.  Raises ValueError where it is no sequence."""
    from pydicom.sequence import Sequence

    content = header.get(name)
    if content is not None and not isinstance(content, Sequence):
        raise ValueError(f"{name} is no sequence")
    return list(content or [])


def _find(sources: list[Any], sequence: str, name: str) -> Any:
    """The attribute `name`: of the frame's own group, else of the shared one, else of the file itself."""
    for source in sources:
        for holder in (*_items(source, sequence)[:1], source):
            if holder.get(name) is not None:
                return holder.get(name)
    return None


def _numbers(content: Any, count: int) -> tuple[float, ...] | None:
    """`count` finite numbers, or None.  Raises ValueError where there are no numbers, or several instead of one."""
    from pydicom.multival import MultiValue

    if content is None or content == "":
        return None
    entries = list(content) if isinstance(content, MultiValue | list | tuple) else [content]
    if (len(entries) > 1) != (count > 1) or not all(
        isinstance(entry, int | float | Decimal | str) for entry in entries
    ):
        raise ValueError(f"not {count} numbers")
    numbers = tuple(float(entry) for entry in entries)
    return numbers if len(numbers) == count and all(math.isfinite(number) for number in numbers) else None


def _is_frame_of_axes(orientation: tuple[float, ...]) -> bool:
    row, column = orientation[:3], orientation[3:]
    lengths = (math.hypot(*row), math.hypot(*column))
    slant = sum(u * v for u, v in zip(row, column, strict=True))
    return all(abs(length - 1) < 1e-2 for length in lengths) and abs(slant) < 1e-2

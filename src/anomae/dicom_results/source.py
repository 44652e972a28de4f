"""The series that results refer to: its slices with their instances and positions, its patient and its study."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from anomae.errors import UserError
from anomae.volumes.dicom_headers import Frame, read_frames
from anomae.volumes.headers import parsing, unreadable
from anomae.volumes.identity import DicomPicture, DicomSeries
from anomae.volumes.volume import Volume

# Copied to every result as they are; those of the first row must be there and may be empty.
_REQUIRED = (
    *("PatientName", "PatientID", "PatientBirthDate", "PatientSex"),
    *("StudyDate", "StudyTime", "ReferringPhysicianName", "StudyID", "AccessionNumber"),
)
_COPIED = (
    *("SpecificCharacterSet", "TimezoneOffsetFromUTC", "IssuerOfPatientID", "TypeOfPatientID", "OtherPatientIDs"),
    *("PatientAge", "EthnicGroup", "PatientIdentityRemoved", "DeidentificationMethod", "StudyDescription"),
    *("ClinicalTrialSponsorName", "ClinicalTrialProtocolID", "ClinicalTrialProtocolName", "ClinicalTrialSiteID"),
    *("ClinicalTrialSiteName", "ClinicalTrialSubjectID", "ClinicalTrialSubjectReadingID"),
)
_LOSSY = ("LossyImageCompression", "LossyImageCompressionRatio", "LossyImageCompressionMethod")
_OTHERS = ("PositionReferenceIndicator", "Laterality", "BodyPartExamined", *_LOSSY)
# What a stand-in claims to be: highdicom asks whether it is one of many frames, and whether it needs a position.
_SINGLE = {"MR": "1.2.840.10008.5.1.4.1.1.4"}
_CT = "1.2.840.10008.5.1.4.1.1.2"
_STAND_IN = "2.25."


@dataclass(frozen=True, slots=True)
class SourceSlice:
    """Where one voxel slice comes from.

    frame: in a file of several, from 1; else None.  position_mm: world (x, y, z), LPS, of its first pixel; None where
    the file names none.
    """

    sop_class: str
    instance: str
    frame: int | None
    position_mm: tuple[float, ...] | None


@dataclass(frozen=True)
class Source:
    """The DICOM series that a volume was made of.

    header: patient and study, as pydicom has them.  slices: one a voxel slice, in the order of the volume's z axis.
    orientation: (6,), None where unknown.  spacing_mm: (y, x).  depth_mm: between slices along their normal.
    frame_of_reference: "" where the series names none.
    """

    header: Any
    slices: tuple[SourceSlice, ...]
    orientation: tuple[float, ...] | None
    spacing_mm: tuple[float, float]
    depth_mm: float
    rows: int
    columns: int
    study_uid: str
    series_uid: str
    frame_of_reference: str
    modality: str
    body_part: str

    @cached_property
    def unplaced(self) -> str:
        """Why nothing can be drawn at a position in the world, a phrase; "" where it can."""
        if self.orientation is None or any(one.position_mm is None for one in self.slices):
            return "its files name no position of the slices"
        return "" if self.frame_of_reference else "its files name no frame of reference"

    def stand_ins(self, indices: Iterable[int], *, one_pixel: bool = False) -> list[Any]:
        """A plain header a slice, for highdicom to refer to; `cite` then puts the true instances and frames there.

        Files of one and of many frames, in whatever order, look alike that way, and what is broken in a header does no
        harm.  one_pixel: claims that a slice has one pixel, for results whose pixels are written apart.
        """
        return [self._stand_in(int(index), one_pixel) for index in indices]

    def _stand_in(self, index: int, one_pixel: bool) -> Any:
        from pydicom import Dataset
        from pydicom.valuerep import DS

        def decimal(number: float) -> Any:
            return DS(float(number), auto_format=True)

        one = Dataset()
        for name in _REQUIRED:
            setattr(one, name, "")
        one.SOPClassUID = _SINGLE.get(self.modality, _CT)
        one.SOPInstanceUID = f"{_STAND_IN}{index + 1}"
        one.StudyInstanceUID, one.SeriesInstanceUID = self.study_uid, self.series_uid
        one.Modality = self.modality
        one.Rows, one.Columns = (1, 1) if one_pixel else (self.rows, self.columns)
        for name in _LOSSY:
            if name in self.header:
                one[name] = self.header[name]
        if not self.unplaced:
            one.FrameOfReferenceUID = self.frame_of_reference
            one.PositionReferenceIndicator = ""
            one.ImageOrientationPatient = [decimal(cosine) for cosine in self.orientation or ()]
            one.ImagePositionPatient = [decimal(mm) for mm in self.slices[index].position_mm or ()]
        one.PixelSpacing = [decimal(mm) for mm in self.spacing_mm]
        one.SliceThickness = one.SpacingBetweenSlices = decimal(self.depth_mm)
        return one

    def references(self, indices: Iterable[int]) -> dict[tuple[str, str], list[int]]:
        """(SOP class, instance) of these slices -> their frames in it; [] where it has but one."""
        found: dict[tuple[str, str], list[int]] = {}
        for index in indices:
            one = self.slices[int(index)]
            frames = found.setdefault((one.sop_class, one.instance), [])
            if one.frame is not None:
                frames.append(one.frame)
        return found


def read_source(volume: Volume | None) -> Source:
    """The series that `volume` was read from; its files are looked into again, their pixels are not.

    Raises UserError where it was not read from DICOM or its files lack UIDs, and UnreadableScan where a file is gone or
    another than before.
    """
    if volume is None or volume.dicom is None:
        kind = "a picture in colour" if volume is None else f"{volume.source} ({volume.kind})"
        raise UserError(
            f"DICOM results refer to a DICOM series, and {kind} is none; give the DICOM files, or leave out --dicom."
        )
    series = volume.dicom
    _check_uids(volume.source, series)
    frames = _frames_of(series.pictures)
    first = frames[0]
    lengths = {path: len(pictures) for path, pictures in _by_path(frames).items()}
    header = _header(first.path)
    affine = volume.grid.affine_lps()[:3, :3]
    normal = np.cross(affine[:, 0], affine[:, 1])
    return Source(
        header=header,
        slices=tuple(
            SourceSlice(one.sop_class, one.instance, one.number + 1 if lengths[one.path] > 1 else None, one.position_mm)
            for one in frames
        ),
        orientation=first.orientation,
        spacing_mm=(volume.grid.spacing_mm[1], volume.grid.spacing_mm[2]),
        depth_mm=float(abs(affine[:, 2] @ normal) / np.linalg.norm(normal)),
        rows=first.rows,
        columns=first.columns,
        study_uid=series.study_uid,
        series_uid=series.series_uid,
        frame_of_reference=series.frame_of_reference_uid,
        modality=series.modality,
        body_part=series.body_part,
    )


def cite(result: Any, source: Source) -> None:
    """Put the true instances and frames of `source` where `result`, made from stand-ins, refers to them."""
    for name in ("SourceImageSequence", "ReferencedSeriesSequence"):
        if name in result:
            del result[name]
    cited: set[int] = set()
    # highdicom puts one and the same object into all frames of a slice, one a segment: it is changed once.
    changed: set[int] = set()
    for group in result.get("PerFrameFunctionalGroupsSequence", []):
        for derivation in group.get("DerivationImageSequence", []):
            for image in derivation.SourceImageSequence:
                if id(image) in changed:
                    continue
                changed.add(id(image))
                index = int(str(image.ReferencedSOPInstanceUID).removeprefix(_STAND_IN)) - 1
                one = source.slices[index]
                image.ReferencedSOPClassUID, image.ReferencedSOPInstanceUID = one.sop_class, one.instance
                if one.frame is not None:
                    image.ReferencedFrameNumber = one.frame
                cited.add(index)
    refer(result, source, sorted(cited))


def refer(result: Any, source: Source, indices: Iterable[int]) -> None:
    """Name the instances of these slices as the images that `result` was made from."""
    from pydicom import Dataset

    images, instances = [], []
    for (sop_class, instance), frames in source.references(indices).items():
        both = []
        for _ in range(2):
            one = Dataset()
            one.ReferencedSOPClassUID, one.ReferencedSOPInstanceUID = sop_class, instance
            both.append(one)
        if frames:
            both[0].ReferencedFrameNumber = frames
        images.append(both[0])
        instances.append(both[1])
    series = Dataset()
    series.SeriesInstanceUID = source.series_uid
    series.ReferencedInstanceSequence = instances
    result.SourceImageSequence, result.ReferencedSeriesSequence = images, [series]


def adopt(result: Any, source: Source) -> None:
    """Give `result` the patient and the study of `source`, as its header has them."""
    for name in _REQUIRED:
        setattr(result, name, "")
    for name in (*_REQUIRED, *_COPIED):
        if name in source.header:
            result[name] = source.header[name]
    if "PositionReferenceIndicator" in result and "PositionReferenceIndicator" in source.header:
        result["PositionReferenceIndicator"] = source.header["PositionReferenceIndicator"]


def add_anatomy(result: Any, source: Source) -> None:
    """What part of the body it shows: images must say, and it may be empty where the series does not."""
    if source.body_part:
        result.BodyPartExamined = source.body_part
    if "Laterality" in source.header:
        result["Laterality"] = source.header["Laterality"]
    elif not source.body_part:
        result.Laterality = ""


def _check_uids(path: Path, series: DicomSeries) -> None:
    for name, uid in (("StudyInstanceUID", series.study_uid), ("SeriesInstanceUID", series.series_uid)):
        if not uid:
            raise UserError(f"{path} has no {name}, one for all its files, so no DICOM result can refer to it.")
    if not all(picture.sop_instance_uid and picture.sop_class_uid for picture in series.pictures):
        raise UserError(f"{path} has slices without SOPInstanceUID or SOPClassUID, so no DICOM result can refer to it.")
    files: dict[str, Path] = {}
    for picture in series.pictures:
        if files.setdefault(picture.sop_instance_uid, picture.path) != picture.path:
            raise UserError(
                f"{path} has one SOPInstanceUID in several of its files, so no DICOM result can tell its slices apart; "
                "export the series anew, or leave out --dicom."
            )


def _frames_of(pictures: Sequence[DicomPicture]) -> list[Frame]:
    """A frame a picture; every file is read once, and what only one of its pictures needs is not kept."""
    wanted: dict[Path, list[int]] = {}
    for index, picture in enumerate(pictures):
        wanted.setdefault(picture.path, []).append(index)
    found: dict[int, Frame] = {}
    for path, indices in wanted.items():
        frames = read_frames(path)
        for index in indices:
            picture = pictures[index]
            if len(frames) < picture.frame or frames[picture.frame - 1].instance != picture.sop_instance_uid:
                raise unreadable(path, "is no longer the file that was scored; score it again.")
            found[index] = frames[picture.frame - 1]
    return [found[index] for index in range(len(pictures))]


def _by_path(frames: Sequence[Frame]) -> dict[Path, list[Frame]]:
    found: dict[Path, list[Frame]] = {}
    for frame in frames:
        found.setdefault(frame.path, []).append(frame)
    return found


def _header(path: Path) -> Any:
    """Patient and study of a file; decoded now, for pydicom does that where an attribute is first looked at."""
    import pydicom

    with parsing(path, "DICOM"), pydicom.config.disable_value_validation():
        header = pydicom.dcmread(
            path, force=True, stop_before_pixels=True, specific_tags=[*_REQUIRED, *_COPIED, *_OTHERS]
        )
        header.decode()
        for element in header:
            str(element.value)
    return header

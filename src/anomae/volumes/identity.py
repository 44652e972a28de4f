"""What a volume was read from, precisely enough to refer back to it: files with their hash, or DICOM's own UIDs.

Nothing here names a person; DICOM UIDs do point to one scan in the archive of the clinic that made it.
"""

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from anomae.volumes.headers import unreadable

NOT_KNOWN = -1  # of a slice number or an InstanceNumber


@dataclass(frozen=True)
class SourceFile:
    """One file that a volume was read from.

    size: in bytes, and modified_ns: time of the last change (ns since 1970), both from before it was read.
    """

    path: Path
    size: int
    modified_ns: int

    @classmethod
    def at(cls, path: Path) -> "SourceFile":
        """The file at `path` as it is now.  Raises OSError where it is missing."""
        facts = path.stat()
        return cls(path, facts.st_size, facts.st_mtime_ns)

    @cached_property
    def sha256(self) -> str:
        """SHA-256 of the bytes of the file, in hexadecimal; read in blocks when first asked for, and then kept.

        Raises UnreadableScan where the file is gone, or has changed since the volume was read from it.
        """
        try:
            with self.path.open("rb") as content:
                digest = hashlib.file_digest(content, "sha256").hexdigest()
            now = SourceFile.at(self.path)
        except OSError as error:
            raise unreadable(self.path, "can no longer be read; its hash is not known.") from error
        if (now.size, now.modified_ns) != (self.size, self.modified_ns):
            raise unreadable(self.path, "has changed since it was read; read it again.")
        return digest


@dataclass(frozen=True, slots=True)
class DicomPicture:
    """Where one slice of a volume comes from.

    path: the file.  sop_class_uid, sop_instance_uid: of the instance, "" where the file has none.  frame: which picture
    of the file it is, counted from 1 as DICOM counts frames.  instance_number: InstanceNumber, NOT_KNOWN where the file
    has none.
    """

    path: Path
    sop_class_uid: str
    sop_instance_uid: str
    frame: int
    instance_number: int


@dataclass(frozen=True, slots=True)
class DicomSeries:
    """The DICOM series that a volume was made of.  UIDs and texts are "" where the files have none.

    modality: such as "MR" or "CT".  body_part: BodyPartExamined, as the files have it.  pictures: an entry a voxel
    slice: `voxels[k]` (axis 0, z) shows `pictures[k]`.  sequence: such as "T1", by the series description.
    """

    study_uid: str
    series_uid: str
    frame_of_reference_uid: str
    modality: str
    body_part: str
    pictures: tuple[DicomPicture, ...]
    sequence: str = ""

    @property
    def is_one_file(self) -> bool:
        """Whether all slices are frames of one file."""
        return len({picture.path for picture in self.pictures}) == 1


@dataclass(frozen=True, slots=True)
class SliceIdentity:
    """Where n axial slices come from.

    file_slices: (n,) int64, the index along the file's own slice axis: in a volume file the last index of the array as
    nibabel has it (z; the page of a TIFF), in a DICOM file of many frames the frame from 0, in a DICOM series of many
    files the voxel slice.  NOT_KNOWN where an axial slice cuts across that axis: no one slice of the file holds it.
    sop_instance_uids: (n,) str, and instance_numbers: (n,) int64, of the DICOM instance that holds the slice; "" and
    NOT_KNOWN where there is none.
    """

    file_slices: npt.NDArray[np.int64]
    sop_instance_uids: npt.NDArray[np.str_]
    instance_numbers: npt.NDArray[np.int64]

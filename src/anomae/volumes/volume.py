"""What a scan is once it has been read: voxels, and where they lie in the world."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from anomae.volumes.identity import DicomSeries, SourceFile
from anomae.volumes.nifti_header import NiftiPlacement

# How the note of a reader ends where a header does not say which side of the patient is which.
SIDES_GUESSED = "left and right are a guess."


@dataclass(frozen=True, slots=True)
class Grid:
    """Where the voxels of a volume lie in the world (LPS, mm), in SimpleITK's convention.

    shape: (z, y, x), voxels.  spacing_mm: (z, y, x), > 0.  origin_mm: world (x, y, z) of the centre of voxel
    [0, 0, 0].  direction: nine numbers, a row-major 3x3 matrix whose columns are the world directions in which the
    x, y and z index grow.
    """

    shape: tuple[int, int, int]
    spacing_mm: tuple[float, float, float] = (1.0, 1.0, 1.0)
    origin_mm: tuple[float, float, float] = (0.0, 0.0, 0.0)
    direction: tuple[float, ...] = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)

    def affine_lps(self) -> npt.NDArray[np.float64]:
        """The 4x4 matrix from index (x, y, z, 1) to world LPS mm."""
        affine = np.eye(4)
        affine[:3, :3] = np.reshape(self.direction, (3, 3)) * np.array(self.spacing_mm[::-1])
        affine[:3, 3] = self.origin_mm
        return affine

    def affine_ras(self) -> npt.NDArray[np.float64]:
        """The 4x4 matrix from index (x, y, z, 1) to world RAS mm, as NIfTI and nibabel have it."""
        return np.diag([-1.0, -1.0, 1.0, 1.0]) @ self.affine_lps()

    def to_json(self) -> dict[str, Any]:
        """A dictionary that `from_json` turns back into the same grid."""
        return {
            "shape": list(self.shape),
            "spacing_mm": list(self.spacing_mm),
            "origin_mm": list(self.origin_mm),
            "direction": list(self.direction),
        }

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> "Grid":
        """The grid that `to_json` described."""
        z, y, x = (int(side) for side in content["shape"])
        a, b, c = (float(side) for side in content["spacing_mm"])
        u, v, w = (float(position) for position in content["origin_mm"])
        return cls((z, y, x), (a, b, c), (u, v, w), tuple(float(entry) for entry in content["direction"]))


@dataclass(frozen=True, slots=True)
class Volume:
    """A scan as read.

    voxels: [z, y, x], in the units of the file after its own rescaling (CT: HU).  A picture has one slice (z = 1).
    source: the file or folder it came from.  kind: the name of the reader: "nifti", "metaimage", "nrrd", "dicom",
    "picture", "array", or that of an installed package.
    patient: a pseudonym (hash of the DICOM PatientID), empty where the file names none.
    notes: what was noticed and mended while reading, a sentence each; empty where all was well.
    files: the files it was read from, the one with the header first; empty for DICOM, where `dicom` names them, and for
    volumes that were made.  dicom: the series with the mapping from voxel slice to instance and frame, else None.
    placement: of a NIfTI file what its header says of the place, both forms and their codes; None for other kinds, and
    where a form that it claims is no sound one.
    """

    voxels: npt.NDArray[Any]
    grid: Grid
    source: Path
    kind: str
    patient: str = ""
    notes: tuple[str, ...] = field(default=())
    files: tuple[SourceFile, ...] = field(default=())
    dicom: DicomSeries | None = None
    placement: NiftiPlacement | None = None

    def save(self, path: Path | str) -> None:
        """Write it in its own place in the world: NIfTI, MetaImage or NRRD by the suffix of `path`.

        Raises UserError for another suffix, NotWritten where the disk did not take it.
        """
        from anomae.volumes.write import write_volume

        write_volume(Path(path), self.voxels, self.grid, self.placement)

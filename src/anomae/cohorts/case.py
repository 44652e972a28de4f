"""What a cohort hands over: its cases, and of each case the slices with what is known about them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol

import numpy as np
import numpy.typing as npt

from anomae.volumes.nifti_header import NiftiPlacement
from anomae.volumes.volume import SIDES_GUESSED, Grid

HEALTHY, ABNORMAL, UNKNOWN = 0, 1, -1
SPLITS = ("train", "validation", "test")
GREY, COLOURS = ("intensity",), ("red", "green", "blue")  # what the channels of most slices are, and of colour pictures
Kind = Literal["scans", "pictures", "patches"]
Order = Literal["grid", "numbers", "none"]


@dataclass(frozen=True, slots=True)
class Case:
    """One scan (or one picture, or one file of patches) of one patient, not read yet.

    case: unique within its cohort.  patient: the unit of every split and of every resampling.  Both become text that
    every file can hold where they come from file names that are no UTF-8.  source: the scan.
    lesion: the file of its lesion mask, where there is one; more_lesions: further ones, whose union with it counts.
    further: files that its slices are read from beside its scan, such as those of other modalities.  table: the table
    that says where its slices lie and what they show, and a digest of what it says of this case; None without one.
    by_subject: its lesion masks are by their names of several scans of its subject, and count where they lie on it.
    ignored: files of masks of what is not to be judged.  split: "train", "validation" or "test" where the data set
    itself fixes it, else "".  label: HEALTHY or ABNORMAL where it holds for the whole case, else UNKNOWN.  site: where
    it was made, "" where unknown.  called: HEALTHY or ABNORMAL where the data set calls the whole case so, although its
    mask labels each slice.
    """

    case: str
    patient: str
    source: Path
    lesion: Path | None = None
    split: str = ""
    label: int = UNKNOWN
    site: str = ""
    called: int = UNKNOWN
    more_lesions: tuple[Path, ...] = ()
    by_subject: bool = False
    ignored: tuple[Path, ...] = ()
    further: tuple[Path, ...] = ()
    table: tuple[Path, str] | None = None

    @property
    def lesion_files(self) -> tuple[Path, ...]:
        """All files of its lesion masks; () where there is none."""
        return () if self.lesion is None else (self.lesion, *self.more_lesions)

    def __post_init__(self) -> None:
        for name in ("case", "patient"):
            text = getattr(self, name).encode("utf-8", "backslashreplace").decode()
            object.__setattr__(self, name, text)


@dataclass(frozen=True, slots=True)
class CaseSlices:
    """The slices of one case, as read: nothing scaled, nothing resized.

    images: (n, c, h, w), any number type, in the units of the scan; (n, h, w) is taken as one channel.
    slices: (n,) int64, the slice number (axial index; row of candidates.csv for LUNA16; index in the file for arrays).
    labels: (n,) int8, HEALTHY, ABNORMAL or UNKNOWN.
    lesions: (n, h, w) bool, or None where no mask is known.
    ignored: (n, h, w) bool, pixels that are not to be judged, neither lesion nor healthy; None: all are.
    positions_mm: (n,) float64, along the slice axis in world coordinates, NaN where unknown.
    spacing_mm: (y, x) of a pixel.
    grid: of the volume whose axial slices these are, as stored (not reoriented); None for pictures and patches.
    source: the file or folder of the scan; None for patches and for slices that lie in files of their own.
    patients: (n,) str where slices of one case belong to several patients (cohort `arrays`), else None.
    splits: (n,) str, the split of each slice where the data set itself fixes it slice by slice, else None.
    notes: what the reader noticed, a sentence each.
    file_slices: (n,) int64, sop_instance_uids: (n,) str, instance_numbers: (n,) int64: where each slice lies in its
    file and which DICOM instance holds it (see anomae.volumes.identity.SliceIdentity); -1 and "" where a slice has
    none, None where that is so of all.
    one_scale: the channels are intensities of one kind (the colours of a picture) and are scaled together; else each is
    a scan of its own (a modality) and has a scale of its own.
    placement: of a scan in NIfTI what its header says of the place, for its maps; else None.
    left_out: why -> how many slices that the data set names are not among these.
    modality, body_part: of a DICOM scan, as its header has them, and sequence, such as "T1", by its series description
    (anomae.volumes.sequence_names); "" where unknown.
    """

    images: npt.NDArray[Any]
    slices: npt.NDArray[np.int64]
    labels: npt.NDArray[np.int8]
    lesions: npt.NDArray[np.bool_] | None
    positions_mm: npt.NDArray[np.float64]
    spacing_mm: tuple[float, float] = (1.0, 1.0)
    grid: Grid | None = None
    source: Path | None = None
    patients: npt.NDArray[np.str_] | None = None
    splits: npt.NDArray[np.str_] | None = None
    notes: tuple[str, ...] = ()
    file_slices: npt.NDArray[np.int64] | None = None
    sop_instance_uids: npt.NDArray[np.str_] | None = None
    instance_numbers: npt.NDArray[np.int64] | None = None
    one_scale: bool = False
    placement: NiftiPlacement | None = None
    left_out: Mapping[str, int] = field(default_factory=dict)
    ignored: npt.NDArray[np.bool_] | None = None
    modality: str = ""
    body_part: str = ""
    sequence: str = ""

    def __post_init__(self) -> None:
        if self.images.ndim == 3:
            object.__setattr__(self, "images", self.images[:, None])

    @property
    def sides_known(self) -> bool:
        """Whether the patient's right and left may be marked on its slices: not where a reader guessed them."""
        return self.grid is not None and not any(note.endswith(SIDES_GUESSED) for note in self.notes)

    @property
    def channels(self) -> int:
        """C."""
        return int(self.images.shape[1])


class Cohort(Protocol):
    """A data set as it lies on disk, and what a stage needs to know of it.

    Objects are small and can be sent to another process; `cases` looks at names, `read` opens one case's files.
    The attributes hold for the class; an opened cohort may know better (a made-up data set has the kind of its layout).

    kind: what its slices are: whole slices of "scans", "pictures", or "patches" cut from scans.
    order: what tells where in its scan a slice is: "grid", the grid of the scan (where a case has none, nothing does);
    "numbers", the slice numbers do where a case has no grid; "none", slices are in no order.
    recipe: of the fit, where none is named.  preparation: how its slices are prepared where nothing else is said, as
    anomae.slices.settings.PrepareSettings takes it.  preparations: the same, by what its option `content` may say; {}
    where it has none.  accepts_rows: its option `rows` limits what is read.
    modalities: those that its option `modality` knows; () where there is none.
    channel_names: what each channel of its slices is.
    """

    name: str
    kind: Kind = "scans"
    order: Order = "grid"
    recipe: str = "small"
    preparation: ClassVar[Mapping[str, Any]] = {"image_size": 64}
    preparations: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    accepts_rows: bool = False
    modalities: tuple[str, ...] = ()
    channel_names: tuple[str, ...] = GREY

    def cases(self) -> Sequence[Case]:
        """All cases in a fixed order.  Raises UserError, saying what was looked for and where, if there are none."""
        ...

    def read(self, case: Case) -> CaseSlices:
        """The slices of one case.  Raises UnreadableScan where its files are broken."""
        ...

    def notes(self) -> Sequence[str]:
        """What `cases` noticed or left out, a sentence each, naming no patient."""
        ...

    def patients_told(self) -> Mapping[str, Mapping[str, int]]:
        """How it was told who the patients are: kind (anomae.cohorts.patient_names.KINDS) -> scans and patients.

        Empty where the layout of the data set itself names them.
        """
        return {}

    def pairing(self) -> Mapping[str, Any]:
        """Which lesion mask was paired with which scan, and counts, as JSON; empty where names leave no doubt."""
        return {}

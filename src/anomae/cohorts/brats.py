"""BraTS of any year as its makers hand it out: a folder a case, a file a modality, a segmentation beside them."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from anomae.cohorts.brats_names import (
    MODALITIES,
    SPELLINGS,
    CaseName,
    has_no_segmentation,
    known_modality,
    read_case_name,
    read_sites,
)
from anomae.cohorts.case import Case, CaseSlices, Cohort
from anomae.cohorts.channel_slices import channel_names_of, listed_modalities, read_modalities
from anomae.cohorts.given_twice import difference
from anomae.cohorts.kaggle_slices import KaggleSlices, slice_folder
from anomae.cohorts.source_folder import existing_folder
from anomae.errors import UnreadableScan, UserError

EXPECTED = (
    "BraTS20_Training_001/BraTS20_Training_001_t1.nii.gz and so on, also as of 2017 to 2019, 2021 "
    "(BraTS2021_00000) or 2023 (BraTS-GLI-00000-000), or Kaggle's volume_1_slice_0.h5 files of 2020"
)
GIVEN_TWICE = "its scan or its segmentation is given twice (.nii and .nii.gz), both the same; one was read"
_DEEPEST = 3  # folders between SOURCE and the case folders, in the ways the archives unpack


class Brats(Cohort):
    """BraTS of one year, in whichever form the source holds it."""

    name = "brats"
    order = "numbers"  # of Kaggle's slices: their files tell no grid
    recipe = "brats2020"
    # The released run took its pictures unscaled from a copy that was scaled already; the official scans are in
    # arbitrary units, and skull-stripped, so each scan is scaled by the median of its brain, and that cropped.  What
    # the paper had is `--set preparation=plain --set intensity=none`.
    preparation = {"image_size": 224, "preparation": "brain", "brain_mask": "nonzero"}  # noqa: RUF012  as in Lgg
    modalities = MODALITIES

    def __init__(
        self, source: Path, modality: str | None = None, channel: int | None = None, channels: str | None = None
    ) -> None:
        """See `open_brats`."""
        self.inner = open_brats(source, modality, channel, channels)
        self.channel_names = self.inner.channel_names

    def cases(self) -> list[Case]:
        """A case a volume, by number or name."""
        return self.inner.cases()

    def read(self, case: Case) -> CaseSlices:
        """The axial slices of one case.  Raises UnreadableScan where a file is missing or broken."""
        return self.inner.read(case)

    def notes(self) -> tuple[str, ...]:
        """What was left out, and how many patients have several sessions."""
        return self.inner.notes()


class Brats2020(Brats):
    """The same under the name of the year that the paper took."""

    name = "brats2020"


class BratsScans:
    """The official folder of scans, also nested as the archives unpack (HGG/, LGG/), .nii.gz or .nii.

    Slices are labelled by the segmentation: abnormal where it is not empty.  Sessions of one patient
    (BraTS-GLI-00000-000 and -001) are cases of one patient.
    """

    name = "brats"

    def __init__(self, source: Path, modality: str = "t1") -> None:
        """`source`: the folder that holds the case folders, or one above it.

        modality: t1, t1ce, t2 or flair, or several with commas between them, a channel each.
        """
        self.source, self.chosen = source, listed_modalities(modality, known_modality)
        self.channel_names = channel_names_of(self.chosen)

    def cases(self) -> list[Case]:
        """A case a folder, by number; one whose files are missing is named all the same, and refused by `read`."""
        folders, _ = self._case_folders()
        sites = read_sites(next(iter(folders.values())).parent)
        return [
            Case(
                case=told.case,
                patient=told.patient,
                source=_named(folder, self.chosen[0]),
                lesion=_scan_file(folder, "seg") or _expected(folder, "seg"),
                site=told.site or sites.get(told.number, ""),
                further=tuple(_named(folder, name) for name in self.chosen[1:]),
            )
            for told, folder in sorted(folders.items())
        ]

    def read(self, case: Case) -> CaseSlices:
        """The axial slices of one case.  Raises UnreadableScan where a file is missing, doubtful or broken."""
        folder = next(above for above in case.source.parents if read_case_name(above.name))
        twice = [_is_given_twice(folder, kind) for kind in (*self.chosen, "seg")]
        scans = {case.source: self.chosen[0]} | {_named(folder, name): name for name in self.chosen[1:]}
        for scan, name in scans.items():
            if not scan.exists():
                raise UnreadableScan(f"{scan} is missing: the case has no {name} scan; copy it there.")
        if case.lesion is None or not case.lesion.exists():
            raise UnreadableScan(f"{case.lesion} is missing: without a segmentation no slice can be labelled.")
        read = read_modalities({name: scan for scan, name in scans.items()}, case.lesion)
        return replace(read, notes=(*read.notes, GIVEN_TWICE)) if any(twice) else read

    def notes(self) -> tuple[str, ...]:
        """What was left out, and how many patients have several sessions."""
        folders, unlabelled = self._case_folders()
        patients = [told.patient for told in folders]
        several = sum(patients.count(patient) > 1 for patient in set(patients))
        left_out = f"{unlabelled} cases of the validation or test set have no segmentation and are left out"
        sessions = f"{several} patients have several sessions; all of a patient's count as one patient"
        return tuple(note for count, note in ((unlabelled, left_out), (several, sessions)) if count)

    def _case_folders(self) -> tuple[dict[CaseName, Path], int]:
        """The folder of each case, and how many others are of cases without segmentation."""
        folders: dict[CaseName, Path] = {}
        seen: dict[str, Path] = {}
        unlabelled = 0
        source = existing_folder(self.source, EXPECTED)
        for folder in _brats_folders(source, _DEEPEST, set(source.resolve().parents)):
            told = read_case_name(folder.name)
            if told is None:
                unlabelled += 1
                continue
            key = told.case.upper()
            if key in seen:
                raise UserError(f"{seen[key]} and {folder} are the same case; give the folder of one copy.")
            seen[key], folders[told] = folder, folder
        if not folders:
            raise UserError(f"{self.source} holds no BraTS cases; expected {EXPECTED}.")
        years = sorted({told.year for told in folders})
        if len(years) > 1:
            raise UserError(
                f"{self.source} holds cases of BraTS {' and '.join(years)}. Many patients are in several years under "
                "other names and could come into training and test; give the folder of one year."
            )
        return folders, unlabelled


def open_brats(
    source: Path, modality: str | None = None, channel: int | None = None, channels: str | None = None
) -> BratsScans | KaggleSlices:
    """BraTS in whichever form `source` holds it: official folders of scans, or Kaggle's slice files of 2020.

    modality: t1 (default), t1ce, t2 or flair, or several with commas between them, a channel each.  channel, channels:
    for the slice files alone, see KaggleSlices.
    """
    folder = slice_folder(existing_folder(source, EXPECTED))
    if folder is not None:
        return KaggleSlices(folder, modality, channel, channels)
    if channel is not None or channels is not None:
        raise UserError(f"channel and channels are for Kaggle's slice files; {source} holds none.")
    return BratsScans(source, modality or "t1")


def _brats_folders(folder: Path, depth: int, seen: set[Path]) -> Iterator[Path]:
    """The case folders in and below `folder`, with and without segmentations."""
    if folder.resolve() in seen:
        return  # a link back to a folder that was searched, or that holds it
    seen.add(folder.resolve())
    for inner in sorted(entry for entry in (folder, *folder.iterdir()) if entry.is_dir()):
        if read_case_name(inner.name) or has_no_segmentation(inner.name):
            yield inner
        elif depth and inner != folder and not inner.name.startswith((".", "__MACOSX")):
            yield from _brats_folders(inner, depth - 1, seen)


def _named(folder: Path, modality: str) -> Path:
    """The scan of a modality in a case folder, or where it would be."""
    return _scan_file(folder, modality) or _expected(folder, modality)


def _expected(folder: Path, kind: str) -> Path:
    told = read_case_name(folder.name)
    ending = f"-{SPELLINGS[kind][-1]}" if told and told.year == "2023" else f"_{kind}"
    return folder / f"{folder.name}{ending}.nii.gz"


def _scan_file(folder: Path, kind: str) -> Path | None:
    """The file of `kind` ("t1", ..., "seg") in a case folder; None where there is none, or the folder is locked."""
    return next(iter(_scan_files(_files_of(folder, kind))), None)


def _scan_files(found: list[Path]) -> list[Path]:
    """The files among what could be that of a kind; then those in folders."""
    # Some unpackers make a folder named like the file, with the file in it under another name.
    inside = [entry for entry in found if entry.is_dir() for entry in sorted(entry.iterdir()) if _is_nifti(entry)]
    return [*(entry for entry in found if entry.is_file()), *inside]


def _is_given_twice(folder: Path, kind: str) -> bool:
    """Whether a case folder holds the file of `kind` more than once.

    Raises UnreadableScan where files of several names could be it, or those of one name are not the same.
    """
    found = _files_of(folder, kind)
    several = {_plain_name(path) for path in found}
    if len(several) > 1:
        raise UnreadableScan(f"{folder} holds {len(several)} files that could be its {kind}; keep one of them.")
    first, *others = _scan_files(found) or [folder]
    for other in others:
        why = difference(first, other)
        if why:
            raise UnreadableScan(
                f"{first} and {other.relative_to(folder)} could both be the {kind} of its case but {why}; neither was "
                "taken. Remove the wrong one."
            )
    return bool(others)


def _files_of(folder: Path, kind: str) -> list[Path]:
    """All that could be the file of a kind, or the folder it was unpacked to; those named as the case is, if any."""
    try:
        entries = sorted(folder.iterdir())
    except PermissionError:
        return []  # `read` will say so, of this case alone
    endings = tuple(f"{mark}{name}" for mark in "_-" for name in SPELLINGS[kind])
    found = [entry for entry in entries if _plain_name(entry).endswith(endings)]
    if not found and kind == "seg":
        # Case 355 was handed out with the name of its original: W39_1998.09.19_Segm.nii
        found = [entry for entry in entries if _plain_name(entry).endswith("_segm")]
    named = [entry for entry in found if _plain_name(entry).removeprefix(folder.name.lower()) in endings]
    return named or found


def _plain_name(path: Path) -> str:
    name = path.name.lower()
    return name.removesuffix(".gz").removesuffix(".nii") if _is_nifti(path) else ""


def _is_nifti(path: Path) -> bool:
    return path.name.lower().endswith((".nii", ".nii.gz")) and not path.name.startswith(".")

"""BraTS2020 as its makers hand it out: a folder a case, a NIfTI file a modality, a segmentation beside them."""

import re
from collections.abc import Iterator
from pathlib import Path

from anomae.cohorts.brats_names import MODALITIES, case_name, known_modality, read_sites
from anomae.cohorts.case import Case, CaseSlices, Cohort
from anomae.cohorts.channel_slices import channel_names_of, listed_modalities, read_modalities
from anomae.cohorts.kaggle_slices import KaggleSlices, slice_folder
from anomae.cohorts.source_folder import existing_folder
from anomae.errors import UnreadableScan, UserError

EXPECTED = "BraTS20_Training_001/BraTS20_Training_001_t1.nii.gz and so on (or Kaggle's volume_1_slice_0.h5 files)"
_CASE_FOLDER = re.compile(r"BraTS20_Training_(\d{1,4})", re.IGNORECASE)
_DEEPEST = 3  # folders between SOURCE and the case folders, in the ways the archives unpack


class Brats2020(Cohort):
    """BraTS2020 in whichever form the source holds it."""

    name = "brats2020"
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
        """See `open_brats2020`."""
        self.inner = open_brats2020(source, modality, channel, channels)
        self.channel_names = self.inner.channel_names

    def cases(self) -> list[Case]:
        """A case a volume, by number."""
        return self.inner.cases()

    def read(self, case: Case) -> CaseSlices:
        """The axial slices of one case.  Raises UnreadableScan where a file is missing or broken."""
        return self.inner.read(case)

    def notes(self) -> tuple[str, ...]:
        """Nothing is left out."""
        return self.inner.notes()


class BratsScans:
    """The official folder of scans, also nested as the archives unpack, .nii.gz or .nii.

    Slices are labelled by the segmentation: abnormal where it is not empty.
    """

    name = "brats2020"

    def __init__(self, source: Path, modality: str = "t1") -> None:
        """`source`: the folder that holds the case folders, or one above it.

        modality: t1, t1ce, t2 or flair, or several with commas between them, a channel each.
        """
        self.source, self.chosen = source, listed_modalities(modality, known_modality)
        self.channel_names = channel_names_of(self.chosen)

    def cases(self) -> list[Case]:
        """A case a folder, by number; one whose files are missing is named all the same, and refused by `read`."""
        folders = self._case_folders()
        sites = read_sites(next(iter(folders.values())).parent)
        return [
            Case(
                case=case_name(number),
                patient=case_name(number),
                source=_named(folder, self.chosen[0]),
                lesion=_scan_file(folder, "seg") or folder / f"{folder.name}_seg.nii.gz",
                site=sites.get(number, ""),
            )
            for number, folder in sorted(folders.items())
        ]

    def read(self, case: Case) -> CaseSlices:
        """The axial slices of one case.  Raises UnreadableScan where a file is missing or broken."""
        folder = next(above for above in case.source.parents if _CASE_FOLDER.fullmatch(above.name))
        scans = {case.source: self.chosen[0]} | {_named(folder, name): name for name in self.chosen[1:]}
        for scan, name in scans.items():
            if not scan.exists():
                raise UnreadableScan(f"{scan} is missing: the case has no {name} scan; copy it there.")
        if case.lesion is None or not case.lesion.exists():
            raise UnreadableScan(f"{case.lesion} is missing: without a segmentation no slice can be labelled.")
        return read_modalities({name: scan for scan, name in scans.items()}, case.lesion)

    def notes(self) -> tuple[str, ...]:
        """Nothing is left out."""
        return ()

    def _case_folders(self) -> dict[int, Path]:
        folders: dict[int, Path] = {}
        source = existing_folder(self.source, EXPECTED)
        for number, folder in _numbered_folders(source, _DEEPEST, set(source.resolve().parents)):
            if number in folders:
                raise UserError(f"{folders[number]} and {folder} are the same case; give the folder of one copy.")
            folders[number] = folder
        if not folders:
            raise UserError(f"{self.source} holds no BraTS2020 cases; expected {EXPECTED}.")
        return folders


def open_brats2020(
    source: Path, modality: str | None = None, channel: int | None = None, channels: str | None = None
) -> BratsScans | KaggleSlices:
    """BraTS2020 in whichever form `source` holds it: official folders of scans, or Kaggle's slice files.

    modality: t1 (default), t1ce, t2 or flair, or several with commas between them, a channel each.  channel, channels:
    for the slice files alone, see KaggleSlices.
    """
    folder = slice_folder(existing_folder(source, EXPECTED))
    if folder is not None:
        return KaggleSlices(folder, modality, channel, channels)
    if channel is not None or channels is not None:
        raise UserError(f"channel and channels are for Kaggle's slice files; {source} holds none.")
    return BratsScans(source, modality or "t1")


def _numbered_folders(folder: Path, depth: int, seen: set[Path]) -> Iterator[tuple[int, Path]]:
    if folder.resolve() in seen:
        return  # a link back to a folder that was searched, or that holds it
    seen.add(folder.resolve())
    for inner in sorted(entry for entry in (folder, *folder.iterdir()) if entry.is_dir()):
        match = _CASE_FOLDER.fullmatch(inner.name)
        if match:
            yield int(match[1]), inner
        elif depth and inner != folder and not inner.name.startswith((".", "__MACOSX")):
            yield from _numbered_folders(inner, depth - 1, seen)


def _named(folder: Path, modality: str) -> Path:
    """The scan of a modality in a case folder, or where it would be."""
    return _scan_file(folder, modality) or folder / f"{folder.name}_{modality}.nii.gz"


def _scan_file(folder: Path, kind: str) -> Path | None:
    """The file of `kind` ("t1", ..., "seg") in a case folder; None where there is none, or the folder is locked."""
    try:
        entries = sorted(folder.iterdir())
    except PermissionError:
        return None  # `read` will say so, of this case alone
    found = [entry for entry in entries if _plain_name(entry).endswith(f"_{kind}")]
    if not found and kind == "seg":
        # Case 355 was handed out with the name of its original: W39_1998.09.19_Segm.nii
        found = [entry for entry in entries if _plain_name(entry).endswith("_segm")]
    # Some unpackers make a folder named like the file, with the file in it under another name.
    inside = [entry for entry in found if entry.is_dir() for entry in sorted(entry.iterdir()) if _is_nifti(entry)]
    files = [entry for entry in found if entry.is_file()] or inside
    return files[0] if files else None


def _plain_name(path: Path) -> str:
    name = path.name.lower()
    return name.removesuffix(".gz").removesuffix(".nii") if _is_nifti(path) else ""


def _is_nifti(path: Path) -> bool:
    return path.name.lower().endswith((".nii", ".nii.gz")) and not path.name.startswith(".")

"""BraTS2020 as its makers hand it out: a folder a case, a NIfTI file a modality, a segmentation beside them."""

import re
from collections.abc import Iterator
from pathlib import Path

from anomae.cohorts.brats_names import case_name, known_modality, read_sites
from anomae.cohorts.case import Case, CaseSlices
from anomae.cohorts.kaggle_slices import KaggleSlices, slice_folder
from anomae.cohorts.scan_slices import read_scan_slices
from anomae.cohorts.source_folder import existing_folder
from anomae.errors import UnreadableScan, UserError

EXPECTED = "BraTS20_Training_001/BraTS20_Training_001_t1.nii.gz and so on (or Kaggle's volume_1_slice_0.h5 files)"
_CASE_FOLDER = re.compile(r"BraTS20_Training_(\d{1,4})", re.IGNORECASE)
_DEEPEST = 3  # folders between SOURCE and the case folders, in the ways the archives unpack


class BratsScans:
    """The official folder of scans, also nested as the archives unpack, .nii.gz or .nii.

    Slices are labelled by the segmentation: abnormal where it is not empty.
    """

    name = "brats2020"

    def __init__(self, source: Path, modality: str = "t1") -> None:
        """`source`: the folder that holds the case folders, or one above it; `modality`: t1, t1ce, t2 or flair."""
        self.source, self.modality = source, known_modality(modality)

    def cases(self) -> list[Case]:
        """A case a folder, by number; one whose files are missing is named all the same, and refused by `read`."""
        folders = self._case_folders()
        sites = read_sites(next(iter(folders.values())).parent)
        return [
            Case(
                case=case_name(number),
                patient=case_name(number),
                source=_scan_file(folder, self.modality) or folder / f"{folder.name}_{self.modality}.nii.gz",
                lesion=_scan_file(folder, "seg") or folder / f"{folder.name}_seg.nii.gz",
                site=sites.get(number, ""),
            )
            for number, folder in sorted(folders.items())
        ]

    def read(self, case: Case) -> CaseSlices:
        """The axial slices of one case.  Raises UnreadableScan where a file is missing or broken."""
        if not case.source.exists():
            raise UnreadableScan(f"{case.source} is missing: the case has no {self.modality} scan; copy it there.")
        if case.lesion is None or not case.lesion.exists():
            raise UnreadableScan(f"{case.lesion} is missing: without a segmentation no slice can be labelled.")
        return read_scan_slices(case.source, case.lesion)

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

    modality: t1 (default), t1ce, t2 or flair.  channel, channels: for the slice files alone, see KaggleSlices.
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

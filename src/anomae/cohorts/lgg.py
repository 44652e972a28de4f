"""TCGA-LGG brain MRI: a folder a patient with FLAIR, T1 and a tumour mask, and a table that fixes the split."""

import csv
from pathlib import Path

from anomae.cohorts.case import Case, CaseSlices
from anomae.cohorts.scan_slices import read_scan_slices
from anomae.cohorts.source_folder import existing_folder
from anomae.errors import UserError

EXPECTED = "<patient>/<patient>_flair.nii.gz, _t1.nii.gz and _seg.nii.gz, and patients.csv"
MODALITIES = ("flair", "t1")
_SPLITS = {"train": "train", "validation": "validation", "report": "test", "test": "test"}


class Lgg:
    """One case a patient; slices are labelled by the tumour mask; site: the hospital in the TCGA bar code."""

    name = "lgg"

    def __init__(self, source: Path, modality: str = "flair") -> None:
        """`source`: the folder of the patients' folders; `modality`: flair or t1."""
        if modality not in MODALITIES:
            raise UserError(f"lgg has no modality {modality!r}; it has {' and '.join(MODALITIES)}.")
        self.source, self.modality = source, modality

    def cases(self) -> list[Case]:
        """A case a patient who has the modality, by name; splits from patients.csv where that is there."""
        splits = self._splits()
        found = [
            Case(
                case=folder.name,
                patient=folder.name,
                source=_file(folder, self.modality),
                lesion=_file(folder, "seg"),
                split=splits.get(folder.name, ""),
                site=_site(folder.name),
            )
            for folder in self._folders()
            if _file(folder, self.modality).exists() and (folder.name in splits or not splits)
        ]
        if not found:
            raise UserError(f"{self.source} holds no patients with {self.modality}; expected {EXPECTED}.")
        return found

    def read(self, case: Case) -> CaseSlices:
        """The axial slices of one patient.  Raises UnreadableScan where scan or mask is missing or broken."""
        return read_scan_slices(case.source, case.lesion)

    def notes(self) -> tuple[str, ...]:
        """How many patients were left out, and why."""
        folders, splits = self._folders(), self._splits()
        without = sum(not _file(folder, self.modality).exists() for folder in folders)
        unlisted = sum(folder.name not in splits for folder in folders) if splits else 0
        absent = len(splits.keys() - {folder.name for folder in folders})
        return tuple(
            sentence
            for count, sentence in (
                (without, f"{without} of {len(folders)} patients have no {self.modality} and are left out"),
                (unlisted, f"{unlisted} patients are not in patients.csv and are left out"),
                (absent, f"{absent} patients of patients.csv have no folder"),
            )
            if count
        )

    def _folders(self) -> list[Path]:
        source = existing_folder(self.source, EXPECTED)
        return sorted(
            folder
            for folder in source.iterdir()
            if folder.is_dir() and any(_file(folder, kind).exists() for kind in (*MODALITIES, "seg"))
        )

    def _splits(self) -> dict[str, str]:
        path = self.source / "patients.csv"
        if not path.is_file():
            return {}
        try:
            with path.open(newline="", encoding="utf-8-sig") as handle:
                return {line["patient"]: _SPLITS[line["part"]] for line in csv.DictReader(handle)}
        except (KeyError, csv.Error, UnicodeDecodeError) as error:
            raise UserError(
                f"{path} must have the columns patient and part, part being one of {', '.join(_SPLITS)} ({error})."
            ) from error


def _file(folder: Path, kind: str) -> Path:
    return folder / f"{folder.name}_{kind}.nii.gz"


def _site(name: str) -> str:
    """The tissue source site, the second field of a TCGA bar code; "" for any other name."""
    fields = name.split("_")
    return fields[1] if len(fields) > 2 and fields[0] == "TCGA" else ""

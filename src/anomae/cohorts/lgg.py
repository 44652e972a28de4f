"""TCGA-LGG brain MRI: a folder a patient with FLAIR, T1 and a tumour mask, and a table that fixes the split."""

import csv
from pathlib import Path

from anomae.cohorts.case import Case, CaseSlices, Cohort
from anomae.cohorts.channel_slices import channel_names_of, listed_modalities, read_modalities
from anomae.cohorts.lgg_tiffs import EXPECTED as EXPECTED_TIFFS
from anomae.cohorts.lgg_tiffs import LggTiffs, patients_of, tiff_folder
from anomae.cohorts.source_folder import existing_folder
from anomae.errors import UserError

EXPECTED = (
    f"<patient>/<patient>_flair.nii.gz, _t1.nii.gz and _seg.nii.gz, and patients.csv, or Kaggle's {EXPECTED_TIFFS}"
)
MODALITIES = ("flair", "t1")
_SPLITS = {"train": "train", "validation": "validation", "report": "test", "test": "test"}


class Lgg(Cohort):
    """TCGA-LGG in whichever form the source holds it: NIfTI scans, or Kaggle's TIFF slices."""

    name = "lgg"
    order = "numbers"  # of Kaggle's slices: their files tell no grid
    recipe = "lgg"
    preparation = {"image_size": 128, "preparation": "brain"}  # noqa: RUF012  a ClassVar by its protocol
    modalities = (*MODALITIES, "t1ce")

    def __init__(self, source: Path, modality: str = "flair") -> None:
        """`source`: the folder of the patients' folders, or one above Kaggle's.

        modality: flair or t1, of Kaggle's slices also t1ce, see LggTiffs; several with commas, a channel each.
        """
        tiffs = tiff_folder(source) if source.is_dir() else None
        self.inner = LggTiffs(tiffs, modality, site_of) if tiffs else LggScans(source, modality)
        self.channel_names = self.inner.channel_names

    def cases(self) -> list[Case]:
        """A case a patient, by name."""
        return self.inner.cases()

    def read(self, case: Case) -> CaseSlices:
        """The axial slices of one patient.  Raises UnreadableScan where scan or mask is missing or broken."""
        return self.inner.read(case)

    def notes(self) -> tuple[str, ...]:
        """How many patients were left out, and why."""
        return self.inner.notes()


class LggScans:
    """One case a patient; slices are labelled by the tumour mask; site: the hospital in the TCGA bar code."""

    name = "lgg"

    def __init__(self, source: Path, modality: str = "flair") -> None:
        """`source`: the folder of the patients' folders; `modality`: flair or t1, or both, a channel each: flair,t1."""
        self.source, self.chosen = source, listed_modalities(modality, _known_modality)
        self.channel_names = channel_names_of(self.chosen)

    def cases(self) -> list[Case]:
        """A case a patient who has the modalities, by name; splits from patients.csv where that is there."""
        splits, folders = self._splits(), self._folders()
        patients = patients_of([folder.name for folder in folders])
        found = [
            Case(
                case=folder.name,
                patient=patients[folder.name],
                source=_file(folder, self.chosen[0]),
                lesion=_file(folder, "seg"),
                split=splits.get(folder.name, ""),
                site=site_of(folder.name),
                further=tuple(_file(folder, name) for name in self.chosen[1:]),
            )
            for folder in folders
            if self._is_complete(folder) and (folder.name in splits or not splits)
        ]
        if not found:
            raise UserError(f"{self.source} holds no patients with {' and '.join(self.chosen)}; expected {EXPECTED}.")
        return found

    def read(self, case: Case) -> CaseSlices:
        """The axial slices of one patient.  Raises UnreadableScan where scan or mask is missing or broken."""
        return read_modalities({name: _file(case.source.parent, name) for name in self.chosen}, case.lesion)

    def notes(self) -> tuple[str, ...]:
        """How many patients were left out, and why."""
        folders, splits = self._folders(), self._splits()
        without = sum(not self._is_complete(folder) for folder in folders)
        several = len(self.chosen) > 1
        lack = f"have not all of {', '.join(self.chosen)}" if several else f"have no {self.chosen[0]}"
        unlisted = sum(folder.name not in splits for folder in folders) if splits else 0
        absent = len(splits.keys() - {folder.name for folder in folders})
        return tuple(
            sentence
            for count, sentence in (
                (without, f"{without} of {len(folders)} patients {lack} and are left out"),
                (unlisted, f"{unlisted} patients are not in patients.csv and are left out"),
                (absent, f"{absent} patients of patients.csv have no folder"),
            )
            if count
        )

    def _is_complete(self, folder: Path) -> bool:
        return all(_file(folder, name).exists() for name in self.chosen)

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
                lines = [(line["patient"], _SPLITS[line["part"]]) for line in csv.DictReader(handle)]
        except (KeyError, csv.Error, UnicodeDecodeError) as error:
            raise UserError(
                f"{path} must have the columns patient and part, part being one of {', '.join(_SPLITS)} ({error})."
            ) from error
        splits = dict(lines)
        torn = next((patient for patient, split in lines if splits[patient] != split), None)
        if torn is not None:
            raise UserError(f"{path} names {torn} twice, with two parts; keep one line of each patient.")
        return splits


def _known_modality(name: str) -> str:
    if name not in MODALITIES:
        raise UserError(f"lgg has no modality {name!r}; it has {' and '.join(MODALITIES)}.")
    return name


def _file(folder: Path, kind: str) -> Path:
    return folder / f"{folder.name}_{kind}.nii.gz"


def site_of(name: str) -> str:
    """The tissue source site, the second field of a TCGA bar code; "" for any other name."""
    fields = name.split("_")
    return fields[1] if len(fields) > 2 and fields[0] == "TCGA" else ""
